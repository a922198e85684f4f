"""A network between the services and their brokers that can be cut, held, and made deaf."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

_CHUNK = 65_536


@dataclass(slots=True)
class Proxy:
    """Passes connections on to a port of this machine.

    Parameters
    ----------
    target
        The port of the broker.
    """

    target: int
    _server: asyncio.Server | None = None
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _answers: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def port(self) -> int:
        """The port that services are to use."""
        if self._server is None:
            raise RuntimeError("the proxy is not open")
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._flows.set()
        self._answers.set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()

    def cut(self) -> None:
        """End all connections, as a switch does that is turned off for a moment."""
        for writer in list(self._writers):
            writer.transport.abort()

    def hold(self) -> None:
        """Let nothing through in either direction, until :meth:`release`."""
        self._flows.clear()

    def deafen(self) -> None:
        """Let nothing through that the broker says, until :meth:`release`, which cuts then."""
        self._answers.clear()

    def release(self) -> None:
        """Let everything through again; what was not heard while deaf never arrives."""
        if not self._answers.is_set():
            self.cut()
        self._answers.set()
        self._flows.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        if ours.get_extra_info("sockname") == ours.get_extra_info("peername"):
            ours.transport.abort()  # nobody listens, and the kernel connected it with itself
            writer.transport.abort()
            return
        self._writers |= {writer, ours}
        for task in (
            asyncio.create_task(self._pass(reader, ours, self._flows)),
            asyncio.create_task(self._pass(theirs, writer, self._answers)),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened: asyncio.Event
    ) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(_CHUNK):
                    await opened.wait()
                    await self._flows.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


@dataclass(frozen=True, slots=True)
class Network:
    """All ways to the brokers, which fail together.

    Parameters
    ----------
    proxies
        One for each broker.
    """

    proxies: tuple[Proxy, ...]

    @classmethod
    @asynccontextmanager
    async def to(cls, ports: Iterable[int]) -> AsyncIterator[Self]:
        """Open a way to each port of this machine, as long as the context lasts."""
        async with AsyncExitStack() as stack:
            proxies = [await stack.enter_async_context(Proxy(port)) for port in ports]
            yield cls(tuple(proxies))

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that services are to use."""
        return tuple(proxy.port for proxy in self.proxies)

    def cut(self) -> None:
        """End all connections; see :meth:`Proxy.cut`."""
        for proxy in self.proxies:
            proxy.cut()

    def hold(self) -> None:
        """Let nothing through; see :meth:`Proxy.hold`."""
        for proxy in self.proxies:
            proxy.hold()

    def deafen(self) -> None:
        """Let no answer through; see :meth:`Proxy.deafen`."""
        for proxy in self.proxies:
            proxy.deafen()

    def release(self) -> None:
        """Let everything through again; see :meth:`Proxy.release`."""
        for proxy in self.proxies:
            proxy.release()
