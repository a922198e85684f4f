"""What the console adds to ``nexuslims doctor``: instruments, folders, services, read model."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Final

from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError
from nexuslims_console.facility import SERVICES_FILE, read_services
from nexuslims_console.probes import Readiness, readiness
from nexuslims_console.queries import ReadModel
from nexuslims_console.repairs import (
    open_folder,
    restart_service,
    retry_dead_letters,
    retry_waiting,
    start_over,
)
from nexuslims_console.watching import minutes, overdue
from nexuslims_contracts.text import counted
from nexuslims_shared.context import service_context
from nexuslims_shared.dead_letters import StreamDeadLetters
from nexuslims_shared.doctor import Finding, find
from nexuslims_shared.errors import CouldNotLookError, SettingsError, SharedError, TopologyError
from nexuslims_shared.facility import process_of_services, services_run_here
from nexuslims_shared.health import Check
from nexuslims_shared.instruments import InstrumentEntry, read_instruments
from nexuslims_shared.mounts import check_mounts
from nexuslims_shared.probes import check_folder, check_space
from nexuslims_shared.processes import stands_still
from nexuslims_shared.settings import Settings
from nexuslims_shared.threads import in_thread

_NEWEST: Final = 20
"""Sessions whose records are looked for."""
_OUTSIDE: Final = ("mount", "mounted", "free space", "dead letters", "due work", "instrument")
"""How checks begin whose problems are outside of the service: to restart it would not help."""


async def check_facility(settings: Settings) -> list[Finding]:
    """Check the instruments' file, the folders, the services that run here, the read model."""
    return [
        *await _instruments(settings),
        *await _folders(settings),
        *await _services(settings),
        await _dead_letters(settings),
        *await _read_model(settings),
    ]


async def _instruments(settings: Settings) -> list[Finding]:
    try:
        entries = read_instruments(settings.instruments_file)
    except SettingsError as error:
        return [Finding("instruments", str(error))]

    async def problem() -> str:
        absent = await in_thread(lambda: _absent_folders(settings, entries))
        return absent or _shared_folders(settings, entries)

    detail = f"{len(entries)} in {settings.instruments_file}"
    return [
        await find(Check("instruments", problem), detail=detail),
        await find(Check("instrument folders", lambda: _empty_folders(settings, entries))),
    ]


def _absent_folders(settings: Settings, entries: dict[str, InstrumentEntry]) -> str:
    absent = [
        f"{entry.pid}: {entry.filestore_path}"
        for entry in entries.values()
        if not (settings.instrument_data_path / entry.filestore_path).is_dir()
    ]
    if not absent:
        return ""
    return (
        f"no such folder below {settings.instrument_data_path}: {', '.join(absent)};"
        f" mount it, or correct {settings.instruments_file}"
    )


def _shared_folders(settings: Settings, entries: dict[str, InstrumentEntry]) -> str:
    """Name the instruments with one folder of which nothing tells whose a file is but time."""
    shared = [
        f"{one.pid} and {other.pid} ({one.filestore_path or '.'})"
        for one, other in combinations(entries.values(), 2)
        if one.filestore_path == other.filestore_path and not (one.folders and other.folders)
    ]
    if not shared:
        return ""
    return (
        f"instruments have their files in one folder: {'; '.join(shared)}; where their sessions"
        " overlap, a file is in the record of the shorter one. Give each a folder of its own in"
        f' {settings.instruments_file}, or folders = "user" to each'
    )


async def _empty_folders(settings: Settings, entries: dict[str, InstrumentEntry]) -> str:
    """Name the instruments of which nothing can be told: their folders hold nothing at all."""

    def empty() -> list[str]:
        folders = {one.pid: _folder(settings, one) for one in entries.values()}
        return [pid for pid, path in folders.items() if path.is_dir() and not any(path.iterdir())]

    if found := await in_thread(empty):
        raise CouldNotLookError(
            f"nothing at all is in the folders of {', '.join(found)}: they are new, or their"
            " shares are not mounted"
        )
    return ""


def _folder(settings: Settings, entry: InstrumentEntry) -> Path:
    return settings.instrument_data_path / entry.filestore_path


async def _folders(settings: Settings) -> list[Finding]:
    read, data, state = settings.instrument_data_path, settings.data_path, settings.state_path
    ours = [data] if settings.nats_url or not state.is_dir() else [data, state]
    return [
        await find(check_folder(read, writable=False)),
        *[await find(check_folder(one, writable=True), repair=open_folder(one)) for one in ours],
        await find(check_mounts([read, data], state)),
        await find(check_space([data, state], settings.free_space_mb)),
        *_open_to_others([one for one in ours if one == state]),
    ]


def _open_to_others(folders: list[Path]) -> list[Finding]:
    """Say into which folders of logs and read models other accounts of this host can look."""
    return [
        Finding(
            "state folder",
            detail=f"other accounts of this host may look into it: `chmod go= {one}` unless that is"
            " meant",
        )
        for one in folders
        if one.stat().st_mode & 0o077
    ]


