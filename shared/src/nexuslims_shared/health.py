"""Liveness and readiness: alive if the process answers, ready if everything it needs was just used.

A check has one of three results: all is well, something is wrong, or nobody could look. The last is
never taken for the first.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import nats.errors

from nexuslims_contracts.topology import BUCKETS, BucketSpec, ConsumerSpec
from nexuslims_shared.broker import missing
from nexuslims_shared.errors import CouldNotLookError, SharedError
from nexuslims_shared.secrets import hide

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = logging.getLogger(__name__)

_TIMEOUT_S = 3.0

INSTRUMENT_FOLDERS = "instrument folders"
"""The indexer's check that holds up only sessions of instruments whose folders are away."""


class Outcome(StrEnum):
    """What a check came to."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "could not look"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a check, and what is wrong or why nobody could look; empty if all is well."""

    outcome: Outcome
    reason: str = ""

    @property
    def text(self) -> str:
        """The result in one line: empty if all is well."""
        if self.outcome is Outcome.UNKNOWN:
            return f"could not look: {self.reason}"
        return self.reason


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of readiness.

    Parameters
    ----------
    name
        Of the condition.
    problem
        Looks, and returns what is wrong: empty text if nothing is. Raises
        :class:`~nexuslims_shared.errors.CouldNotLookError` where it cannot tell.
    essential
        Whether the service cannot work without it. What is not essential needs an operator, but
        keeps neither the service from being ready nor others from starting.
    """

    name: str
    problem: Callable[[], Awaitable[str]]
    essential: bool = True


Notes: TypeAlias = Callable[[], dict[str, str]]

Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]


class Examination:
    """Runs checks side by side, each of them once at a time.

    A look that hangs, at a share that is away, is not begun again: it would only take one more
    thread. Until it returns nobody can look.

    Parameters
    ----------
    patience
        Seconds that one look may take.
    """

    def __init__(self, patience: float = _TIMEOUT_S) -> None:
        self._patience = patience
        self._looking: dict[str, asyncio.Task[Result]] = {}

    async def results(self, checks: list[Check]) -> dict[str, Result]:
        """Return what the checks come to, by name."""
        found = await asyncio.gather(*map(self._result, checks))
        return {check.name: result for check, result in zip(checks, found, strict=True)}

    async def _result(self, check: Check) -> Result:
        looking = self._looking.get(check.name)
        if looking is None or looking.done():
            looking = self._looking[check.name] = asyncio.create_task(look(check))
        await asyncio.wait({looking}, timeout=self._patience)
        if looking.done():
            return looking.result()
        return Result(Outcome.UNKNOWN, f"no answer within {self._patience:g} s")


async def look(check: Check) -> Result:
    """Run one check; what keeps it from looking becomes a result, too."""
    try:
        problem = await check.problem()
    except CouldNotLookError as error:
        return Result(Outcome.UNKNOWN, str(error))
    except (TimeoutError, nats.errors.Error, OSError, SharedError) as error:
        return Result(Outcome.UNKNOWN, f"no answer ({error or type(error).__name__})")
    except Exception as error:
        log.exception("the check %s failed", check.name)
        return Result(Outcome.UNKNOWN, f"the check failed ({error or type(error).__name__})")
    return Result(Outcome.FAILED if problem else Outcome.OK, problem)


@dataclass(slots=True)
class Health:
    """The health endpoints of one service."""

    service: str
    checks: list[Check] = field(default_factory=list)
    unreadable: dict[int, str] = field(default_factory=dict)
    notes: Notes = dict
    examination: Examination = field(default_factory=Examination)

    async def alive(self, scope: Any, receive: Any, send: Send) -> None:
        """Answer 204: the process runs and its loop turns."""
        del scope, receive
        await _respond(send, 204, b"")

    async def ready(self, scope: Any, receive: Any, send: Send) -> None:
        """Answer 200 or 503, with each check and what is wrong with it.

        The answer is 200 if all that is essential is well, and ``well`` in it is true if the rest
        is too. Events that this release cannot read are named; they wait in the dead letters.
        """
        del scope, receive
        checks = list(self.checks)  # a service adds to them while it starts
        results = await self.examination.results(checks)
        if "broker" not in results:
            results["broker"] = Result(Outcome.FAILED, "not connected yet")
        bad = {name for name, result in results.items() if result.outcome is not Outcome.OK}
        beside = {check.name for check in checks if not check.essential}
        body = {
            "service": self.service,
            "ready": not bad - beside,
            "well": not bad,
            "checks": {name: hide(result.text) or "ok" for name, result in results.items()},
            "could_not_look": sorted(
                name for name, result in results.items() if result.outcome is Outcome.UNKNOWN
            ),
            "not_essential": sorted(beside),
            "notes": {name: hide(note) for name, note in self.notes().items()},
            "unreadable_events": {str(seq): hide(why) for seq, why in self.unreadable.items()},
        }
        await _respond(send, 200 if body["ready"] else 503, json.dumps(body).encode())


def check_broker(
    jetstream: "JetStreamContext",
    consumer: ConsumerSpec | None,
    buckets: Sequence[BucketSpec] = BUCKETS,
) -> Check:
    """Return a check that the broker answers and has the stream, the buckets and the consumer.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    consumer
        The one that the service works from, if it has one.
    buckets
        Those that it reads or writes.
    """

    async def problem() -> str:
        lacks = await missing(jetstream, [consumer] if consumer else [], buckets)
        return f"lacks {', '.join(lacks)}: run `nexuslims provision`" if lacks else ""

    return Check("broker", problem)


async def _respond(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
