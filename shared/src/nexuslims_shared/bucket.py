"""A key-value bucket: of the broker, or in memory for tests."""

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import nats.js.errors

from nexuslims_contracts.topology import BucketSpec
from nexuslims_shared.store.broker_errors import one_error_for_silence

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.kv import KeyValue


class Bucket(Protocol):
    """Bytes by key; no bytes stand for no such key."""

    async def get(self, key: str) -> bytes:
        """Return what is kept under a key; nothing if there is no such key."""
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Keep something under a key, and erase what was there."""
        ...

    async def create(self, key: str, value: bytes) -> bytes:
        """Keep something under a key, unless something is there; return what is there then."""
        ...

    async def keys(self) -> list[str]:
        """Return all keys in order."""
        ...


class MemoryBucket:
    """A bucket inside one process."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes:
        """Return what is kept; see the port."""
        return self._kept.get(key, b"")

    async def put(self, key: str, value: bytes) -> None:
        """Keep something; see the port."""
        self._kept[key] = value

    async def create(self, key: str, value: bytes) -> bytes:
        """Keep something that is not there; see the port."""
        return self._kept.setdefault(key, value)

    async def keys(self) -> list[str]:
        """Return all keys; see the port."""
        return sorted(self._kept)


class BrokerBucket:
    """A bucket of the broker.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    spec
        Which bucket; it must exist.
    """

    def __init__(self, jetstream: "JetStreamContext", spec: BucketSpec) -> None:
        self._js = jetstream
        self._name = spec.name
        self._erasable = spec.erasable
        self._opened: KeyValue | None = None

    async def get(self, key: str) -> bytes:
        """Return what is kept; see the port."""
        try:
            with one_error_for_silence():
                return (await (await self._open()).get(key)).value or b""
        except nats.js.errors.KeyNotFoundError:
            return b""

    async def put(self, key: str, value: bytes) -> None:
        """Keep something; see the port."""
        with one_error_for_silence():
            revision = await (await self._open()).put(key, value)
            if self._erasable:
                await self._erase_before(key, revision)

    async def create(self, key: str, value: bytes) -> bytes:
        """Keep something that is not there; see the port."""
        try:
            with one_error_for_silence():
                await (await self._open()).create(key, value)
        except nats.js.errors.KeyWrongLastSequenceError:
            return await self.get(key)
        return value

    async def _erase_before(self, key: str, revision: int) -> None:
        """Overwrite the earlier revisions of a key on the broker's disk."""
        stream, subject = f"KV_{self._name}", f"$KV.{self._name}.{key}"
        while True:
            first = await self._js.get_msg(stream, 1, subject, next=True)
            if first.seq is None or first.seq >= revision:
                return
            with suppress(nats.js.errors.NotFoundError):  # another one was faster
                await self._js.delete_msg(stream, first.seq)  # which overwrites

    async def remove(self, key: str) -> None:
        """Keep nothing under a key any more."""
        stream, subject = f"KV_{self._name}", f"$KV.{self._name}.{key}"
        with one_error_for_silence(), suppress(nats.js.errors.NotFoundError):
            while True:
                last = await self._js.get_last_msg(stream, subject)
                await self._js.delete_msg(stream, last.seq or 0)

    async def keys(self) -> list[str]:
        """Return all keys; see the port."""
        prefix = f"$KV.{self._name}."
        with one_error_for_silence():
            info = await self._js.stream_info(f"KV_{self._name}", subjects_filter=f"{prefix}>")
        return sorted(subject.removeprefix(prefix) for subject in info.state.subjects or ())

    async def _open(self) -> "KeyValue":
        if self._opened is None:
            self._opened = await self._js.key_value(self._name)
        return self._opened
