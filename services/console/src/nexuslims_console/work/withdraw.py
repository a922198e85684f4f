"""Withdrawing a session's record from everywhere."""

import asyncio

from nexuslims_console.asynchronous import run
from nexuslims_console.output import say
from nexuslims_console.view import live_view
from nexuslims_console.work.requests import request_withdrawal
from nexuslims_console.work.sessions import required
from nexuslims_shared.settings import read_settings


def withdraw_session(name: str, *, reason: str, undo: bool) -> None:
    """Ask to take the record away from all destinations, or to bring it back."""
    run(_withdraw_session(name, reason=reason, undo=undo))
    what = "may be shown again" if undo else "is taken away from every destination"
    say(f"{name}: its record {what}; `nexuslims session {name}` shows how it goes")


async def _withdraw_session(name: str, *, reason: str, undo: bool) -> None:
    async with live_view(read_settings()) as (around, model):
        await asyncio.to_thread(required, model, name)
        await request_withdrawal(around.store, name, withdrawn=not undo, reason=reason)
