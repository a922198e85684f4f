"""Pages of the events and the metadata fields, for people."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from nexuslims_contracts.events import EVENT_TYPES, Event
from nexuslims_contracts.metadata import FIELDS, REQUIRED, Field
from nexuslims_contracts.metadata.fields import EVERY
from nexuslims_contracts.published.schemas import Schema, meaning
from nexuslims_contracts.topology import CONSUMERS, STATED_BY

_GENERATED: Final = "<!-- Written by `make contracts`: change the models, not this page. -->"
_EVENTS: Final = (
    "What the services tell each other, and the only truth about a session. The rules by which"
    " events change are in [contracts.md](contracts.md); the schemas are in"
    " [contracts/published](../contracts/published)."
)
_METADATA: Final = (
    "The normalised metadata of a dataset. Quantities are in the unit of the table; what a"
    " vendor calls otherwise, or what has no field here, is in the extensions."
)


def events_page(schemas: Mapping[str, Schema]) -> str:
    """Return the page of the events, in Markdown."""
    lines = [
        _GENERATED,
        "# Events",
        "",
        _EVENTS,
        "",
        *_table(
            ("Event", "Meaning", "Stated by", "Handled by"),
            (
                (
                    f"[{model.__name__}](#{model.__name__.lower()})",
                    meaning(model),
                    ", ".join(who for who, models in STATED_BY.items() if model in models),
                    ", ".join(one.service for one in CONSUMERS if model.filter() in one.filters),
                )
                for model in EVENT_TYPES.values()
            ),
        ),
    ]
    for model in EVENT_TYPES.values():
        lines += ["", *_event(model, schemas[model.type_name()])]
    lines += ["", "# Parts of events"]
    for name, part in sorted(_parts(schemas).items()):
        lines += ["", f"## {name}", "", part.get("description", ""), "", *_fields(part)]
    return "\n".join(lines) + "\n"


def metadata_page() -> str:
    """Return the page of the metadata fields, in Markdown."""
    rows = (
        (
            f"`{field.name}`",
            field.display_name,
            field.description + (" (required)" if field.name in REQUIRED else ""),
            _measured(field),
            f"[{field.term.label}]({field.purl})" if field.term else "",
            "every" if field.dataset_types == EVERY else ", ".join(field.dataset_types),
        )
        for field in FIELDS.values()
    )
    head = ("Field", "In records", "Meaning", "Unit", "EM Glossary", "Dataset types")
    lines = [
        _GENERATED,
        "# Metadata fields",
        "",
        _METADATA,
        "",
        *_table(head, rows),
    ]
    return "\n".join(lines) + "\n"


def _event(model: type[Event], schema: Schema) -> Iterator[str]:
    yield f"## {model.__name__}"
    yield ""
    yield f"{meaning(model)} Type `{model.type_name()}`, on `{model.filter()}`."
    yield ""
    yield from _fields(schema)


def _parts(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the models that events are made of, by name."""
    return {
        name: part
        for schema in schemas.values()
        for name, part in schema.get("$defs", {}).items()
        if "properties" in part
    }


def _fields(schema: Schema) -> Iterator[str]:
    required = schema.get("required", ())
    rows = (
        (f"`{name}`", _type(one), "" if name in required else "optional", _words(one))
        for name, one in schema["properties"].items()
    )
    yield from _table(("Field", "Type", "", "Meaning"), rows)


def _type(node: Mapping[str, Any]) -> str:
    """Say a field's type in a word or two."""
    if "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        return "any JSON" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    if "anyOf" in node:
        return " or ".join(_type(one) for one in node["anyOf"])
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get("type") == "array":
        return f"list of {_type(node['items'])}"
    return str(node.get("format") or node.get("type") or "any JSON")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    for row in rows:
        yield _row(row)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _measured(field: Field) -> str:
    return f"[{field.unit}]({field.qudt})" if field.unit and field.qudt else field.unit or ""


def _words(node: Mapping[str, Any]) -> str:
    return str(node.get("description", "")).split("\n")[0]