async def _services(settings: Settings) -> list[Finding]:
    """Check the services that run on this machine."""
    try:
        services = read_services(settings.state_path)
    except SettingsError as error:
        return [Finding("services", str(error))]
    if not services and services_run_here(settings.state_path):
        lost = f"{settings.state_path / SERVICES_FILE} is not there, and `nexuslims up` runs: which"
        return [
            Finding("supervisor", f"{lost} services do is not known; start it again", unknown=True)
        ]
    return [
        *_supervisor(process_of_services(settings.state_path)),
        *[
            _service(settings, name, at["pid"], await readiness(at["port"]))
            for name, at in services.items()
        ],
    ]


def _supervisor(pid: int) -> list[Finding]:
    """Say if nobody would start again what ends."""
    if not pid:
        return []
    still = f"process {pid}, which runs them, was stopped and starts none again: `kill -CONT {pid}`"
    return [Finding("supervisor", still if stands_still(pid) else "", f"run by process {pid}")]


def _service(settings: Settings, name: str, pid: int, current: Readiness) -> Finding:
    problems = [f"{check}: {problem}" for check, problem in current.problems.items()]
    remedy = f"; look into {settings.logs / f'{name}.log'}" if problems else ""
    notes = [f"{topic}: {note}" for topic, note in current.notes.items()]
    inside = [check for check in current.problems if not check.startswith(_OUTSIDE)]
    return Finding(
        f"service {name}",
        "; ".join(problems) + remedy,
        "; ".join([f"process {pid}", *notes]),
        unknown=current.answered and set(current.problems) == current.unknown != set(),
        repair=restart_service(settings, name) if inside else None,
    )


async def _dead_letters(settings: Settings) -> Finding:
    async def problem() -> str:
        async with service_context(settings, "doctor") as context:
            count = await StreamDeadLetters(context.jetstream).count()
        waiting = counted(count, "waits", "wait")
        return f"{waiting}: see `nexuslims dead-letters list`" if count else ""

    return await find(Check("dead letters", problem), repair=retry_dead_letters(settings))


async def _read_model(settings: Settings) -> list[Finding]:
    """Check the database, compare it with the stream as it is, and look for work in it."""
    try:
        database = Database(settings.read_model_url)
    except (ReadModelError, SettingsError) as error:
        return [Finding("read model", str(error))]
    try:
        mending = start_over(settings)
        return [
            await find(Check("database", _in_thread(lambda: _probe(database)))),
            await find(Check("read model", lambda: _compare(settings, database)), repair=mending),
            await find(Check("records", _in_thread(lambda: _absent_records(settings, database)))),
            *await _due_work(settings, database),
        ]
    finally:
        database.close()


def _in_thread(work: Callable[[], str]) -> Callable[[], Awaitable[str]]:
    return lambda: in_thread(work)


def _probe(database: Database) -> str:
    try:
        database.prepare()
        database.probe()
    except ReadModelError as error:
        return str(error)
    return ""


def _absent_records(settings: Settings, database: Database) -> str:
    """Look for the newest records: another folder may be in the place of theirs."""
    folder = settings.records
    try:
        newest = ReadModel(database).sessions(status="COMPLETED", limit=_NEWEST)
    except ReadModelError as error:
        raise CouldNotLookError(str(error)) from error
    built = [one.record_path for one in newest if one.built_at and one.record_path]
    absent = [path for path in built if not (folder / path).is_file()]
    if not absent:
        return ""
    return (
        f"{len(absent)} of the newest {counted(len(built), 'record')} are not in {folder}, such as"
        f" {absent[0]}: mount the share, or run `nexuslims rebuild --all`, which makes them again"
    )


async def _compare(settings: Settings, database: Database) -> str:
    model = ReadModel(database)
    try:
        held = (await in_thread(model.position)).positions
        unreadable = await in_thread(model.unreadable)
    except ReadModelError as error:
        return str(error)
    try:
        async with service_context(settings, "doctor") as context:
            ends = await context.store.positions()
    except TopologyError as error:
        raise CouldNotLookError(str(error)) from error
    if held.beyond(ends):
        return (
            f"holds {held.messages} of {counted(ends.messages, 'event')}: it is of another log;"
            " run `nexuslims read-model rebuild`"
        )
    if unreadable:
        named = "; ".join(f"{one.sequence} ({one.reason})" for one in unreadable[:5])
        return (
            f"{counted(len(unreadable), 'stored message')} cannot be read by this release: {named};"
            " use a newer release, then run `nexuslims read-model rebuild`"
        )
    return ""


async def _due_work(settings: Settings, database: Database) -> list[Finding]:
    """Say for each service whether its work waits for too long."""
    limit = timedelta(seconds=settings.stalled_seconds)
    try:
        late = await in_thread(lambda: overdue(ReadModel(database), limit))
    except (ReadModelError, SharedError) as error:
        return [Finding("due work", str(error), unknown=True)]
    if not late:
        return [Finding("due work")]
    return [
        Finding(
            f"due work of {one.service}",
            f"{counted(one.sessions, 'session waits', 'sessions wait')},"
            f" one of them since {one.since:%Y-%m-%d %H:%M %Z},"
            f" for more than {minutes(limit)}",
            repair=retry_waiting(settings, one.service),
        )
        for one in late
    ]
