"""Keeping the embedded broker at work: started again when it ends, and when it only seems to work.

nats-server refuses every message of a stream once its disk was full, also when there is room again;
what it answers to questions looks well (measured 2026-11, nats-server 2.15). Restarting cures it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential

from nexuslims_shared.context import service_context
from nexuslims_shared.doctor import find
from nexuslims_shared.embedded import EmbeddedBroker, start_embedded_beside
from nexuslims_shared.errors import CouldNotLookError, SharedError, TopologyError
from nexuslims_shared.health import Check, Outcome
from nexuslims_shared.probes import ROOM_FOR_BROKER, has_room, store_probe
from nexuslims_shared.settings import Settings
from nexuslims_shared.tasks import end
from nexuslims_shared.threads import in_thread

Say = Callable[[str], None]

LOOK_EVERY_S: Final = 5.0
SILENT_FOR_S: Final = 60.0
"""A broker that answers nothing for so long is restarted; a busy one may take its time."""


@asynccontextmanager
async def broker_at_work(
    settings: Settings,
    say: Say,
    *,
    look_every: float = LOOK_EVERY_S,
    silent_for: float = SILENT_FOR_S,
) -> AsyncIterator[None]:
    """Run the embedded broker, unless another one is configured.

    Parameters
    ----------
    settings
        The facility's.
    say
        Takes messages for the operator.
    look_every
        Seconds between two looks at whether it stores.
    silent_for
        Seconds after which a broker that does not answer is restarted.
    """
    if settings.nats_url:
        yield
        return
    starting = partial(start_embedded_beside, periods=settings.has_periods, say=say)
    current = [await starting(settings.state_path)]
    keeping = (
        asyncio.create_task(_restart_when_ended(current, starting, say)),
        asyncio.create_task(_end_when_sick(settings, current, say, look_every, silent_for)),
    )
    try:
        yield
    finally:
        await end(*keeping)
        await in_thread(current[0].stop)


async def _restart_when_ended(
    current: list[EmbeddedBroker], starting: Callable[..., Awaitable[EmbeddedBroker]], say: Say
) -> None:
    """Start the broker again, on the same port, whenever it ends."""
    while True:
        broker = current[0]
        code = await in_thread(broker.process.wait)
        say(f"the broker ended (exit code {code}): it is started again")
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((SharedError, OSError)),
            wait=wait_exponential(multiplier=0.2, max=10),
            before_sleep=lambda state: say(
                f"the broker cannot be started ({state.outcome and state.outcome.exception()}),"
                " and is tried again"
            ),
        ):
            with attempt:
                current[0] = await starting(broker.state, port=broker.port)
        say("the broker is back")


async def _end_when_sick(
    settings: Settings,
    current: list[EmbeddedBroker],
    say: Say,
    look_every: float,
    silent_for: float,
) -> None:
    """Look now and then whether the broker stores; end it where only a restart can help."""
    clock = asyncio.get_running_loop().time
    heard_at = clock()
    while True:
        await asyncio.sleep(look_every)
        broker = current[0]
        found = await find(Check("broker", lambda: _store(settings)))
        if found.outcome is not Outcome.UNKNOWN:
            heard_at = clock()
        refused = found.problem if found.outcome is Outcome.FAILED else broker.refusals()
        if not refused and clock() - heard_at < silent_for:
            continue
        if broker is not current[0] or broker.process.poll() is not None:
            heard_at = clock()  # it was, or is, restarted anyway
        elif not await in_thread(lambda: has_room(settings.state_path, ROOM_FOR_BROKER)):
            say(f"the broker: {found.problem or refused}; there is no room on its disk")
        else:
            say(f"the broker is restarted: {refused or found.problem}")
            await in_thread(broker.end)
            heard_at = clock()


async def _store(settings: Settings) -> str:
    try:
        async with service_context(settings, "keeper") as context:
            return await store_probe(context.jetstream, "keeper")
    except TopologyError as error:
        raise CouldNotLookError(str(error)) from error
