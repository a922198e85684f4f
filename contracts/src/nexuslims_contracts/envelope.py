"""The envelope of an event: CloudEvents 1.0 attributes in headers, the model as JSON payload.

Binary content mode of the CloudEvents NATS protocol binding: attributes travel as ``ce-`` headers.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from nexuslims_contracts.errors import UndecodableError
from nexuslims_contracts.events import EVENT_TYPES, Event, MetadataExtracted
from nexuslims_contracts.upcasting import is_current, upcast

MAX_EVENT_BYTES = 256 * 1024
MSG_ID = "Nats-Msg-Id"
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")
_EXTRACTED = MetadataExtracted.type_name()
_DATASETS = b',"datasets":['
_ARTIFACTS = b'],"artifacts":['


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event with who said it, when and because of what."""

    event: Event
    id: str
    source: str
    time: datetime
    causation: str = ""
    correlation: str = ""
    traceparent: str = ""

    @property
    def subject(self) -> str:
        """The subject the event is stored on."""
        return self.event.subject


@dataclass(frozen=True, slots=True)
class Recorded:
    """An envelope as the stream holds it."""

    envelope: Envelope
    sequence: int
    stored_at: datetime

    @property
    def event(self) -> Event:
        """The event itself."""
        return self.envelope.event

    @property
    def subject(self) -> str:
        """The subject it is stored on."""
        return self.envelope.subject


def envelop(
    event: Event,
    *,
    source: str,
    time: datetime | None = None,
    cause: Envelope | None = None,
    traceparent: str = "",
) -> Envelope:
    """Put an event in its envelope.

    Parameters
    ----------
    event
        The fact.
    source
        Who states it, for example ``nexuslims/indexer``.
    time
        When it was stated; now, if not given.
    cause
        The event that led to this one: its id is the causation, its correlation is carried on.
    traceparent
        W3C trace context of the work that produced the event.
    """
    return Envelope(
        event=event,
        id=event.id,
        source=source,
        time=time or datetime.now(UTC),
        causation=cause.id if cause else "",
        correlation=(cause.correlation if cause else "") or event.session,
        traceparent=traceparent or (cause.traceparent if cause else ""),
    )


def encode(envelope: Envelope) -> tuple[dict[str, str], bytes]:
    """Turn an envelope into message headers and payload.

    Raises
    ------
    UndecodableError
        If the payload is longer than an event may be (256 KiB).
    """
    event = envelope.event
    payload = event.model_dump_json().encode()
    type_name = event.type_name()
    if len(payload) > MAX_EVENT_BYTES:
        raise UndecodableError(
            f"{type_name} of session {event.session} is {len(payload)} bytes long:"
            f" at most {MAX_EVENT_BYTES} fit an event, the rest belongs in an artifact"
        )
    headers = {
        MSG_ID: envelope.id,
        "ce-specversion": "1.0",
        "ce-id": envelope.id,
        "ce-source": envelope.source,
        "ce-type": type_name,
        "ce-time": envelope.time.isoformat(),
        "ce-subject": event.session,
        "ce-dataschema": f"urn:nexuslims:schema:{type_name}",
        "ce-correlationid": envelope.correlation,
        "content-type": "application/json",
    }
    if envelope.causation:
        headers["ce-causationid"] = envelope.causation
    if envelope.traceparent:
        headers["traceparent"] = envelope.traceparent
    return headers, payload


def decode(
    headers: Mapping[str, str], payload: bytes, *, subject: str = "", datasets: bool = True
) -> Envelope:
    """Read a stored message back.

    Parameters
    ----------
    headers
        The CloudEvents attributes, as :func:`encode` writes them.
    payload
        The event as JSON.
    subject
        The one it was found on. The broker lets each service send on the subjects of its own events
        alone, so an event on a subject of others is none.
    datasets
        Whether to read the datasets of a MetadataExtracted, which are most of the time and of the
        memory that reading a log takes; without them there are none.

    Raises
    ------
    UnknownEventError
        If a newer release wrote it.
    UndecodableError
        If it is no event of ours, or a damaged one; the message says what is wrong.
    """
    try:
        type_name = headers["ce-type"]
        if not datasets and type_name == _EXTRACTED:
            payload = _without_datasets(payload)
        event = _read_event(type_name, payload)
        if not datasets and isinstance(event, MetadataExtracted) and event.datasets:
            event = event.model_copy(update={"datasets": ()})
        if subject and event.subject != subject:
            raise UndecodableError(f"{type_name} belongs on {event.subject}, not on {subject}")
        return Envelope(
            event=event,
            id=headers["ce-id"],
            source=headers["ce-source"],
            time=datetime.fromisoformat(headers["ce-time"]),
            causation=headers.get("ce-causationid", ""),
            correlation=headers.get("ce-correlationid", ""),
            traceparent=_trace_of(headers),
        )
    except KeyError as error:
        raise UndecodableError(f"the message lacks the header {error.args[0]!r}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "payload"
        raise UndecodableError(f"{type_name}: {where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise UndecodableError(f"the message cannot be read: {error}") from error


def _trace_of(headers: Mapping[str, str]) -> str:
    """Return the W3C trace context; none if it is malformed, as it would be passed on for ever."""
    text = headers.get("traceparent", "")
    return text if _TRACE.fullmatch(text) else ""


def _without_datasets(payload: bytes) -> bytes:
    """Cut the datasets out of a MetadataExtracted, without parsing them.

    Fields are stored in the order of the model. Neither mark can stand inside a text, where
    quotation marks are escaped; no field before the datasets has that name, and none after the
    artifacts holds a list.
    """
    begin, end = payload.find(_DATASETS), payload.rfind(_ARTIFACTS)
    return payload[: begin + len(_DATASETS)] + payload[end:] if 0 <= begin < end else payload


def _read_event(type_name: str, payload: bytes) -> Event:
    if is_current(type_name):
        return _model_of(type_name, payload)
    raw = json.loads(payload)
    if not isinstance(raw, dict):
        raise UndecodableError(f"the payload of {type_name} is not an object")
    type_name, raw = upcast(type_name, raw)
    return _model_of(type_name, json.dumps(raw))


def _model_of(type_name: str, payload: str | bytes) -> Event:
    """Read a payload of a current type; fields that a later release added to it are ignored."""
    return EVENT_TYPES[type_name].model_validate_json(payload, extra="ignore")
