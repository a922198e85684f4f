"""``nexuslims withdraw``: a record leaves all destinations, or may return to them."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Final

from nexuslims_console.actions.requests import request_withdrawal
from nexuslims_console.actions.sessions import required
from nexuslims_console.facility import at_work
from nexuslims_console.open_read_model import live_view
from nexuslims_console.queries import ReadModel
from nexuslims_console.views import SessionRow
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, say
from nexuslims_shared.session.status import FINAL, NOT_WITHDRAWN, WELL, WITHDRAWING
from nexuslims_shared.settings import Settings, read_settings

POLL_S: Final = 0.25
_UNNEEDED: Final = ("console", "harvester", "indexer", "extractor")


def withdraw_session(name: str, *, reason: str, undo: bool, patience: float, as_json: bool) -> bool:
    """Request that a record is withdrawn, or uploaded again; True if that succeeds.

    Parameters
    ----------
    name
        The session.
    reason
        Why; it is kept in the session's history.
    undo
        Allow the record at the destinations again.
    patience
        Seconds to wait until that is done; 0 to request it only.
    as_json
        Print the session as JSON.
    """
    row, held = run(_withdraw(read_settings(), name, reason, undo=undo, patience=patience))
    done = _is_done(row, undo=undo)
    if as_json:
        print_json(asdict(row))
    elif row.phase == NOT_WITHDRAWN:
        say(f"{name}: {row.reason}; after a repair: `nexuslims retry {name}`")
    elif not done:
        requested = "may be uploaded again" if undo else "will be withdrawn"
        say(f"{name}: its record {requested}; `nexuslims session {name}` shows how it goes")
    elif undo:
        say(f"{name}: {row.status}")
    elif held:
        say(f"{name}: its record was removed from {', '.join(held)}")
    else:
        say(f"{name}: no destination had a record of it; none will be uploaded")
    return row.status in WELL if done else not patience


def _is_done(row: SessionRow, *, undo: bool) -> bool:
    if undo:
        return row.status in FINAL or not row.built_at
    return not row.phase.startswith(WITHDRAWING)


async def _withdraw(
    settings: Settings, name: str, reason: str, *, undo: bool, patience: float
) -> tuple[SessionRow, list[str]]:
    """Publish the request; return the session as it is afterwards, and who had its record."""
    async with AsyncExitStack() as stack:
        if patience:
            await stack.enter_async_context(at_work(settings, say=say, without=_UNNEEDED))
        context, model = await stack.enter_async_context(live_view(settings))
        before = await asyncio.to_thread(required, model, name)
        held = [one.destination for one in before.uploads if one.uploaded]
        request = await request_withdrawal(context.store, name, withdrawn=not undo, reason=reason)
        row = await _settled(model, name, request, undo=undo, patience=patience)
        return row, held


async def _settled(
    model: ReadModel, name: str, request: int, *, undo: bool, patience: float
) -> SessionRow:
    """Wait until the read model knows the request and it is fulfilled, or the time is over."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        known = (await asyncio.to_thread(model.position)).positions.hold(request)
        row = await asyncio.to_thread(required, model, name)
        if known and (_is_done(row, undo=undo) or clock() > deadline):
            return row
        await asyncio.sleep(POLL_S)
