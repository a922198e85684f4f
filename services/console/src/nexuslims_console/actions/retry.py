"""``nexuslims retry`` and ``nexuslims dead-letters``."""

import asyncio
from typing import Any

from nexuslims_console.actions.requests import by_whom, request_retry
from nexuslims_console.actions.sessions import read_status, required
from nexuslims_console.errors import ConsoleError
from nexuslims_console.open_read_model import live_view
from nexuslims_contracts.dead_letters import DeadLetter
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.subjects import session_of
from nexuslims_contracts.text import counted
from nexuslims_contracts.topology import CONSUMERS
from nexuslims_shared.broker import require_provisioned
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.facility import command_context
from nexuslims_shared.settings import Settings, read_settings


def retry_session(name: str, *, overwrite: bool = False) -> None:
    """Request that what failed for a session is tried again.

    Parameters
    ----------
    name
        The session.
    overwrite
        Whether to overwrite what people changed in the record at a destination.
    """
    settings = read_settings()
    run(_retry_session(settings, name, overwrite=overwrite))
    say(f"{name}: what failed is tried again{by_whom(settings)}")


async def _retry_session(settings: Settings, name: str, *, overwrite: bool) -> None:
    async with live_view(settings) as (context, model):
        await asyncio.to_thread(required, model, name)
        await request_retry(context.store, name, overwrite=overwrite)


def retry_all(status: str) -> None:
    """Request that what failed is tried again for every session in a status.

    Raises
    ------
    typer.BadParameter
        If there is no such status.
    """
    wanted = read_status(status)
    settings = read_settings()
    count = run(_retry_all(settings, wanted))
    say(f"{counted(count, 'session')} in {wanted}: what failed is tried again{by_whom(settings)}")


async def _retry_all(settings: Settings, status: str) -> int:
    async with live_view(settings) as (context, model):
        names = await asyncio.to_thread(model.names, status=status)
        for name in names:
            await request_retry(context.store, name)
    return len(names)


def list_letters(*, as_json: bool) -> None:
    """Print all dead letters."""
    letters = run(_letters())
    if as_json:
        print_json([letter.model_dump() for letter in letters])
        return
    print_table(
        ("number", "service", "event", "about", "reason"),
        [(one.number, one.consumer, one.sequence, one.subject, one.reason) for one in letters],
        nothing="no dead letters",
    )


async def _letters() -> list[DeadLetter]:
    async with command_context(read_settings(), "console") as context:
        return [letter async for letter in context.dead_letters.read()]


def show_letter(number: int) -> None:
    """Print one dead letter, with the event that it is about."""
    print_json(run(_letter_and_event(number)))


async def _letter_and_event(number: int) -> dict[str, Any]:
    async with command_context(read_settings(), "console") as context:
        letter = await letter_of(context, number)
        item = await context.store.get(letter.sequence) if letter.sequence else None
    event = item.event.model_dump(mode="json") if isinstance(item, Recorded) else None
    return {**letter.model_dump(), "event": event}


def retry_letter(number: int) -> None:
    """Request that the event of a dead letter is handled again; its service closes the letter."""
    say(run(_retry_letter(number)))


async def _retry_letter(number: int) -> str:
    async with command_context(read_settings(), "console") as context:
        await require_provisioned(context.jetstream, CONSUMERS)
        return await retry_dead_letter(context, await letter_of(context, number))


async def retry_dead_letter(context: ServiceContext, letter: DeadLetter) -> str:
    """Request that what a dead letter is about is handled again; say what that means.

    Parameters
    ----------
    context
        A connection to the broker.
    letter
        The dead letter.
    """
    if letter.sequence:
        session = session_of(letter.subject)
        await request_retry(context.store, session)
        return f"{session}: what failed is tried again; the letter is closed when that succeeds"
    await context.dead_letters.remove(letter.number)
    return f"{letter.subject}: the {letter.consumer} reads it again at its next round"


async def letter_of(context: ServiceContext, number: int) -> DeadLetter:
    """Return a dead letter.

    Parameters
    ----------
    context
        A connection to the broker.
    number
        Of the letter.

    Raises
    ------
    ConsoleError
        If there is no such letter.
    """
    async for letter in context.dead_letters.read():
        if letter.number == number:
            return letter
    raise ConsoleError(f"there is no dead letter {number}: see `nexuslims dead-letters list`")
