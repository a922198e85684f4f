"""The console's lists at a hundred thousand sessions: CPU seconds of each command, start included.

The read model is made once into the user's cache folder, by the rows that a projection would write.
Modules are compiled, as they are where the product is installed.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from benchmarks.report import Bar, Report
from benchmarks.scale_stream import cache_folder, session_name
from nexuslims_console.database import Database
from nexuslims_console.tables import SCHEMA
from nexuslims_console.views import EventRow, SessionRow, event_row, session_row
from nexuslims_console.writing import Changes, write
from nexuslims_contracts.testing import END, START, SessionEvents, recorded
from nexuslims_shared.session.state import fold

SESSIONS: Final = 100_000
_AT_ONCE: Final = 2_000
_COMMANDS: Final = (
    ("sessions",),
    ("sessions", "--json"),
    ("sessions", "--status", "COMPLETED", "--page", "3"),
    ("sessions", "--from", "2019-01-01", "--to", "2019-02-01"),
    ("session", session_name(SESSIONS // 2)),
    ("session", session_name(SESSIONS // 2), "--events", "--json"),
)


def measure_lists(report: Report) -> None:
    """Run each command on the large read model, without a broker.

    Parameters
    ----------
    report
        Takes a bar for each command.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "NX_DATABASE_URL": read_model_of_many(),
            "NX_INSTRUMENT_DATA_PATH": folder,
            "NX_DATA_PATH": folder,
            "NX_STATE_PATH": folder,
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(cache_folder() / "bytecode"),
        }
        _run(_COMMANDS[0], folder, environment)
        for command in _COMMANDS:
            before = _children_cpu()
            _run(command, folder, environment)
            name = " ".join(command[:2]) if command[0] == "sessions" else "session " + command[-1]
            report.bars[f"{name} (CPU s)"] = Bar(_children_cpu() - before, 0.5)


def _run(command: Sequence[str], folder: str, environment: Mapping[str, str]) -> None:
    program = [sys.executable, "-m", "nexuslims_shared", *command]
    subprocess.run(program, check=True, cwd=folder, env=environment, capture_output=True)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def read_model_of_many() -> str:
    """Return the address of the read model; it is made where it is missing."""
    file = cache_folder() / f"lists-{SESSIONS}-{SCHEMA}.db"
    if not file.exists():
        print(f"making a read model of {SESSIONS} sessions", flush=True)
        unfinished = file.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        database = Database(f"sqlite:///{unfinished}")
        database.prepare()
        for first in range(0, SESSIONS, _AT_ONCE):
            _write(database, first)
        database.close()
        unfinished.rename(file)
    return f"sqlite:///{file}"


def _write(database: Database, first: int) -> None:
    sessions: list[SessionRow] = []
    events: list[EventRow] = []
    for number in range(first, first + _AT_ONCE):
        shift = timedelta(minutes=10 * number)
        made = SessionEvents(session_name(number), start=START + shift, end=END + shift)
        history = [*made.history(), made.uploaded()]
        log = recorded(history, after=number * len(history))
        sessions.append(session_row(fold(log)))
        events += map(event_row, log)
    changes = Changes(sessions, events, (), frozenset())
    with database.writing() as (connection, tables):
        last = events[-1].sequence
        write(connection, tables, changes, after=last - len(events), last=last)


def main() -> None:
    """Measure the lists alone."""
    report = Report("scale-lists")
    measure_lists(report)
    report.finish()


if __name__ == "__main__":
    main()
