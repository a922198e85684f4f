"""Reading one file in a process of its own, behind the walls.

The process has no way to anything but a pipe, on which it says what it does, what it made and what
it found. Whoever listens trusts none of it: it is parsed as data, and is of a bounded size.
"""

import ctypes
import os
import resource
import selectors
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

from nexuslims_contracts.text import printable

_PR_SET_PDEATHSIG: Final = 1
_HEADER: Final = struct.Struct("!BI")
_LARGEST: Final = 512 << 20
"""Bytes that a process may say in all: far more than metadata and previews ever are."""
_CHUNK: Final = 1 << 20
_MOST_PRINTED: Final = 64 << 10
"""Bytes that are passed on of what a process prints."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Kind(IntEnum):
    """What a frame on the pipe is."""

    STEP = 1
    """What is done next."""
    ARTIFACT = 2
    """A file that was made: its place, a zero byte, its bytes."""
    RESULT = 3
    """What was found."""
    FAILURE = 4
    """What went wrong: the error's class, a colon, its message."""


Send = Callable[[Kind, bytes], None]


@dataclass(slots=True)
class Reply:
    """What a process said before it ended, and how it ended.

    Parameters
    ----------
    artifacts
        What it made, by place.
    result, failure
        What it found, or what went wrong; None if it did not come to that.
    step
        What it said last that it would do next.
    exitcode
        Its exit status, or the negative of the signal that killed it.
    late
        Whether it was killed because it took too long.
    """

    artifacts: dict[str, bytes] = field(default_factory=dict)
    result: bytes | None = None
    failure: str | None = None
    step: str = ""
    exitcode: int = 0
    late: bool = False


def run(enter: Callable[[], None], work: Callable[[Send], None], *, seconds: float) -> Reply:
    """Run work in a process of its own, and return what it reply.

    Parameters
    ----------
    enter
        Puts up the walls around the process.
    work
        What is done behind them; it says what it finds.
    seconds
        After which it is killed.
    """
    parent = os.getpid()
    listening, speaking = os.pipe()
    overhearing, printing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_child(enter, work, parent, speaking, printing)
    os.close(speaking)
    os.close(printing)
    reply, printed = Reply(), bytearray()
    try:
        _listen(listening, overhearing, reply, printed, time.monotonic() + seconds)
    finally:
        os.kill(pid, signal.SIGKILL)  # whatever it still does: nobody listens
        _, status = os.waitpid(pid, 0)
        os.set_blocking(overhearing, False)  # a process that it started may keep it open
        with suppress(BlockingIOError):
            printed += os.read(overhearing, _MOST_PRINTED)
        os.close(listening)
        os.close(overhearing)
    _print(bytes(printed))
    if reply.exitcode == 0 and not reply.late:
        reply.exitcode = os.waitstatus_to_exitcode(status)
    return reply


def _be_child(
    enter: Callable[[], None],
    work: Callable[[Send], None],
    parent: int,
    speaking: int,
    printing: int,
) -> None:
    """Work, say how it went, and end; nothing of the parent's is cleaned up here."""
    code = 1
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            code = _enter_and_work(enter, work, speaking, printing)
    finally:
        os._exit(code)


def _enter_and_work(
    enter: Callable[[], None], work: Callable[[Send], None], speaking: int, printing: int
) -> int:
    def send(kind: Kind, payload: bytes) -> None:
        _write(speaking, _HEADER.pack(kind, len(payload)) + payload)

    try:
        inherited = _open_descriptors() - {0, 1, 2, speaking}
        _redirect(printing)
        enter()
        for descriptor in inherited:
            os.close(descriptor)
        work(send)
    except BaseException as error:  # noqa: BLE001 - the parent reports it
        text = f"{type(error).__name__}: {error}"
        send(Kind.FAILURE, text.encode("utf-8", "backslashreplace"))
    return 0


def _redirect(printing: int) -> None:
    """Have no log to fill and no terminal to type into: what is printed goes through a pipe."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(printing, 1)
    os.dup2(printing, 2)
    os.close(nothing)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _open_descriptors() -> set[int]:
    listed = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    return {one for one in listed if _is_open(one)}


def _is_open(descriptor: int) -> bool:
    """Tell whether it is more than what the folder was listed with."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _listen(
    listening: int, overhearing: int, reply: Reply, printed: bytearray, deadline: float
) -> None:
    """Take in what comes until the end, the deadline, or too much."""
    buffer, total = bytearray(), 0
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        selector.register(overhearing, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready:
                reply.late = True
                return
            for key, _ in ready:
                data = os.read(key.fd, _CHUNK)
                total += len(data)
                if total > _LARGEST or (key.fd == listening and not data):
                    return
                if key.fd == overhearing:
                    printed += data[: _MOST_PRINTED - len(printed)]
                    if not data:
                        selector.unregister(overhearing)
                    continue
                buffer += data
                for kind, payload in _frames(buffer):
                    _take(reply, kind, payload)


def _print(printed: bytes) -> None:
    """Pass on what was printed, without what a terminal or a reader of logs would obey."""
    for line in printed[:_MOST_PRINTED].decode("utf-8", "backslashreplace").splitlines():
        sys.stderr.write(f"{printable(line)}\n")
    sys.stderr.flush()


def _frames(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take whole frames off the beginning of what came."""
    while len(buffer) >= _HEADER.size:
        kind, length = _HEADER.unpack_from(buffer)
        if len(buffer) < _HEADER.size + length:
            return
        yield kind, bytes(buffer[_HEADER.size : _HEADER.size + length])
        del buffer[: _HEADER.size + length]


def _take(reply: Reply, kind: int, payload: bytes) -> None:
    if kind == Kind.STEP:
        reply.step = payload.decode("utf-8", "replace")
    elif kind == Kind.ARTIFACT:
        place, _, content = payload.partition(b"\0")
        reply.artifacts[os.fsdecode(place)] = content
    elif kind == Kind.RESULT:
        reply.result = payload
    elif kind == Kind.FAILURE:
        reply.failure = payload.decode("utf-8", "replace")
