"""A collector of traces for tests: takes OTLP by HTTP and keeps the spans."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span as it arrived."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    """Trace and id of the spans it is linked to."""
    failed: bool

    @property
    def session(self) -> str:
        """The session it is about."""
        return str(self.attributes.get("em.session.id", ""))


@dataclass(slots=True)
class Collector:
    """What has arrived so far."""

    endpoint: str
    spans: list[ReceivedSpan] = field(default_factory=list)
    schemas: set[str] = field(default_factory=set)
    raw: bytearray = field(default_factory=bytearray)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def take(self, body: bytes) -> None:
        """Take one request."""
        request = ExportTraceServiceRequest.FromString(body)
        with self.arrived:
            self.raw += body
            self.spans += _spans(request)
            self.schemas |= {
                scope.schema_url for one in request.resource_spans for scope in one.scope_spans
            }
            self.arrived.notify_all()

    def wait(self, condition: Callable[[list[ReceivedSpan]], bool], timeout: float = 30) -> None:
        """Wait until what has arrived is as wished."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: condition(self.spans), timeout):
                names = sorted({f"{span.service}: {span.name}" for span in self.spans})
                raise AssertionError(f"only these have arrived: {names}")

    def of(self, name: str, **attributes: Any) -> list[ReceivedSpan]:
        """Spans with a name, and with attributes (``_`` stands for a dot)."""
        wanted = {key.replace("_", "."): value for key, value in attributes.items()}
        return [
            span
            for span in self.spans
            if span.name == name and wanted.items() <= span.attributes.items()
        ]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""
    holder: list[Collector] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_traces = self.path == "/v1/traces"
            if is_traces:
                holder[0].take(body)
            self.send_response(200 if is_traces else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    holder.append(Collector(f"http://127.0.0.1:{server.server_port}"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield holder[0]
    finally:
        server.shutdown()
        server.server_close()


def _spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for one in request.resource_spans:
        resource = _attributes(one.resource.attributes)
        for scope in one.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    service=resource["service.name"],
                    name=span.name,
                    kind=span.kind,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    attributes=_attributes(span.attributes),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    failed=span.status.code == span.status.STATUS_CODE_ERROR,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
