"""``nexuslims import-legacy``: the incumbent's database becomes instruments and events."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nexuslims_console.actions.instruments import added
from nexuslims_console.database import Database
from nexuslims_console.errors import ConsoleError
from nexuslims_console.legacy.database import read_database
from nexuslims_console.legacy.plan import (
    Plan,
    PlannedSession,
    make_plan,
    nemo_addresses,
    statements,
)
from nexuslims_console.legacy.records import LegacyRecords
from nexuslims_console.projection import open_read_model
from nexuslims_contracts.envelope import encode, envelop
from nexuslims_contracts.errors import UndecodableError
from nexuslims_contracts.text import counted
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.cli.progress import counted_progress
from nexuslims_shared.context import ServiceContext, service_context
from nexuslims_shared.errors import ConflictError
from nexuslims_shared.facility import broker_at_hand
from nexuslims_shared.instruments import InstrumentEntry, read_instruments
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.settings import Settings, read_settings
from nexuslims_shared.settings.groups import add_variables, variables

SOURCE: Final = "nexuslims/console"


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a plan.

    Parameters
    ----------
    instruments
        Pids that were added.
    stated
        How many sessions were carried over, by status.
    known
        How many sessions were known already.
    problems
        What was not carried over, and why.
    """

    instruments: tuple[str, ...]
    stated: dict[str, int]
    known: int
    problems: tuple[tuple[str, str], ...]


def database_path(db: Path | None) -> Path:
    """Return where the incumbent's database is.

    Raises
    ------
    ConsoleError
        If neither an option nor a setting says so.
    """
    named = db or variables().get("NX_DB_PATH")
    if not named:
        raise ConsoleError("give NexusLIMS's database: --db nexuslims.db")
    return Path(named)


def import_legacy(db: Path | None, env: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """Carry the incumbent's database over, and print what was carried and what could not be.

    Parameters
    ----------
    db
        Its database; by default where ``NX_DB_PATH`` says.
    env
        Its settings, if they are not those of this folder.
    dry_run
        Only say what would be done.
    as_json
        Print JSON instead of tables.
    """
    if env is not None:
        add_variables(env)
    settings = read_settings()
    database = read_database(database_path(db))
    plan = make_plan(database, LegacyRecords(settings.records), nemo_addresses(variables()))
    new = _new_instruments(settings.instruments_file, plan)
    if dry_run:
        counts = Counter(one.session.status for one in plan.sessions)
        done = Imported(tuple(one.pid for one in new), dict(counts), 0, plan.problems)
    else:
        _add_instruments(settings.instruments_file, new)
        done = run(_import(settings, plan, tuple(one.pid for one in new)))
    _print(done, dry_run=dry_run, as_json=as_json)


def _new_instruments(path: Path, plan: Plan) -> list[InstrumentEntry]:
    known = read_instruments(path).values() if path.exists() else ()
    pids = {one.pid for one in known}
    places = {(one.calendar, one.calendar_id) for one in known if one.calendar_id}
    return [
        one
        for one in plan.instruments
        if one.pid not in pids and (one.calendar, one.calendar_id) not in places
    ]


def _add_instruments(path: Path, new: list[InstrumentEntry]) -> None:
    if new:
        content = path.read_text(encoding="utf-8") if path.exists() else ""
        write_artifact(path.parent, path.name, added(content, new).encode())


async def _import(settings: Settings, plan: Plan, instruments: tuple[str, ...]) -> Imported:
    entries = {one.pid: one for one in plan.instruments}
    stated: Counter[str] = Counter()
    problems = list(plan.problems)
    known = 0
    async with broker_at_hand(settings), service_context(settings, "import") as context:
        sessions = SessionRepository(context.store)
        with counted_progress("sessions") as update:
            for number, planned in enumerate(plan.sessions, start=1):
                state = await sessions.open(planned.token)
                sessions.forget(planned.token)
                if state.imported or state.started:
                    known += 1
                elif problem := await _state(context, planned, entries[planned.session.instrument]):
                    problems.append((f"session {planned.session.identifier}", problem))
                else:
                    stated[planned.session.status] += 1
                update(number, len(plan.sessions))
        await _show(settings, context)
    return Imported(instruments, dict(stated), known, tuple(problems))


async def _show(settings: Settings, context: ServiceContext) -> None:
    """Bring the read model up to date, so that lists have the sessions though nothing runs."""
    database = Database(settings.read_model_url)
    try:
        await (await open_read_model(context.store, database)).catch_up()
    finally:
        database.close()


async def _state(
    context: ServiceContext, planned: PlannedSession, instrument: InstrumentEntry
) -> str:
    """State the events of one session; return why that is not possible, empty if it was."""
    user = await context.people.remember(planned.calendar, planned.user) if planned.user else None
    try:
        envelopes = [envelop(one, source=SOURCE) for one in statements(planned, instrument, user)]
        for one in envelopes:
            encode(one)
    except (ValueError, UndecodableError) as error:
        return f"no event can be made of it: {str(error).splitlines()[0]}"
    for envelope in envelopes:
        try:
            await context.store.append(envelope, expect=0)
        except ConflictError:
            continue  # stated by a run that was interrupted
    return ""


def _print(done: Imported, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    would = "would be " if dry_run else ""
    rows = [(status, count) for status, count in sorted(done.stated.items())]
    print_table(("status", "sessions"), rows, nothing=f"no new sessions {would}carried over")
    say(f"instruments {would}added: {', '.join(done.instruments) or 'none'}")
    if done.known:
        say(f"{counted(done.known, 'session was', 'sessions were')} known already")
    if done.problems:
        print_table(("not carried over", "why"), done.problems)
    if not dry_run and done.stated.get("COMPLETED"):
        say("`nexuslims rebuild --session ID --re-extract` makes a record of one of them here")
