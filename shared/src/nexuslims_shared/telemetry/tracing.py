"""Traces, where the standard variables of OpenTelemetry ask for them; otherwise nothing.

One trace is one unit of work: one event handled, one file read again, one manifest stated. Units
are joined by links, and by ``em.session.id`` on every span; ``docs/operations/telemetry.md`` has
the rules.

Nothing of OpenTelemetry is imported before :func:`configure` finds that traces are wanted.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from nexuslims_contracts.envelope import Envelope, Recorded
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.secrets import remember
from nexuslims_shared.settings.groups import variables

if TYPE_CHECKING:
    from nexuslims_shared.telemetry.sdk import OpenTelemetry

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

FILE: Final = "nexus.file"
EXTRACTOR: Final = "nexus.extractor"
DESTINATION: Final = "nexus.destination"
OUTCOME: Final = "nexus.outcome"
REPLAY: Final = "em.replay"

_EXPORTERS: Final = ("otlp", "console", "none")
_ADDRESSES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")


class Span(Protocol):
    """What is known of a unit of work, or of a part of it, while it goes on."""

    def set(self, attributes: Attributes) -> None:
        """Add attributes; none may name a person or hold a secret."""

    def fail(self, kind: str) -> None:
        """Note that it failed, by the kind of error: messages may name people."""


class _NoSpan:
    def set(self, attributes: Attributes) -> None:
        """Do nothing."""

    def fail(self, kind: str) -> None:
        """Do nothing."""


NO_SPAN: Final = _NoSpan()
_NOTHING: Final = nullcontext(NO_SPAN)
_tracer: "OpenTelemetry | None" = None


def configure(service: str) -> None:
    """Begin to trace, if the environment or ``.env`` asks for it.

    ``OTEL_TRACES_EXPORTER``, or an ``OTEL_EXPORTER_OTLP_ENDPOINT``, turns traces on;
    ``OTEL_SDK_DISABLED`` turns them off. All other variables of the SDK hold, too.

    Parameters
    ----------
    service
        Its name; ``nexuslims-<service>`` in the traces unless ``OTEL_SERVICE_NAME`` is set.

    Raises
    ------
    SettingsError
        If an exporter or a protocol is asked for that there is not.
    """
    global _tracer  # noqa: PLW0603 - one per process, as the SDK itself has it
    given = {name: text for name, text in variables().items() if name.startswith("OTEL_") and text}
    exporters = _wanted(given)
    if _tracer is not None or not exporters:
        return
    os.environ.update(given)  # the SDK does not read .env
    for name, text in given.items():
        if name.endswith("_HEADERS"):
            _remember_tokens(text)
    from nexuslims_shared.telemetry.sdk import OpenTelemetry  # noqa: PLC0415 - if wanted

    _tracer = OpenTelemetry(service, exporters)


def is_on() -> bool:
    """Tell whether anything is traced: some links cost a question to the broker."""
    return _tracer is not None


def shutdown() -> None:
    """Send what was not sent yet, for some seconds at most, and trace no more; blocks."""
    global _tracer
    tracer, _tracer = _tracer, None
    if tracer is not None:
        tracer.shutdown()


def process(
    consumer: str, batch: Sequence[Recorded], *, attempt: int = 1
) -> AbstractContextManager[Span]:
    """Trace the handling of events that were delivered together: a unit of work.

    Parameters
    ----------
    consumer
        Who handles them.
    batch
        Events of one session.
    attempt
        How often the first of them was delivered, from 1.
    """
    return _NOTHING if _tracer is None else _tracer.process(consumer, batch, attempt)


def unit(
    name: str,
    session: str,
    causes: Iterable[Envelope] = (),
    *,
    replay: bool = False,
    attributes: Attributes | None = None,
) -> AbstractContextManager[Span]:
    """Trace a unit of work that no delivery begins.

    Parameters
    ----------
    name
        Of the span; there are few of them.
    session
        The session it is about.
    causes
        The events that led to it; it is linked to them, and to the unit it is begun in.
    replay
        Whether something is done again that was done before.
    attributes
        Of the span.
    """
    return _NOTHING if _tracer is None else _tracer.unit(name, session, causes, replay, attributes)


def span(name: str, attributes: Attributes | None = None) -> AbstractContextManager[Span]:
    """Trace a part of a unit of work.

    Parameters
    ----------
    name
        Of the span; there are few of them.
    attributes
        Of the span.
    """
    return _NOTHING if _tracer is None else _tracer.span(name, attributes)


def sending(envelopes: Sequence[Envelope]) -> AbstractContextManager[Sequence[Envelope]]:
    """Trace the storing of facts; yields them with the trace context that others link to."""
    return nullcontext(envelopes) if _tracer is None else _tracer.sending(envelopes)


def identifiers() -> dict[str, str]:
    """Return trace and span of what goes on, for a line of the log; nothing without traces."""
    return {} if _tracer is None else _tracer.identifiers()


def _wanted(given: Mapping[str, str]) -> list[str]:
    """Return the exporters that are asked for."""
    if given.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []
    addressed = any(name in given for name in _ADDRESSES)
    text = given.get("OTEL_TRACES_EXPORTER", "otlp" if addressed else "none")
    exporters = [part.strip() for part in text.split(",")]
    for one in exporters:
        if one not in _EXPORTERS:
            raise SettingsError(
                f"OTEL_TRACES_EXPORTER={text}: {one!r} is none of {', '.join(_EXPORTERS)}"
            )
    for name in _PROTOCOLS:
        if given.get(name, "http/protobuf") != "http/protobuf":
            raise SettingsError(
                f"{name}={given[name]}: traces are sent by http/protobuf: remove the variable, and"
                " give the collector's address for it (port 4318)"
            )
    return [one for one in exporters if one != "none"]


def _remember_tokens(headers: str) -> None:
    """Keep what authorises us at the collector out of all messages."""
    for header in headers.split(","):
        remember(header.partition("=")[2])
