"""The system as one AsyncAPI document: channels, messages, and what each service does there.

References
----------
AsyncAPI 3.0.0, https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from nexuslims_contracts.events import EVENT_TYPES, Event
from nexuslims_contracts.published.schemas import (
    Schema,
    dead_letter_schema,
    header_schema,
    inlined,
    meaning,
    session_schema,
)
from nexuslims_contracts.subjects import template
from nexuslims_contracts.topology import (
    CONSUMERS,
    DEAD_LETTER_PREFIX,
    DEAD_LETTERS,
    EVENTS,
    PROJECTION,
    STATED_BY,
)

_PARAMETERS: Final = {
    "session": "Names the session",
    "file": "Names one state of one file of the session",
    "destination": "Where records go",
    "consumer": "Who could not use the event",
}
_DEAD_LETTER: Final = "dead-letter"


def document(schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    schemas
        Of every version of every event, by type name; of one channel's the newest is the one
        that is written, the others are read and brought up.
    """
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "NexusLIMS events",
            "version": "1",
            "description": "What the services of the laboratory information system tell each"
            " other. Every event is kept for ever; the state of a session is a fold of its events.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "{host}",
                "protocol": "nats",
                "description": "NATS with JetStream; NATS_URL of each service",
                "variables": {"host": {"default": "localhost:4222"}},
            }
        },
        "channels": {
            **{model.name: _channel(model, schemas) for model in EVENT_TYPES.values()},
            _DEAD_LETTER: _dead_letter_channel(),
        },
        "operations": dict(_operations()),
        "components": {
            "messages": {
                **{name: _message(name, schema) for name, schema in sorted(schemas.items())},
                _DEAD_LETTER: _dead_letter_message(),
            },
            "schemas": {"headers": header_schema(), "token": session_schema()},
        },
    }


def _channel(model: type[Event], schemas: Mapping[str, Schema]) -> dict[str, Any]:
    address = template(model.filter())
    versions = [name for name in schemas if name.rpartition(".")[0] == f"nexuslims.{model.name}"]
    return {
        "address": address,
        "title": model.__name__,
        "description": f"{meaning(model)} On the stream {EVENTS.name}.",
        "messages": {
            name.rpartition(".")[2]: {"$ref": f"#/components/messages/{name}"}
            for name in sorted(versions)
        },
        "parameters": _parameters(address),
    }


def _dead_letter_channel() -> dict[str, Any]:
    address = f"{DEAD_LETTER_PREFIX}.{{consumer}}"
    return {
        "address": address,
        "title": "DeadLetter",
        "description": f"{DEAD_LETTERS.description}. On the stream {DEAD_LETTERS.name}.",
        "messages": {"v1": {"$ref": f"#/components/messages/{_DEAD_LETTER}"}},
        "parameters": _parameters(address),
    }


def _message(name: str, schema: Schema) -> dict[str, Any]:
    current = name in EVENT_TYPES
    summary = schema.get("description", "").split("\n")[0]
    return {
        "name": name,
        "title": schema.get("title", name),
        "summary": summary if current else f"{summary} Written by earlier releases only.",
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": _payload(schema),
    }


def _dead_letter_message() -> dict[str, Any]:
    return {
        "name": _DEAD_LETTER,
        "title": "DeadLetter",
        "summary": "A service cannot use an event, or an entry of a calendar",
        "contentType": "application/json",
        "payload": _payload(dead_letter_schema()),
    }


def _payload(schema: Schema) -> Schema:
    return {key: value for key, value in inlined(schema).items() if not key.startswith("$")}


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for service, models in STATED_BY.items():
        for model in models:
            current = f"v{model.version}"
            yield (
                f"{service}.states.{model.name}",
                _operation(service, "send", model.name, [current], meaning(model)),
            )
    for consumer in CONSUMERS:
        for model in EVENT_TYPES.values():
            if model.filter() in consumer.filters:
                yield (
                    f"{consumer.service}.handles.{model.name}",
                    _operation(consumer.service, "receive", model.name, [], consumer.description),
                )
    for model in EVENT_TYPES.values():
        yield (
            f"{PROJECTION}.projects.{model.name}",
            _operation(PROJECTION, "receive", model.name, [], "Kept in the read model"),
        )
    for service in STATED_BY:
        action = "receive" if service == PROJECTION else "send"
        yield (
            f"{service}.{action}s.{_DEAD_LETTER}",
            _operation(service, action, _DEAD_LETTER, [], DEAD_LETTERS.description),
        )


def _operation(
    service: str, action: str, channel: str, messages: Sequence[str], summary: str
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "tags": [{"name": service}],
    }
    if messages:
        references = [{"$ref": f"#/channels/{channel}/messages/{one}"} for one in messages]
        operation["messages"] = references
    return operation


def _parameters(address: str) -> dict[str, Any]:
    return {
        name: {"description": meaning}
        for name, meaning in _PARAMETERS.items()
        if f"{{{name}}}" in address
    }
