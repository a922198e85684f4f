"""``nexuslims trial``: records of finished sessions, compared with the incumbent's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from nexuslims_console.errors import ConsoleError
from nexuslims_console.legacy.compare import Comparison, compare
from nexuslims_console.legacy.database import read_database
from nexuslims_console.legacy.plan import Plan, PlannedSession, make_plan, nemo_addresses
from nexuslims_console.legacy.records import LegacyRecords
from nexuslims_console.legacy.trial_facility import (
    Incumbent,
    build_records,
    make_folder,
    write_facility,
)
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.identifiers import session_token
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.text import counted
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.settings.groups import file_variables


@dataclass(frozen=True, slots=True)
class Tried:
    """A session that was tried: both records and how they differ, or why there is no record."""

    session: str
    theirs: str
    ours: str = ""
    comparison: Comparison | None = None
    problem: str = ""


def trial(
    env: Path, db: Path | None, folder: Path, *, sessions: int, patience: float, as_json: bool
) -> bool:
    """Try finished sessions of the incumbent; True if each has a record here.

    Parameters
    ----------
    env
        The incumbent's settings.
    db
        Its database, if its settings do not say where it is.
    folder
        The only place that is written to.
    sessions
        How many, the newest first.
    patience
        Seconds that building may take.
    as_json
        Print JSON instead of a table.
    """
    incumbent = _incumbent(env)
    plan = make_plan(
        read_database(db or incumbent.path("NX_DB_PATH")),
        LegacyRecords(incumbent.records),
        nemo_addresses(incumbent.variables),
    )
    chosen = _choose(plan, sessions)
    make_folder(folder, incumbent)
    write_facility(folder, incumbent, chosen, {one.pid: one for one in plan.instruments})
    say(f"building {counted(len(chosen), 'record')} in {folder}; nothing else is written to")
    built = build_records(folder, patience=patience)
    tried = [_compare(one, incumbent, folder, built) for one in chosen]
    page = folder / "report.html"
    page.write_text(_page(tried, folder), encoding="utf-8")
    _print(tried, as_json=as_json)
    say(f"all differences: {page}")
    return all(one.comparison for one in tried)


def _incumbent(env: Path) -> Incumbent:
    return Incumbent(file_variables(env), env.resolve().parent)


def _choose(plan: Plan, number: int) -> list[PlannedSession]:
    """Return the newest sessions that have a record."""
    with_record = [one for one in plan.sessions if one.record and one.finished]
    if not with_record:
        raise ConsoleError("no finished session of the database has a record to compare with")
    return sorted(with_record, key=lambda one: one.session.start, reverse=True)[:number]


def _compare(
    planned: PlannedSession, incumbent: Incumbent, folder: Path, built: dict[str, str]
) -> Tried:
    if planned.record is None:  # pragma: no cover - only those with one are chosen
        raise ConsoleError(f"{planned.token} has no record")
    theirs = str(incumbent.records / planned.record.ref.path)
    name = session_token("file", planned.calendar_event)
    if name not in built:
        problem = f"no record: `nexuslims --dir {folder} session {name}` says why"
        return Tried(planned.token, theirs, problem=problem)
    path = folder / "data" / "records" / built[name]
    try:
        ours = read_record(path.read_bytes())
    except (OSError, UnreadableRecordError) as error:
        return Tried(planned.token, theirs, problem=str(error))
    comparison = compare(planned.record.experiment, ours)
    return Tried(planned.token, theirs, str(path), comparison)


def _page(tried: Sequence[Tried], folder: Path) -> str:
    environment = Environment(
        loader=PackageLoader("nexuslims_console"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("trial.html.j2").render(sessions=tried, folder=str(folder))


def _print(tried: Sequence[Tried], *, as_json: bool) -> None:
    if as_json:
        print_json(tried)
        return
    rows = [
        (
            one.session,
            one.comparison.datasets,
            one.comparison.same,
            one.comparison.count("missing"),
            one.comparison.count("changed"),
            one.comparison.count("renamed"),
            one.comparison.count("extra"),
        )
        for one in tried
        if one.comparison
    ]
    if rows:
        print_table(("session", "datasets", "same", "missing", "changed", "renamed", "extra"), rows)
    for one in tried:
        if one.problem:
            say(f"{one.session}: {one.problem}")
