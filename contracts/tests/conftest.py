"""Facts that fit a JSON Schema, and events as releases have stored them."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

STORED = Path(__file__).parent / "stored"

_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)


def fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema admits; it refers to nothing, and uses what our schemas use."""
    if "anyOf" in schema:
        return st.one_of([fitting(one) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "object":
            return _objects(schema)
        case "array":
            return st.lists(
                fitting(schema["items"]), min_size=schema.get("minItems", 0), max_size=3
            )
        case "string":
            return _strings(schema)
        case "integer":
            return st.integers(schema.get("minimum", -(2**53)), 2**53)
        case "number":
            return _NUMBERS
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case _:
            return _ANYTHING


def _objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if "properties" not in schema:
        return st.dictionaries(_TEXTS, fitting(schema["additionalProperties"]), max_size=3)
    fields = {name: fitting(one) for name, one in schema["properties"].items()}
    required = {name: fields[name] for name in schema.get("required", ())}
    optional = {name: one for name, one in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


def _strings(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return st.datetimes(timezones=_OFFSETS).map(datetime.isoformat)
    if "pattern" in schema:
        return st.from_regex(re.sub(r"\$\Z", r"\\Z", schema["pattern"]))
    return st.text(
        st.characters(codec="utf-8", exclude_characters="\0"),
        min_size=schema.get("minLength", 0),
        max_size=20,
    )


@pytest.fixture(scope="session")
def fitting_schema() -> Callable[[dict[str, Any]], st.SearchStrategy[Any]]:
    """Values that a schema admits."""
    return fitting


@pytest.fixture(scope="session")
def stored_types() -> set[str]:
    """Return the types of which an event is stored."""
    return {path.stem for path in STORED.glob("*.json")}


@pytest.fixture(scope="session")
def stored_event() -> Callable[[str], dict[str, Any]]:
    """Return what reads a stored event by its type name: its subject, headers and payload."""
    return lambda name: json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(params=sorted(path.stem for path in STORED.glob("*.json")))
def stored(
    request: pytest.FixtureRequest, stored_event: Callable[[str], dict[str, Any]]
) -> tuple[str, dict[str, Any]]:
    """Return each stored event in turn, with its type name."""
    return request.param, stored_event(request.param)


@pytest.fixture
def published_schema(stored: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the schema that was published for the stored event."""
    path = STORED.parents[1] / "published" / "events" / f"{stored[0]}.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema
