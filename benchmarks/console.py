"""The web console: pages with 100,000 sessions, one of 50,000 files; searching 1,000,000 datasets.

Pages are asked of a server in a process of its own, each by a new connection, as a browser's first
click does; it has no broker. Searches are timed where they are answered, on SQLite and, where it is
installed, on PostgreSQL. ``DATASETS=100000`` makes a smaller archive. SQLite's files are kept in
the user's cache folder; a million datasets take some minutes to make.
"""

import argparse
import asyncio
import gc
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import nats.errors
from services.console.tests.postgresql import find_binaries
from services.console.tests.postgresql import running as running_postgresql

from benchmarks.console_archive import QUESTIONS, fill, percentile
from benchmarks.console_large import FILES, LARGE, put_large_session, write_large_record
from benchmarks.report import Bar, Report
from benchmarks.scale_lists import SESSIONS, read_model_of_many
from benchmarks.scale_stream import cache_folder, session_name
from nexuslims_console.archive.question import read_question
from nexuslims_console.archive.search import Archive
from nexuslims_console.archive.tables import SCHEMA, ArchiveDatabase
from nexuslims_console.database import Database
from nexuslims_console.tables import SCHEMA as SESSIONS_SCHEMA
from nexuslims_console.web.app import make_app
from nexuslims_console.web.server import serve
from nexuslims_console.web.settings import ConsoleSettings
from nexuslims_console.web.site import make_site
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.dead_letters import MemoryDeadLetters
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.settings import read_settings
from nexuslims_shared.store.memory import MemoryEventStore

_TIMES: Final = 20
_PAGES: Final = {
    "sessions": "/",
    "sessions, last page": f"/?page={SESSIONS // 50}",
    "sessions of a status, by files": "/?status=COMPLETED&sort=files",
    "sessions by text": "/?q=titan&page=40",
    "sessions with problems": "/?trouble=1",
    "a session": f"/sessions/{session_name(SESSIONS // 2)}",
    "a session of 50,000 files": f"/sessions/{LARGE}",
    "its files, last page": f"/sessions/{LARGE}/files?page={FILES // 200}",
    "its events, last page": f"/sessions/{LARGE}/events?page={FILES // 100}",
    "its record, last page": f"/archive/{LARGE}?page={FILES // 150}",
    "operation": "/operation",
    "archive": f"/archive?q={quote(QUESTIONS[0])}",
}


class _NoBroker:
    """A broker that does not answer, and does so at once."""

    def __getattr__(self, name: str) -> Any:
        async def refuse(*_: Any, **__: Any) -> None:
            raise nats.errors.NoServersError

        return refuse


def main() -> None:
    """Measure, print, and exit 0 if all bars hold."""
    options = argparse.ArgumentParser()
    options.add_argument("--serve", nargs=2, metavar=("PORT", "URL"))
    given = options.parse_args().serve
    if given:
        asyncio.run(_serve(int(given[0]), given[1]))
        return
    datasets = int(os.environ.get("DATASETS", "1000000"))
    report = Report("console")
    report.figures["sessions"] = SESSIONS
    report.figures["datasets"] = datasets
    tables = _sqlite_tables(datasets)
    _measure_pages(tables, report)
    _measure_search("SQLite", tables, report)
    binaries = find_binaries()
    if binaries is not None:
        with running_postgresql(binaries) as server:
            url = server.new_database()
            _fill(url, datasets)
            _measure_search("PostgreSQL", url, report)
    report.finish()


async def _serve(port: int, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        facility = read_settings(
            instrument_data_path=Path(folder), data_path=Path(folder), state_path=Path(folder)
        )
        write_large_record(facility.records)
        gc.freeze()  # as a service does when it has imported all it needs
        context = ServiceContext(
            settings=facility,
            store=MemoryEventStore(),
            people=MemoryPeople(),
            dead_letters=MemoryDeadLetters(),
            jetstream=cast("Any", _NoBroker()),
        )
        settings = ConsoleSettings(port=port)
        site = make_site(context, settings, Database(url), ArchiveDatabase(url))
        await serve(lambda: make_app(site), settings)


def _measure_pages(url: str, report: Report) -> None:
    with _server(url) as port:
        for path in _PAGES.values():
            _get(port, path)  # templates are compiled, files are read
        for name, path in _PAGES.items():
            taken = [_get(port, path) for _ in range(_TIMES)]
            first, whole = ([one[place] for one in taken] for place in (0, 1))
            report.figures[f"{name}, first byte p50 (ms)"] = percentile(first, 0.5)
            report.bars[f"{name}, first byte p95 (ms)"] = Bar(percentile(first, 0.95), 100)
            report.figures[f"{name}, whole p50 (ms)"] = percentile(whole, 0.5)
            report.bars[f"{name}, whole p95 (ms)"] = Bar(percentile(whole, 0.95), 1000)


def _measure_search(database: str, url: str, report: Report) -> None:
    archive = Archive(ArchiveDatabase(url))
    taken = []
    for question in QUESTIONS:
        own = []
        for _ in range(_TIMES // 4):
            begin = time.perf_counter()
            archive.search(read_question(question))
            own.append((time.perf_counter() - begin) * 1000)
        taken += own
        report.figures[f"{database}: {question or 'everything'} (ms)"] = percentile(own, 0.5)
    report.figures[f"search on {database}, p50 (ms)"] = percentile(taken, 0.5)
    report.bars[f"search on {database}, p95 (ms)"] = Bar(percentile(taken, 0.95), 300)


@contextmanager
def _server(url: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    arguments = ["-m", "benchmarks.console", "--serve", str(port), url]
    process = subprocess.Popen([sys.executable, *arguments])
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                break
        yield port
    finally:
        process.terminate()
        process.wait()


def _get(port: int, path: str) -> tuple[float, float]:
    """Return the milliseconds to the first byte of an answer, and to its last."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    begin = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    first = time.perf_counter() - begin
    answer.read()
    whole = time.perf_counter() - begin
    connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise SystemExit(f"{path}: {answer.status}")
    return first * 1000, whole * 1000


def _sqlite_tables(datasets: int) -> str:
    """Return the address of sessions and an archive on SQLite; made where they are missing."""
    file = cache_folder() / f"console-{SESSIONS}-{SESSIONS_SCHEMA}-{datasets}-{SCHEMA}-large.db"
    if not file.exists():
        unfinished = file.with_suffix(".unfinished")
        shutil.copyfile(read_model_of_many().removeprefix("sqlite:///"), unfinished)
        _fill(f"sqlite:///{unfinished}", datasets)
        with tempfile.TemporaryDirectory() as folder:
            put_large_session(f"sqlite:///{unfinished}", Path(folder))
        unfinished.rename(file)
    return f"sqlite:///{file}"


def _fill(url: str, datasets: int) -> None:
    print(f"making an archive of {datasets} datasets", flush=True)
    database = ArchiveDatabase(url)
    database.prepare()
    fill(database, datasets)
    database.close()


if __name__ == "__main__":
    main()
