"""What the console watches over: the database, the read model in it, and work that is due."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError
from nexuslims_console.queries import DueWork, ReadModel
from nexuslims_contracts.text import counted
from nexuslims_shared.errors import CouldNotLookError
from nexuslims_shared.health import Check
from nexuslims_shared.store.port import EventStore
from nexuslims_shared.store.positions import Positions
from nexuslims_shared.threads import in_thread

T = TypeVar("T")


def check_database(database: Database) -> Check:
    """Return a check that the read model can be written and read."""

    def problem() -> str:
        try:
            database.probe()
        except ReadModelError as error:
            return str(error)
        return ""

    return Check("read model", lambda: in_thread(problem))


def check_projection(database: Database, stores: Sequence[EventStore], limit: timedelta) -> Check:
    """Return a check that the read model follows the stream.

    Parameters
    ----------
    database
        Where it is.
    stores
        The event store, once there is a connection to it.
    limit
        How long the read model may stay behind.
    """
    seen: list[tuple[Positions, datetime]] = []

    async def problem() -> str:
        if not stores:
            return ""
        ends = await stores[0].positions()
        held = (await _look(lambda: ReadModel(database).position())).positions
        if not seen or held.reach(ends) or held != seen[0][0]:
            seen[:] = [(held, datetime.now(UTC))]
        still = datetime.now(UTC) - seen[0][1]
        if still <= limit:
            return ""
        return (
            f"holds {held.messages} of {counted(ends.messages, 'event')},"
            f" and took none in for {minutes(still)}"
        )

    return Check("projection", problem, essential=False)


def check_due_work(database: Database, limit: timedelta) -> Check:
    """Return a check that no work of any service waits for long.

    Parameters
    ----------
    database
        Where the read model is.
    limit
        How long work may wait.
    """

    async def problem() -> str:
        late = await _look(lambda: overdue(ReadModel(database), limit))
        now = datetime.now(UTC)
        return "; ".join(
            f"{one.service}: {counted(one.sessions, 'session waits', 'sessions wait')},"
            f" one for {minutes(now - one.since)}"
            for one in late
        )

    return Check("due work", problem, essential=False)


def overdue(model: ReadModel, limit: timedelta) -> list[DueWork]:
    """Return the work that waits for too long. Blocks.

    Parameters
    ----------
    model
        The read model.
    limit
        How long work may wait.
    """
    now = datetime.now(UTC)
    return [due for due in model.due_work(now) if now - due.since > limit]


def minutes(duration: timedelta) -> str:
    """Return a duration in words, in minutes or seconds."""
    seconds = duration.total_seconds()
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"  # noqa: PLR2004


async def _look(read: Callable[[], T]) -> T:
    """Read the read model in a thread; where it cannot be read, nobody could look."""
    try:
        return await in_thread(read)
    except ReadModelError as error:
        raise CouldNotLookError(str(error)) from error
