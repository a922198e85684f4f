"""Liveness and readiness: alive if the process answers, ready if everything it needs is there."""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import nats.errors

from nexuslims_contracts.topology import ConsumerSpec
from nexuslims_shared.broker import missing
from nexuslims_shared.secrets import hide

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = logging.getLogger(__name__)

_TIMEOUT_S = 3.0

INSTRUMENT_FOLDERS = "instrument folders"
"""The indexer's check that holds up only sessions of instruments whose folders are away."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of readiness: empty text if it holds, otherwise what is wrong."""

    name: str
    problem: Callable[[], Awaitable[str]]


Notes: TypeAlias = Callable[[], dict[str, str]]

Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Health:
    """The health endpoints of one service."""

    service: str
    checks: list[Check] = field(default_factory=list)
    unreadable: dict[int, str] = field(default_factory=dict)
    notes: Notes = dict

    async def alive(self, scope: Any, receive: Any, send: Send) -> None:
        """Answer 204: the process runs and its loop turns."""
        del scope, receive
        await _respond(send, 204, b"")

    async def ready(self, scope: Any, receive: Any, send: Send) -> None:
        """Answer 200 or 503, with each check and what is wrong with it.

        Events that this release cannot read are named too; they wait in the dead letters and do
        not make the service unready for the others.
        """
        del scope, receive
        problems = {check.name: await _ask(check) for check in self.checks}
        if "broker" not in problems:
            problems["broker"] = "not connected yet"
        ready = not any(problems.values())
        body = {
            "service": self.service,
            "ready": ready,
            "checks": {name: hide(problem) or "ok" for name, problem in problems.items()},
            "notes": {name: hide(note) for name, note in self.notes().items()},
            "unreadable_events": {str(seq): hide(why) for seq, why in self.unreadable.items()},
        }
        await _respond(send, 200 if ready else 503, json.dumps(body).encode())


def check_broker(jetstream: "JetStreamContext", consumer: ConsumerSpec | None) -> Check:
    """Return a check that the broker answers and has the stream, the buckets and the consumer.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    consumer
        The one that the service works from, if it has one.
    """

    async def problem() -> str:
        lacks = await missing(jetstream, [consumer] if consumer else [])
        return f"lacks {', '.join(lacks)}: run `nexuslims provision`" if lacks else ""

    return Check("broker", problem)


def check_mount(path: Path, *, writable: bool) -> Check:
    """Return a check that a folder exists and can be read, or written.

    Parameters
    ----------
    path
        Of the folder.
    writable
        Whether it must be writable too.
    """

    def problem() -> str:
        if not path.is_dir():
            return f"{path} is not there: is the share mounted?"
        if not os.access(path, os.R_OK | (os.W_OK if writable else 0)):
            return f"{path} cannot be {'written' if writable else 'read'}"
        return ""

    return Check(f"mount {path}", lambda: asyncio.to_thread(problem))


async def _ask(check: Check) -> str:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await check.problem()
    except (TimeoutError, nats.errors.Error, OSError) as error:
        return f"no answer ({type(error).__name__})"


async def _respond(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
