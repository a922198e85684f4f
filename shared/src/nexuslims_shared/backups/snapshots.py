"""One stream as a file and back: the broker's own snapshots, which nats-py 2.16 does not know.

References
----------
ADR-2 of NATS; the requests ``$JS.API.STREAM.SNAPSHOT`` and ``$JS.API.STREAM.RESTORE``.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import nats.js.errors

from nexuslims_shared.errors import BackupError
from nexuslims_shared.store.broker_errors import one_error_for_silence, retrying
from nexuslims_shared.store.direct import DirectReader, Stored

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from nexuslims_shared.broker_client import BrokerClient

See: TypeAlias = Callable[[Stored], None]
"""Is called with each message that is read."""

_CHUNK: Final = 128 * 1024
_SILENCE_S: Final = 60.0
_RECOVERY_S: Final = 3600.0
"""How long the broker may take to read a whole stream that was handed to it."""
_PATIENCE_S: Final = 30.0
_EVERYTHING: Final = ">"
_STATUS: Final = "Status"
_COMPLETE: Final = "204"
_OF_THE_ANSWER: Final = frozenset(
    {"Nats-Stream", "Nats-Num-Pending", "Nats-Last-Sequence", "Nats-UpTo-Sequence"}
)
"""Headers that tell of the answer a message came in, and not of the message."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the broker says of a stream whose snapshot was taken: its definition and its state."""

    config: dict[str, Any]
    state: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the stream."""
        return str(self.config["name"])

    @property
    def messages(self) -> int:
        """How many messages it holds."""
        return int(self.state["messages"])

    @property
    def last(self) -> int:
        """Number of its last message."""
        return int(self.state["last_seq"])


async def take_snapshot(
    client: "BrokerClient", stream: str, write: Callable[[bytes], object]
) -> Snapshot:
    """Have the broker send a stream, with its consumers, as of now.

    Parameters
    ----------
    client
        A live connection of the operator.
    stream
        Name of the stream.
    write
        Takes the bytes, piece by piece; called in a thread.

    Raises
    ------
    BackupError
        If the broker refuses, or stops before the end.
    """
    inbox = client.new_inbox()
    end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    heard = asyncio.Event()

    async def receive(message: "Msg") -> None:
        heard.set()
        if message.data:
            await asyncio.to_thread(write, message.data)
            if message.reply:
                await client.publish(message.reply)
        elif not end.done():
            end.set_result((message.headers or {}).get(_STATUS, _COMPLETE))

    subscription = await client.subscribe(inbox, cb=receive)
    try:
        request = {"deliver_subject": inbox, "chunk_size": _CHUNK, "jsck": True}
        answer = await _ask(client, f"$JS.API.STREAM.SNAPSHOT.{stream}", request)
        while not end.done():
            heard.clear()
            await asyncio.wait_for(heard.wait(), _SILENCE_S)
    except TimeoutError as error:
        raise BackupError(f"stream {stream}: the broker stopped half way: try again") from error
    finally:
        await subscription.unsubscribe()
    if end.result() != _COMPLETE:
        raise BackupError(f"stream {stream}: the broker gave up with status {end.result()}")
    return Snapshot(answer["config"], answer["state"])


async def restore_snapshot(
    client: "BrokerClient", snapshot: Snapshot, file: Path, *, replicas: int
) -> None:
    """Bring a stream back, with its consumers; no stream of its name may be there.

    Parameters
    ----------
    client
        A live connection of the operator.
    snapshot
        The stream's definition and state.
    file
        Its bytes.
    replicas
        How many servers are to hold it.

    Raises
    ------
    BackupError
        If the broker refuses it.
    """
    config = {**snapshot.config, "num_replicas": replicas}
    config.pop("placement", None)
    stream = config["name"]
    request = {"config": config, "state": snapshot.state}
    answer = await _ask(client, f"$JS.API.STREAM.RESTORE.{stream}", request)
    subject = answer["deliver_subject"]
    chunks = _chunks(file)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        await _send(client, stream, subject, chunk, _SILENCE_S)
    found = await _send(client, stream, subject, b"", _RECOVERY_S)
    if found["state"]["messages"] != snapshot.messages:
        raise BackupError(
            f"stream {stream}: {found['state']['messages']} of {snapshot.messages} messages"
            " came back: the backup is damaged, use another one"
        )


async def read_content(client: "BrokerClient", snapshot: Snapshot, see: See) -> str:
    """Return a SHA-256 of all messages of a stream, with subjects, times and headers.

    Parameters
    ----------
    client
        A live connection.
    snapshot
        The stream, up to which message.
    see
        Is called with each message.

    Raises
    ------
    BrokerUnavailableError
        If the broker does not answer.
    """
    next_messages = _next_directly if snapshot.config.get("allow_direct") else _next_one
    digest, number = hashlib.sha256(), 0
    while number < snapshot.last:
        async for attempt in retrying(_PATIENCE_S):
            with attempt:
                messages = await next_messages(client, snapshot.name, number)
        if not messages:
            break
        for message in messages:
            number = message.sequence
            if number <= snapshot.last:
                digest.update(_canonical(message))
                see(message)
    return digest.hexdigest()


async def _next_directly(client: "BrokerClient", stream: str, after: int) -> list[Stored]:
    return await DirectReader(client, stream, _EVERYTHING).after(after, _EVERYTHING)


async def _next_one(client: "BrokerClient", stream: str, after: int) -> list[Stored]:
    """Return the next message of a stream that allows no direct gets: buckets, which are small."""
    try:
        found = await client.jetstream().get_msg(stream, after + 1, _EVERYTHING, next=True)
    except nats.js.errors.NotFoundError:
        return []
    subject, number = found.subject or "", found.seq or 0
    time = {
        "Nats-Subject": subject,
        "Nats-Time-Stamp": found.time.isoformat() if found.time else "",
    }
    return [Stored(number, subject, {**(found.headers or {}), **time}, found.data or b"")]


def _canonical(message: Stored) -> bytes:
    headers = {key: text for key, text in message.headers.items() if key not in _OF_THE_ANSWER}
    return json.dumps(headers, sort_keys=True).encode() + b"\n" + message.payload + b"\n"


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            yield chunk


async def _ask(client: "BrokerClient", subject: str, request: dict[str, Any]) -> dict[str, Any]:
    with one_error_for_silence():
        message = await client.request(subject, json.dumps(request).encode(), timeout=_SILENCE_S)
    return _checked(subject.rpartition(".")[2], message.data)


async def _send(
    client: "BrokerClient", stream: str, subject: str, chunk: bytes, patience: float
) -> dict[str, Any]:
    with one_error_for_silence():
        message = await client.request(subject, chunk, timeout=patience)
    return _checked(stream, message.data)


def _checked(stream: str, answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer) if answer else {}
    if "error" in found:
        raise BackupError(f"stream {stream}: the broker refuses: {found['error']['description']}")
    return found
