"""An HTTP server on the loopback interface that fails on demand, to build fake services on."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self, TypeAlias, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

Fault: TypeAlias = Literal[
    "busy", "broken", "cut before", "cut after", "cut midway", "silent", "silent after"
]
"""How a request fails.

``busy``: 429, to be tried again at once. ``broken``: a web page with 503. ``cut before``: the
connection ends before the request has done anything. ``cut after``: it has, and nobody hears of it.
``cut midway``: half of the answer comes. ``silent``: nothing happens. ``silent after``: it is done,
and nothing comes.
"""
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)

_PAGE: Final = b"<!doctype html><title>Maintenance</title><p>We are back soon."


@dataclass(frozen=True, slots=True)
class Request:
    """A request; names of headers are in lower case, the path is decoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON; raises ValueError if it is none."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, document: Any) -> Self:
        """Answer with a document.

        Parameters
        ----------
        status
            Of the answer.
        document
            What it holds.
        """
        return cls(status, json.dumps(document, ensure_ascii=False).encode())

    def to_bytes(self) -> bytes:
        """Write it as HTTP/1.1."""
        headers = {"Content-Length": str(len(self.body)), **self.headers}
        if self.body:
            headers["Content-Type"] = self.kind
        lines = [f"HTTP/1.1 {self.status} x", *(f"{name}: {v}" for name, v in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


@dataclass(frozen=True, slots=True)
class _Order:
    """A fault that waits for its request."""

    fault: Fault
    on: str

    def fits(self, request: Request) -> bool:
        return re.match(self.on, f"{request.method} {request.path}") is not None


class FakeServer:
    """A server; what it answers is in ``handle``, which those who inherit write.

    Attributes
    ----------
    requests
        Everything that arrived whole.
    busiest
        The most requests there were at once.
    choose
        Decides on the fault of each request that none was ordered for; None for none.
    latency
        Seconds that each answer takes.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.busiest = 0
        self.choose: Callable[[Request], Fault | None] = lambda _: None
        self.latency = 0.0
        self.url = ""
        self._orders: list[_Order] = []
        self._now = 0
        self._talks: set[asyncio.Task[None]] = set()

    def handle(self, request: Request) -> Answer:
        """Answer a request; it may change what the server holds."""
        raise NotImplementedError

    def fail(self, *faults: Fault, on: str = "") -> None:
        """Let the next requests fail, one after the other.

        Parameters
        ----------
        *faults
            How.
        on
            Only requests that begin as this regular expression: ``POST /rest/data/$``.
        """
        self._orders += [_Order(fault, on) for fault in faults]

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[Self]:
        """Serve, at ``url``."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=2**20)
        host, bound = server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{bound}"
        try:
            yield self
        finally:
            server.close()
            for talk in list(self._talks):
                talk.cancel()
            await asyncio.gather(*self._talks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._converse(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._talk(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            return  # the client went
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request, and tell whether the connection goes on."""
        request = await _read(reader)
        self.requests.append(request)
        self._now += 1
        self.busiest = max(self.busiest, self._now)
        try:
            return await self._answer(request, reader, writer)
        finally:
            self._now -= 1

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        await asyncio.sleep(self.latency)
        fault = self._fault(request)
        if fault == "cut before":
            return False
        if fault == "silent":
            await reader.read()
            return False
        answer = _excuse(fault) or self.handle(request)
        if fault == "cut after":
            return False
        if fault == "silent after":
            await reader.read()
            return False
        content = answer.to_bytes()
        writer.write(content[: len(content) // 2] if fault == "cut midway" else content)
        await writer.drain()
        return fault != "cut midway"

    def _fault(self, request: Request) -> Fault | None:
        for order in self._orders:
            if order.fits(request):
                self._orders.remove(order)
                return order.fault
        return self.choose(request)


def _excuse(fault: Fault | None) -> Answer | None:
    if fault == "busy":
        return Answer(429, b'{"detail":"slow down"}', headers={"Retry-After": "0"})
    if fault == "broken":
        return Answer(503, _PAGE, "text/html")
    return None


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, unquote(parts.path), query, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body
