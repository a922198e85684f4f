"""``nexuslims build-records``: harvest, process what is pending, wait, report."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from nexuslims_console.dry_run import Entry, calendar_entries, files_of
from nexuslims_console.errors import ConsoleError
from nexuslims_console.facility import at_work, require_folders
from nexuslims_console.handled import has_handled, last_retry
from nexuslims_console.open_read_model import live_view
from nexuslims_console.probes import until_ready
from nexuslims_console.progress import progress_display
from nexuslims_console.queries import ReadModel
from nexuslims_console.session_table import Line, period, print_lines
from nexuslims_console.views import SessionRow
from nexuslims_console.waiting import (
    Outcome,
    may_get_files,
    outcomes,
    unharvested,
    unsettled,
)
from nexuslims_contracts.text import counted
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.context import ServiceContext, service_context
from nexuslims_shared.errors import BrokerUnavailableError, TopologyError
from nexuslims_shared.session.window import Window
from nexuslims_shared.settings import Settings, read_settings
from nexuslims_shared.tasks import end

log = logging.getLogger(__name__)

POLL_S: Final = 0.25
_HARVEST_S: Final = 30.0
"""What one harvest takes at most, with what the read model needs to follow."""
_RETRY_S: Final = 30.0
"""What taking up a retry takes at most, where the share is not away."""
_NOTHING: Final = "the calendar holds no sessions in this time"


def list_only(window: Window, *, as_json: bool, verbose: bool) -> bool:
    """List the sessions and files that a run would process; False if an entry cannot be used.

    Parameters
    ----------
    window
        The sessions meant.
    as_json
        Print JSON instead of a table.
    verbose
        List the files too.
    """
    settings = read_settings()
    entries = [_with_files(settings, entry) for entry in run(_entries(settings, window))]
    if as_json:
        print_json([{**asdict(entry), "files": files} for entry, files in entries])
    else:
        print_table(
            ("session", "when", "instrument", "title", "files", "problem"),
            [
                (
                    e.session,
                    period(e.start, e.end),
                    e.instrument,
                    e.title,
                    len(files or ()),
                    e.problem,
                )
                for e, files in entries
            ],
            nothing=_NOTHING,
        )
    if verbose:
        for entry, files in entries:
            say("\n  ".join([f"{entry.session}:", *(files or ())]))
    return all(entry.usable and files is not None for entry, files in entries)


async def _entries(settings: Settings, window: Window) -> list[Entry]:
    """Ask the calendars; a facility whose broker does not run is one that was never harvested."""
    try:
        async with service_context(settings, "console") as context:
            return await calendar_entries(settings, window, context.store)
    except (TopologyError, BrokerUnavailableError):
        return await calendar_entries(settings, window, None)


def _with_files(settings: Settings, entry: Entry) -> tuple[Entry, list[str] | None]:
    try:
        return entry, files_of(settings, entry)
    except ConsoleError as error:
        return replace(entry, problem=str(error)), None


@dataclass(frozen=True, slots=True)
class Printing:
    """What is printed: JSON, more, or nothing unless something needs a person."""

    as_json: bool = False
    verbose: bool = False
    quiet: bool = False


def build(window: Window, *, patience: float, how: Printing) -> bool:
    """Build the records that are due and print the outcome; True if no session needs attention.

    Parameters
    ----------
    window
        The sessions meant.
    patience
        Seconds to wait for them.
    how
        What is printed.
    """
    settings = read_settings()
    require_folders(settings)
    results = run(_build(settings, window, patience, how))
    ok = all(result.ok for result in results)
    if how.quiet and ok:
        return True
    if how.as_json:
        print_json({"ok": ok, "sessions": [asdict(result) for result in results]})
    else:
        lines = [
            Line(
                r.session, r.start, r.end, r.instrument, r.status, r.detail, r.files or 0, r.record
            )
            for r in results
        ]
        print_lines(lines, nothing=_NOTHING)
    return ok


async def _build(
    settings: Settings, window: Window, patience: float, how: Printing
) -> list[Outcome]:
    async with (
        at_work(
            settings,
            say=log.debug if how.quiet else say,
            without=("console",),
            command="build-records",
        ) as ports,
        live_view(settings) as (context, model),
        asyncio.TaskGroup() as tasks,
    ):
        entries = await calendar_entries(settings, window, context.store)
        if how.verbose:
            say(f"the calendar holds {counted(len(entries), 'session')} in this time")
        ready = tasks.create_task(_all_ready(ports))
        wait = _Wait(context, model, window, entries, ready, quiet=how.quiet)
        unfinished = await wait.until_settled(patience)
        await end(ready)
        rows = await asyncio.to_thread(model.sessions, window=window)
    return outcomes(entries, rows, unfinished=unfinished, late=wait.late)


async def _all_ready(ports: Mapping[str, int]) -> None:
    await asyncio.gather(*map(until_ready, ports.values()))


@dataclass(slots=True)
class _Wait:
    """Waiting for the sessions of a window.

    Parameters
    ----------
    context, model
        The event store, and the read model that is kept up to date with it.
    window, entries
        The sessions meant, and what the calendar holds of them.
    ready
        Done when all services are ready: before that, changes in the calendar may not be known.
    quiet
        Whether to show no progress.
    late
        Sessions found to wait for files that may still come.
    """

    context: ServiceContext
    model: ReadModel
    window: Window
    entries: Sequence[Entry]
    ready: asyncio.Task[None]
    quiet: bool = False
    late: frozenset[str] = frozenset()

    async def until_settled(self, patience: float) -> frozenset[str]:
        """Wait at most this many seconds; gives the sessions that were not in time.

        A session that two harvests did not take up will not come: the harvester's log and its dead
        letters say why.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + patience
        harvested_by = retried_by = deadline
        retry = await last_retry(self.context)
        with progress_display(quiet=self.quiet) as update:
            while True:
                if self.ready.done():
                    retried_by = min(clock() + _RETRY_S, retried_by)
                taken_up = clock() > retried_by or await has_handled(self.context, retry)
                current = taken_up and self.ready.done() and await self._is_current()
                if current and harvested_by == deadline:
                    interval = self.context.settings.harvest_interval
                    harvested_by = min(clock() + interval + _HARVEST_S, deadline)
                rows = await asyncio.to_thread(self.model.sessions, window=self.window)
                now = datetime.now(UTC)
                waiting = unsettled(self.entries, rows, now) - self.late
                update(rows, waiting)
                given_up = waiting <= unharvested(self.entries, rows, now)
                if current and given_up and (not waiting or clock() > harvested_by):
                    return waiting
                if clock() > deadline:
                    return waiting
                self.late |= await self._without_files(rows, waiting)
                await asyncio.sleep(POLL_S)

    async def _is_current(self) -> bool:
        """Tell whether the read model holds all that is in the log now."""
        ends = await self.context.store.positions()
        return (await asyncio.to_thread(self.model.position)).positions.reach(ends)

    async def _without_files(
        self, rows: Sequence[SessionRow], waiting: Collection[str]
    ) -> frozenset[str]:
        """If all that is left waits for files that may come late: those that have none now."""
        left = [row for row in rows if row.session in waiting]
        if len(left) < len(waiting):
            return frozenset()
        return await asyncio.to_thread(_without_files, self.context.settings, left)


def _without_files(settings: Settings, rows: Sequence[SessionRow]) -> frozenset[str]:
    """If all that is left waits for files that may come late: those that have none now."""
    delay, now = timedelta(days=settings.file_delay_days), datetime.now(UTC)
    if not all(may_get_files(row, delay, now) for row in rows):
        return frozenset()
    return frozenset(row.session for row in rows if not files_of(settings, _entry(row)))


def _entry(row: SessionRow) -> Entry:
    return Entry(row.session, row.instrument_pid, row.start, row.end, row.title, problem="")
