"""What of the incumbent's database becomes instruments and events, and what cannot."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

from pydantic import ValidationError

from nexuslims_console.legacy.database import (
    LegacyDatabase,
    LegacyInstrument,
    LegacySession,
    LegacyUpload,
)
from nexuslims_console.legacy.records import LegacyRecord, LegacyRecords
from nexuslims_contracts.calendars import Project, Sample
from nexuslims_contracts.events import Event, SessionImported
from nexuslims_contracts.identifiers import is_token, session_token
from nexuslims_contracts.imported_events import ImportedStatus
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.people import Person
from nexuslims_shared.session.importing import held, waiting

SYSTEM: Final = "NexusLIMS 2.8 or earlier"
OTHER: Final = "legacy"
"""Calendar of sessions whose own one is not configured here."""
_FINISHED: Final = get_args(ImportedStatus)
_NUMBERED: Final = re.compile(r"[?&]id=(\d+)")
_ADDRESS: Final = re.compile(r"NX_NEMO_ADDRESS_(\d+)")

Problem = tuple[str, str]
"""What cannot be carried over, and why."""


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """A session to be stated: its calendar, its user, and what it was."""

    token: str
    calendar: str
    calendar_event: str
    session: LegacySession
    user: Person | None
    record: LegacyRecord | None
    uploads: tuple[LegacyUpload, ...]

    @property
    def finished(self) -> bool:
        """Whether the incumbent dealt with it, well or not."""
        return self.session.status in _FINISHED


@dataclass(frozen=True, slots=True)
class Plan:
    """What is carried over, and what is not."""

    instruments: tuple[InstrumentEntry, ...]
    sessions: tuple[PlannedSession, ...]
    problems: tuple[Problem, ...]


def nemo_addresses(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the calendars that are NEMOs, by address.

    Parameters
    ----------
    variables
        The settings, as ``.env`` has them.
    """
    found = ((_ADDRESS.fullmatch(name), text) for name, text in variables.items())
    return {text.rstrip("/") + "/": f"nemo-{name[1]}" for name, text in found if name and text}


def make_plan(
    database: LegacyDatabase, records: LegacyRecords, addresses: Mapping[str, str]
) -> Plan:
    """Decide what becomes of everything in a database.

    Parameters
    ----------
    database
        The incumbent's.
    records
        Its records.
    addresses
        The calendars that are NEMOs, by address.
    """
    problems = list(database.problems)
    instruments: dict[str, InstrumentEntry] = {}
    for one in database.instruments:
        try:
            instruments[one.pid] = _entry(one, addresses)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            problems.append((f"instrument {one.pid}", f"{where}: {first['msg']}: correct it there"))
            continue
        if instruments[one.pid].calendar == "file":
            reason = f"{one.harvester} at {one.api_url} is no NEMO of the settings: calendar `file`"
            problems.append((f"calendar of instrument {one.pid}", reason))
    nemo_ids = {name: number for name, system, number in database.accounts if system == "nemo"}
    others = sorted({system for _, system, _ in database.accounts} - {"nemo"})
    problems += [(f"users' ids in {one}", "destinations here do not need them") for one in others]
    uploads: dict[str, list[LegacyUpload]] = {}
    for upload in database.uploads:
        uploads.setdefault(upload.session, []).append(upload)
    sessions: list[PlannedSession] = []
    for session in database.sessions:
        if session.instrument not in instruments:
            reason = f"its instrument {session.instrument} cannot be carried over"
            problems.append((f"session {session.identifier}", reason))
            continue
        planned = _session(session, addresses, nemo_ids, records, uploads)
        if reason := _obstacle(planned):
            problems.append((f"session {session.identifier}", reason))
            continue
        problems += [
            (f"upload of {session.identifier}", f"{one.destination!r} is no name of a destination")
            for one in planned.uploads
            if not is_token(one.destination)
        ]
        sessions.append(planned)
    return Plan(tuple(instruments.values()), tuple(sessions), tuple(problems))


def statements(
    planned: PlannedSession, instrument: InstrumentEntry, user: str | None
) -> list[Event]:
    """Return the events of a session, in the order to state them; the last one completes it.

    Parameters
    ----------
    planned
        The session.
    instrument
        Where it was held.
    user
        Id of its user.
    """
    common: dict[str, Any] = {
        "session": planned.token,
        "instrument": instrument.as_contract(),
        "user": user,
        "start": planned.session.start,
    }
    from_calendar = {"calendar": planned.calendar, "calendar_event": planned.calendar_event}
    if not planned.finished:
        return waiting(end=planned.session.end, **from_calendar, **common)
    purpose = _purpose(planned.record) if planned.record else {}
    taken = [one for one in planned.uploads if is_token(one.destination)]
    sha256 = planned.record.ref.sha256 if planned.record else ""
    return [
        *held(planned.token, sha256, ((o.destination, o.record_id, o.url) for o in taken)),
        SessionImported(
            end=planned.session.end,
            system=SYSTEM,
            status=cast(ImportedStatus, planned.session.status),
            **from_calendar,
            **common,
            **purpose,
        ),
    ]


def _entry(one: LegacyInstrument, addresses: Mapping[str, str]) -> InstrumentEntry:
    address = next((address for address in addresses if one.api_url.startswith(address)), "")
    number = _NUMBERED.search(one.api_url)
    at_nemo = bool(address and number)
    return InstrumentEntry(
        pid=one.pid,
        name=one.name,
        filestore_path=one.filestore,
        timezone=one.timezone,
        calendar=addresses[address] if at_nemo else "file",
        calendar_id=number[1] if at_nemo and number else "",
        location=one.location,
        property_tag=one.property_tag,
    )


def _session(
    session: LegacySession,
    addresses: Mapping[str, str],
    nemo_ids: Mapping[str, str],
    records: LegacyRecords,
    uploads: Mapping[str, list[LegacyUpload]],
) -> PlannedSession:
    identifier = session.identifier
    address = next((one for one in addresses if identifier.startswith(one)), "")
    number = _NUMBERED.search(identifier)
    if address and number:
        calendar, event = addresses[address], f"usage-{number[1]}"
    else:
        calendar, event = OTHER, identifier
    user = session.user
    return PlannedSession(
        token=session_token(calendar, event),
        calendar=calendar,
        calendar_event=event,
        session=session,
        user=Person(username=user, user_id=nemo_ids.get(user, "")) if user else None,
        record=records.of(session.instrument, identifier),
        uploads=tuple(uploads.get(identifier, ())),
    )


def _obstacle(planned: PlannedSession) -> str:
    """Say why a session cannot be carried over; empty if it can."""
    if planned.finished:
        return "" if planned.session.end else f"it is {planned.session.status}, but has no END"
    if planned.calendar == OTHER:
        return (
            f"it is {planned.session.status}, and its calendar is no NEMO of the settings: nobody"
            " can say what it was for; set NX_NEMO_ADDRESS_1, or write it into calendar.toml"
        )
    return ""


def _purpose(record: LegacyRecord) -> dict[str, Any]:
    experiment = record.experiment
    return {
        "record": record.ref,
        "title": experiment.title,
        "purpose": experiment.motivation,
        "url": experiment.url,
        "samples": tuple(
            Sample(
                id=one.id or f"sample-{number}",
                name=one.name,
                ref=one.ref,
                description="\n".join(one.descriptions),
                elements=one.elements,
            )
            for number, one in enumerate(experiment.samples, start=1)
        ),
        "projects": tuple(
            Project(
                project_id=one.id,
                name=one.name,
                division=one.division,
                group=one.group,
                ref=one.ref,
            )
            for one in experiment.projects
        ),
    }
