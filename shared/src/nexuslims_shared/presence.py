"""Which services are at work: each notes on the broker that it is, again and again.

A service that has a consumer is known by asking for messages; the harvester and the console have
none, and the list of connections is not everybody's to read.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import nats.errors
import nats.js.errors

from nexuslims_contracts.topology import PROBES
from nexuslims_shared.bucket import BrokerBucket
from nexuslims_shared.tasks import end, unless_broker_is_gone

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = logging.getLogger(__name__)

GONE_S: Final = 20.0
"""A service that has noted nothing for so long was killed."""

_EVERY_S: Final = 5.0
_PREFIX: Final = "at-work"
_KEY: Final = re.compile(rf"{_PREFIX}[.-](\w+)[.-]\w+")
"""Of a note; earlier releases, which may still run, parted it by hyphens."""
_STREAM: Final = f"KV_{PROBES.name}"


@asynccontextmanager
async def at_work(jetstream: "JetStreamContext", service: str) -> AsyncIterator[None]:
    """Note on the broker that a service is at work, until it ends.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    service
        Its name.
    """
    key = f"{_PREFIX}.{service}.{uuid4().hex[:12]}"
    noting = asyncio.create_task(_note(jetstream, key))
    try:
        yield
    finally:
        await end(noting)
        await unless_broker_is_gone(_put(jetstream, key, b""))


async def services_at_work(jetstream: "JetStreamContext") -> list[str]:
    """Return the names of the services that are at work, or were until seconds ago and died.

    Parameters
    ----------
    jetstream
        A context on a live connection of the operator or the console.
    """
    try:
        keys = await BrokerBucket(jetstream, PROBES).keys()
    except nats.js.errors.NotFoundError:
        return []  # nobody has provisioned this broker
    own = f"console.{uuid4().hex[:12]}"
    await _put(jetstream, own, b"")
    now = await jetstream.get_last_msg(_STREAM, _subject(own))  # by the broker's own clock
    found = set()
    for named in filter(None, map(_KEY.fullmatch, keys)):
        note = await jetstream.get_last_msg(_STREAM, _subject(named[0]))
        if note.data and note.time and now.time and (now.time - note.time).total_seconds() < GONE_S:
            found.add(named[1])
    return sorted(found)


async def _note(jetstream: "JetStreamContext", key: str) -> None:
    """Note it until cancelled; while the broker is away, nobody can look either."""
    while True:
        try:
            await _put(jetstream, key, b"at work")
        except nats.errors.Error as error:
            log.debug("the broker takes no note: %s", error or type(error).__name__)
        await asyncio.sleep(_EVERY_S)


async def _put(jetstream: "JetStreamContext", key: str, note: bytes) -> None:
    await jetstream.publish(_subject(key), note, stream=_STREAM)


def _subject(key: str) -> str:
    return f"$KV.{PROBES.name}.{key}"
