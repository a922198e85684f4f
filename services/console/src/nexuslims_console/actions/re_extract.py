"""``nexuslims rebuild --re-extract``: the files are read again too."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Final, TypeAlias

from nexuslims_console.actions.requests import reopen_imported, request_rebuild
from nexuslims_console.actions.sessions import required
from nexuslims_console.errors import ConsoleError
from nexuslims_console.facility import at_work
from nexuslims_console.open_read_model import live_view
from nexuslims_console.progress import progress_display
from nexuslims_console.queries import ReadModel
from nexuslims_console.session_table import print_sessions
from nexuslims_console.views import SessionRow
from nexuslims_console.waiting import not_rebuilt
from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import ExtractionFailed, MetadataExtracted
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, say
from nexuslims_shared.session.status import IMPORTED, WELL, WITHOUT_RECORD
from nexuslims_shared.session.window import Window
from nexuslims_shared.settings import Settings, read_settings
from nexuslims_shared.store.port import EventStore

Ask: TypeAlias = Callable[[EventStore, ReadModel], Awaitable[dict[str, int]]]
"""Publishes the requests; gives the sequence of each, by session."""

POLL_S: Final = 0.25
_UNNEEDED: Final = ("console", "harvester")


def re_extract(
    session: str,
    window: Window,
    extractor: str,
    *,
    patience: float,
    as_json: bool,
) -> bool:
    """Request that files are read again, wait for the records of that, print them.

    Parameters
    ----------
    session
        The one meant, or empty.
    window
        The sessions meant otherwise.
    extractor
        Only the files that it read last, and their sessions; all if empty.
    patience
        Seconds to wait for the records; 0 to request them only.
    as_json
        Print JSON instead of a table.

    Returns
    -------
    bool
        Whether all records are well.
    """

    async def ask(store: EventStore, model: ReadModel) -> dict[str, int]:
        names = await asyncio.to_thread(_meant, model, session, window)
        if extractor:
            names = await _read_by(store, extractor, names)
        await reopen_imported(store, names)
        return await request_rebuild(store, names, re_extract=True, extractor=extractor)

    rows, undone = run(_rebuild(read_settings(), ask, patience))
    ok = not undone and (not patience or all(row.status in WELL for row in rows))
    if as_json:
        print_json({"ok": ok, "sessions": list(map(asdict, rows)), "unfinished": sorted(undone)})
    else:
        print_sessions(rows)
    for name in sorted(undone):
        say(f"{name}: no new record within {patience:g} s; `nexuslims session {name}` says more")
    return ok


async def _rebuild(
    settings: Settings, ask: Ask, patience: float
) -> tuple[list[SessionRow], frozenset[str]]:
    """Give the sessions meant, and those without a new record."""
    async with AsyncExitStack() as stack:
        if patience:
            await stack.enter_async_context(at_work(settings, say=say, without=_UNNEEDED))
        context, model = await stack.enter_async_context(live_view(settings))
        requests = await ask(context.store, model)
        undone = await _wait(model, requests, patience) if patience else frozenset()
        return await asyncio.to_thread(model.sessions, only=requests.keys()), undone


def _meant(model: ReadModel, session: str, window: Window) -> list[str]:
    if not session:
        built = [row for row in model.sessions(window=window) if row.built_at]
        left_out = Counter(row.phase for row in built if row.status in WITHOUT_RECORD)
        for phase, count in left_out.most_common():
            say(f"left out: {count} ({phase})")
        return [row.session for row in built if row.status not in WITHOUT_RECORD]
    row = required(model, session)
    if row.phase == IMPORTED:
        return [session]
    if not row.built_at or row.status in WITHOUT_RECORD:
        raise ConsoleError(
            f"{session} has no record to make again: it is {row.status} ({row.phase});"
            f" try `nexuslims retry {session}`"
        )
    return [session]


async def _read_by(store: EventStore, extractor: str, sessions: Sequence[str]) -> list[str]:
    """Return those sessions of which an extractor read a file, or tried to."""
    outcomes = (MetadataExtracted, ExtractionFailed)
    filters = [subjects.file_subject("*", "*", outcome.kind()) for outcome in outcomes]
    found: set[str] = set()
    known: set[str] = set()
    async for item in store.read(filters=filters):
        match item:
            case Recorded(event=MetadataExtracted() | ExtractionFailed() as event):
                name = event.extractor.name if event.extractor else ""
                known.add(name)
                if name == extractor:
                    found.add(event.session)
    meant = [session for session in sessions if session in found]
    if not meant:
        raise ConsoleError(
            f"no file of these sessions was read by {extractor!r};"
            f" files were read by {', '.join(sorted(known - {''})) or 'nothing'}"
        )
    return meant


async def _wait(model: ReadModel, requests: Mapping[str, int], patience: float) -> frozenset[str]:
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    with progress_display() as update:
        while True:
            rows = await asyncio.to_thread(model.sessions, only=requests.keys())
            undone = not_rebuilt(requests, rows)
            update(rows, undone)
            if not undone or clock() > deadline:
                return undone
            await asyncio.sleep(POLL_S)
