"""``nexuslims people``: list those whom events refer to, forget one."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from nexuslims_console.actions.requests import request_rebuild
from nexuslims_console.errors import ConsoleError
from nexuslims_console.open_read_model import live_view
from nexuslims_console.queries import ReadModel
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.settings import read_settings

OUT_OF_REACH: Final = (
    "titles, purposes and sample descriptions that people wrote",
    "names of folders and files",
    "the operator's account in a vendor's metadata",
    "older versions of a record that a destination keeps, and backups",
    "the calendar itself",
)
"""Where a name may be that this system did not write."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The result of forgetting a person: sessions that refer to them, records made again."""

    sessions: tuple[str, ...]
    records: tuple[str, ...]


def show_all(*, as_json: bool) -> None:
    """Print all people whom events refer to."""
    rows = run(_everybody())
    if as_json:
        print_json(rows)
        return
    print_table(
        ("id", "name", "username", "e-mail", "sessions"),
        [
            (one["id"], one["name"], one["username"], one["email"], len(one["sessions"]))
            for one in rows
        ],
        nothing="nobody is known",
    )


async def _everybody() -> list[dict[str, Any]]:
    async with live_view(read_settings()) as (context, model):
        sessions = await asyncio.to_thread(model.sessions_by_person)
        known = await context.people.everybody()
    return [
        {
            "id": key,
            "name": f"{person.first_name} {person.last_name}".strip() if person else "forgotten",
            "username": person.username if person else "",
            "email": person.email if person else "",
            "sessions": sessions.get(key, []),
        }
        for key, person in known.items()
    ]


def forget(person_id: str, *, as_json: bool) -> None:
    """Erase a person's names and have the records that contain them made again.

    Parameters
    ----------
    person_id
        As ``nexuslims people list`` prints it.
    as_json
        Print JSON instead of messages.

    Raises
    ------
    ConsoleError
        If there is no such person.
    """
    done = run(_forget(person_id))
    if as_json:
        print_json({"id": person_id, "sessions": done.sessions, "rebuilt": done.records,
                    "out_of_reach": OUT_OF_REACH})  # fmt: skip
        return
    say(f"{person_id} is forgotten, and stays so when the calendar names them again")
    say(f"named by {len(done.sessions)} sessions; {len(done.records)} records are made again")
    for session in done.records:
        say(f"  {session}")
    say("Not reached; check these places yourself:")
    for place in OUT_OF_REACH:
        say(f"  {place}")


async def _forget(person_id: str) -> Forgotten:
    async with live_view(read_settings()) as (context, model):
        if person_id not in await context.people.everybody():
            raise ConsoleError(f"there is no person {person_id!r}: see `nexuslims people list`")
        await context.people.forget(person_id)
        found = await asyncio.to_thread(model.sessions_by_person, person_id)
        sessions = found.get(person_id, [])
        records = await asyncio.to_thread(_with_record, model, sessions)
        await request_rebuild(context.store, records, re_extract=False)
    return Forgotten(tuple(sessions), tuple(records))


def _with_record(model: ReadModel, sessions: Collection[str]) -> list[str]:
    return [row.session for row in model.sessions(only=sessions) if row.built_at]
