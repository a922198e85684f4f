"""Spans by the OpenTelemetry SDK, with the messaging conventions v1.44; imported if wanted only."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Final
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Envelope, Recorded
from nexuslims_shared.logs import SESSION
from nexuslims_shared.telemetry.tracing import FILE, REPLAY, Attributes

FRESH: Final = timedelta(minutes=5)
"""An event older than this is handled in a trace of its own: the one it came from is complete."""
MOST_LINKS: Final = 64
_SHUTDOWN_S: Final = 5.0
_CONVENTIONS: Final = "https://opentelemetry.io/schemas/1.44.0"
_HEADER: Final = "traceparent"
_headers: Final = TraceContextTextMapPropagator()


class OpenTelemetry:
    """The spans of one process.

    Parameters
    ----------
    service
        Whose they are.
    exporters
        Where they go: ``otlp``, ``console``.
    """

    def __init__(self, service: str, exporters: Iterable[str]) -> None:
        release = version("nexuslims-shared")
        resource = Resource.create(
            {
                "service.namespace": "nexuslims",
                "service.version": release,
                "service.instance.id": str(uuid4()),
            }
        )
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": f"nexuslims-{service}"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for name in exporters:
            self._provider.add_span_processor(BatchSpanProcessor(_exporter(name)))
        self._tracer = self._provider.get_tracer("nexuslims", release, schema_url=_CONVENTIONS)

    def shutdown(self) -> None:
        """Send what was not sent yet; give up after some seconds, as a collector may be away."""
        thread = threading.Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(_SHUTDOWN_S)

    @contextmanager
    def process(
        self, consumer: str, batch: Sequence[Recorded], attempt: int
    ) -> Iterator["ActiveSpan"]:
        """Trace the handling of events; see :func:`nexuslims_shared.telemetry.tracing.process`.

        Parameters
        ----------
        consumer
            Who handles them.
        batch
            Events of one session.
        attempt
            How often the first was delivered.
        """
        age = datetime.now(UTC) - batch[0].stored_at
        replay = attempt > 1 or age > FRESH
        links = _links(recorded.envelope for recorded in batch)
        attributes = {
            **_messaging("process", [recorded.envelope for recorded in batch]),
            "messaging.consumer.group.name": consumer,
            "messaging.destination.subscription.name": consumer,
            "nexus.attempt": attempt,
            "nexus.age_s": round(age.total_seconds(), 3),
            REPLAY: replay,
        }
        parent = links[0].context if links and not replay and _is_single(batch) else None
        with self._start(SpanKind.CONSUMER, attributes, parent=parent, links=links) as span:
            yield span

    @contextmanager
    def unit(
        self,
        name: str,
        session: str,
        causes: Iterable[Envelope],
        replay: bool,
        attributes: Attributes | None,
    ) -> Iterator["ActiveSpan"]:
        """Trace a unit of work; see :func:`nexuslims_shared.telemetry.tracing.unit`.

        Parameters
        ----------
        name, session, causes, replay, attributes
            As there.
        """
        links = _links(causes)
        current = trace.get_current_span().get_span_context()
        if current.is_valid:
            links.append(Link(current))
        known = {SESSION: session, REPLAY: replay, **(attributes or {})}
        with self._start(SpanKind.INTERNAL, known, name=name, links=links) as span:
            yield span

    @contextmanager
    def span(self, name: str, attributes: Attributes | None) -> Iterator["ActiveSpan"]:
        """Trace a part of a unit; see :func:`nexuslims_shared.telemetry.tracing.span`.

        Parameters
        ----------
        name, attributes
            As there.
        """
        current = trace.get_current_span()
        inherited = getattr(current, "attributes", None) or {}
        known = {key: inherited[key] for key in (SESSION, REPLAY) if key in inherited}
        with self._start(
            SpanKind.INTERNAL,
            {**known, **(attributes or {})},
            name=name,
            parent=current.get_span_context(),
        ) as span:
            yield span

    @contextmanager
    def sending(self, envelopes: Sequence[Envelope]) -> Iterator[Sequence[Envelope]]:
        """Trace the storing of facts; see :func:`nexuslims_shared.telemetry.tracing.sending`."""
        attributes = _messaging("send", envelopes)
        current = trace.get_current_span().get_span_context()
        parent = current if current.is_valid else None
        if parent is None:
            attributes[REPLAY] = False
        with self._start(SpanKind.PRODUCER, attributes, parent=parent):
            carrier: dict[str, str] = {}
            _headers.inject(carrier)
            context = carrier.get(_HEADER, "")
            yield [replace(envelope, traceparent=context) for envelope in envelopes]

    def identifiers(self) -> dict[str, str]:
        """Return trace and span of what goes on."""
        current = trace.get_current_span().get_span_context()
        if not current.is_valid:
            return {}
        return {
            "trace_id": trace.format_trace_id(current.trace_id),
            "span_id": trace.format_span_id(current.span_id),
        }

    @contextmanager
    def _start(
        self,
        kind: SpanKind,
        attributes: Attributes,
        *,
        name: str = "",
        parent: SpanContext | None = None,
        links: Sequence[Link] = (),
    ) -> Iterator["ActiveSpan"]:
        named = name or f"{attributes[_OPERATION]} {attributes[_TEMPLATE]}"
        context = Context()
        if parent is not None:
            context = trace.set_span_in_context(trace.NonRecordingSpan(parent), context)
        with self._tracer.start_as_current_span(
            named,
            context=context,
            kind=kind,
            attributes=attributes,
            links=links,
            record_exception=False,  # its message may hold the name of a person
            set_status_on_exception=False,
        ) as span:
            active = ActiveSpan(span)
            try:
                yield active
            except Exception as error:
                active.fail(type(error).__name__)
                raise


class ActiveSpan:
    """A span that goes on."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        self._span.set_attributes(attributes)

    def fail(self, kind: str) -> None:
        """Note the kind of an error."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))


_OPERATION: Final = "messaging.operation.name"
_TEMPLATE: Final = "messaging.destination.template"


def _exporter(name: str) -> SpanExporter:
    return OTLPSpanExporter() if name == "otlp" else ConsoleSpanExporter()


def _messaging(operation: str, envelopes: Sequence[Envelope]) -> dict[str, Any]:
    """Return what the conventions say of events of one session."""
    first = envelopes[0].event
    templates = {subjects.template(one.event.filter()) for one in envelopes}
    attributes: dict[str, Any] = {
        SESSION: first.session,
        "messaging.system": "nats",
        _OPERATION: operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": subjects.PREFIX,
        _TEMPLATE: templates.pop() if len(templates) == 1 else f"{subjects.PREFIX}.{{session}}.>",
        "messaging.message.conversation_id": first.session,
    }
    if len(envelopes) > 1:
        attributes["messaging.batch.message_count"] = len(envelopes)
        return attributes
    attributes["messaging.message.id"] = envelopes[0].id
    for key, field in ((FILE, "file"), ("nexus.destination", "destination")):
        if value := getattr(first, field, ""):
            attributes[key] = value
    return attributes


def _links(envelopes: Iterable[Envelope]) -> list[Link]:
    """Return links to what the events were stored in, without repeats; the newest of many."""
    found: dict[str, SpanContext] = {}
    for envelope in envelopes:
        if envelope.traceparent and envelope.traceparent not in found:
            context = _headers.extract({_HEADER: envelope.traceparent})
            found[envelope.traceparent] = trace.get_current_span(context).get_span_context()
    return [Link(one) for one in list(found.values())[-MOST_LINKS:] if one.is_valid]


def _is_single(batch: Sequence[Recorded]) -> bool:
    """Tell whether a trace may go on: of an event about files there are as many as files."""
    return len(batch) == 1 and not getattr(batch[0].event, "file", "")
