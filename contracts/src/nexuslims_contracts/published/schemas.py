"""JSON Schema of every event, of every metadata model, and of the headers of a message."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from nexuslims_contracts.dead_letters import DeadLetter
from nexuslims_contracts.events import EVENT_TYPES, Event
from nexuslims_contracts.identifiers import TOKEN_PATTERN
from nexuslims_contracts.metadata import MODELS

Schema: TypeAlias = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REF: Final = "#/$defs/"

HEADERS: Final[Mapping[str, str]] = {
    "ce-specversion": "Version of CloudEvents, 1.0",
    "ce-id": "Deterministic: the same fact produced twice has the same id",
    "ce-source": "Who states it, for example nexuslims/indexer",
    "ce-type": "Stable name of the event with its version",
    "ce-time": "When it was stated, ISO 8601 with an offset",
    "ce-subject": "The session",
    "ce-dataschema": "urn:nexuslims:schema: and the type",
    "ce-correlationid": "The session, or whatever the chain of causes began with",
    "ce-causationid": "Id of the event that led to this one",
    "Nats-Msg-Id": "The same as ce-id: the broker drops a repetition within two minutes",
    "traceparent": "W3C trace context of the work that produced the event",
    "content-type": "application/json",
}
_OPTIONAL_HEADERS: Final = frozenset({"ce-causationid", "traceparent"})


def event_schemas() -> dict[str, Schema]:
    """Return the schema of every current event by its type name, as readers have to take it.

    Unlike the models in code, readers ignore fields they do not know: that is what makes a new
    optional field a compatible change.
    """
    return {
        name: _named(name, _open(model.model_json_schema()))
        for name, model in sorted(EVENT_TYPES.items())
    }


def metadata_schemas() -> dict[str, Schema]:
    """Return the schema of the metadata of each dataset type, closed: unknown fields are wrong."""
    return {
        name: {"$schema": DIALECT, **model.model_json_schema()} for name, model in MODELS.items()
    }


def meaning(model: type[Event]) -> str:
    """Return the first sentence of an event's description."""
    return (model.__doc__ or "").strip().split("\n")[0]


def dead_letter_schema() -> Schema:
    """Return the schema of a dead letter."""
    schema: Schema = _open(DeadLetter.model_json_schema())
    return schema


def header_schema() -> Schema:
    """Return the schema of the headers of an event's message."""
    return {
        "type": "object",
        "properties": {
            name: {"type": "string", "description": meaning} for name, meaning in HEADERS.items()
        },
        "required": [name for name in HEADERS if name not in _OPTIONAL_HEADERS],
    }


def session_schema() -> Schema:
    """Return the schema of a token in a subject."""
    return {"type": "string", "pattern": TOKEN_PATTERN}


def inlined(schema: Schema) -> Schema:
    """Return a schema that refers to nothing: definitions stand where they are used."""
    definitions = schema.get("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            target = definitions[node["$ref"].removeprefix(_REF)]
            beside = {key: value for key, value in node.items() if key != "$ref"}
            return inline({**target, **beside})
        return {key: inline(value) for key, value in node.items() if key != "$defs"}

    result: Schema = inline(schema)
    return result


def _named(name: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "$id": f"urn:nexuslims:schema:{name}", **schema}


def _open(node: Any) -> Any:
    if isinstance(node, list):
        return [_open(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _open(value)
        for key, value in node.items()
        if not (key == "additionalProperties" and value is False)
    }
