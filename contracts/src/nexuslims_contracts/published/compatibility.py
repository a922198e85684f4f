"""Whether two releases can read each other's events of one version.

One rule: within a version only optional fields may be added. A reader of either release then takes
what it knows and ignores the rest; everything else makes a new version.
"""

from collections.abc import Iterator
from typing import Any, Final

from nexuslims_contracts.published.schemas import Schema, inlined

REMEDY: Final = (
    "keep the field as it was, or give new ones a default; otherwise write the event as a new"
    " version, with an upcaster from the old one (docs/contracts.md)"
)
_WORDS: Final = frozenset({"title", "description", "examples", "$schema", "$id"})


def breaks(old: Schema, new: Schema) -> list[str]:
    """Say what a release could not read of what the other one writes.

    Parameters
    ----------
    old, new
        JSON Schemas of one version of one event.

    Returns
    -------
    list
        One clause for each break, beginning with the field; none if both read each other.
    """
    return list(_compare(inlined(old), inlined(new), ""))


def _compare(old: Any, new: Any, path: str) -> Iterator[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            yield f"{path}: was {old!r} and is {new!r}"
        return
    if "properties" in old and "properties" in new:
        yield from _compare_fields(old, new, path)
    for key in sorted((old.keys() | new.keys()) - _WORDS - {"properties", "required"}):
        if key == "items":
            yield from _compare(old.get(key), new.get(key), f"{path}[]")
        elif old.get(key) != new.get(key):
            yield from _compare_keyword(key, old.get(key), new.get(key), path)


def _compare_keyword(key: str, old: Any, new: Any, path: str) -> Iterator[str]:
    """Compare what may hold schemas in turn, such as the ways of an ``anyOf``."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            yield from _compare(before, after, path)
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _compare(old, new, path)
    else:
        yield f"{path or 'the event'}: its {key} was {old!r} and is {new!r}"


def _compare_fields(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, after = old["properties"], new["properties"]
    required_before, required_after = set(old.get("required", ())), set(new.get("required", ()))
    for name in before:
        field = f"{path}.{name}" if path else name
        if name not in after:
            yield f"{field}: is gone"
            continue
        if name in required_before - required_after:
            yield f"{field}: had to be there and may now be missing"
        if name in required_after - required_before:
            yield f"{field}: could be missing and now has to be there"
        yield from _compare(before[name], after[name], field)
    for name in after:
        if name not in before and name in required_after:
            yield f"{path}.{name}".lstrip(".") + ": is new and has to be there"
