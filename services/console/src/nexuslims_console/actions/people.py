"""``nexuslims people``: list those whom events refer to, forget one."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nexuslims_console.actions.requests import by_whom, request_rebuild
from nexuslims_console.errors import ConsoleError
from nexuslims_console.open_read_model import live_view
from nexuslims_console.queries import ReadModel
from nexuslims_console.views import SessionRow
from nexuslims_contracts.text import counted
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.people import Person
from nexuslims_shared.session.status import WITHOUT_RECORD
from nexuslims_shared.settings import read_settings

OUT_OF_REACH: Final = (
    "titles, purposes and sample descriptions that people wrote",
    "names of folders and files",
    "pictures: a vendor's data bar may have the operator in it",
    "the microscope files themselves, which are only read",
    "what reasons of failures and dead letters quote of a file or a calendar",
    "files of an earlier system that were kept aside (`.kept`)",
    "what earlier releases read: their events have operators as files name them",
    "older versions of a record that a destination keeps",
    "backups, snapshots of disks, and a broker cluster's write-ahead logs until they are compacted",
    "what was taken home with `nexuslims export`",
    "the calendar itself",
    "files that come later and name them as no file did before",
)
"""Where a name may be that this system did not write, or cannot overwrite."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The result of forgetting a person.

    Parameters
    ----------
    people
        All ids that stood for them: a file's operator has one of its own.
    sessions
        Those that refer to them.
    records
        Those whose record is made again.
    removed
        Those of which no record may be shown: what is left of one is removed.
    perhaps
        Ids of operators whom files name in a way that others may be named in, too.
    """

    people: tuple[str, ...]
    sessions: tuple[str, ...]
    records: tuple[str, ...]
    removed: tuple[str, ...]
    perhaps: tuple[str, ...]


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
        print_json({"id": person_id, "ids": done.people, "sessions": done.sessions,
                    "rebuilt": done.records, "removed": done.removed, "perhaps": done.perhaps,
                    "out_of_reach": OUT_OF_REACH})  # fmt: skip
        return
    say(f"{person_id} is forgotten, and stays so when the calendar names them again")
    for other in done.people:
        if other != person_id:
            say(f"so is {other}: the same person, as files or another calendar name them")
    for other in done.perhaps:
        say(f"{other} may be the same person: look at `nexuslims people list`, and forget them too")
    again = counted(len(done.records), "record is", "records are")
    when = by_whom(read_settings()) if done.records else ""
    say(f"named by {counted(len(done.sessions), 'session')}; {again} made again{when}")
    for session in done.records:
        say(f"  {session}")
    say("Not reached; check these places yourself:")
    for place in OUT_OF_REACH:
        say(f"  {place}")


async def _forget(person_id: str) -> Forgotten:
    async with live_view(read_settings()) as (context, model):
        everybody = await context.people.everybody()
        if person_id not in everybody:
            raise ConsoleError(f"there is no person {person_id!r}: see `nexuslims people list`")
        people = same_person(everybody, person_id)
        perhaps = perhaps_same(everybody, people)
        for one in people:
            await context.people.forget(one)
        sessions = await asyncio.to_thread(_sessions, model, people)
        with_record = [
            row for row in await asyncio.to_thread(_rows, model, sessions) if row.built_at
        ]
        await request_rebuild(context.store, [row.session for row in with_record], re_extract=False)
    return Forgotten(
        tuple(people),
        tuple(sessions),
        tuple(row.session for row in with_record if row.status not in WITHOUT_RECORD),
        tuple(row.session for row in with_record if row.status in WITHOUT_RECORD),
        perhaps,
    )


def same_person(everybody: Mapping[str, Person | None], person_id: str) -> list[str]:
    """Return all ids of a person: files name their operators, who have ids of their own.

    Parameters
    ----------
    everybody
        All names by id.
    person_id
        One of the person's ids; it comes first.
    """
    found = [person_id]
    for one in found:  # grows: whom an operator's name leads to may lead to another
        person = everybody[one]
        found += [
            key
            for key, other in everybody.items()
            if key not in found and person is not None and other is not None
            and (person.is_named_by(other.username) or other.is_named_by(person.username))
        ]  # fmt: skip
    return found


def perhaps_same(
    everybody: Mapping[str, Person | None], people: Collection[str]
) -> tuple[str, ...]:
    """Return the ids of operators whom files name as a person may be named, and others too.

    Parameters
    ----------
    everybody
        All names by id.
    people
        The person's ids; none of them is returned.
    """
    known = [person for one in people if (person := everybody[one])]
    return tuple(
        key
        for key, other in everybody.items()
        if other is not None and key not in people and not other.last_name
        and any(person.may_be_named_by(other.username) for person in known)
    )  # fmt: skip


def _sessions(model: ReadModel, people: Iterable[str]) -> list[str]:
    found = {session for one in people for session in model.sessions_by_person(one).get(one, ())}
    return sorted(found)


def _rows(model: ReadModel, sessions: Collection[str]) -> list[SessionRow]:
    return model.sessions(only=sessions)
