"""What ``nexuslims rebuild`` does, and what it prints."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from typing import Final

from nexuslims_builder.errors import BuilderError, NoRecordError
from nexuslims_builder.rebuild.job import run_job
from nexuslims_builder.rebuild.journal import Tally
from nexuslims_builder.rebuild.rebuilder import Job, Kind, Rebuilder
from nexuslims_builder.rebuild.selection import Selection
from nexuslims_contracts.plugins import installed
from nexuslims_contracts.text import terminal_text
from nexuslims_shared.cli import asynchronous
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.cli.progress import counted_progress
from nexuslims_shared.context import service_context
from nexuslims_shared.facility import broker_at_hand
from nexuslims_shared.service import Mount, require_mounts
from nexuslims_shared.settings import Settings, read_settings

RE_EXTRACTION: Final = "nexuslims.re_extraction"
"""Entry point group, one function: Selection's session and window, name of an extractor, seconds to
wait, whether to print JSON -> whether all is well."""

_MOST_ROWS: Final = 50


def rebuild(
    selection: Selection, job: Job, *, processes: int, restart: bool, as_json: bool
) -> bool:
    """Rebuild records and print the outcome; True if no session needs attention.

    Parameters
    ----------
    selection
        Which sessions.
    job
        What to do with each.
    processes
        How many work at once; 0 for all processors but one.
    restart
        Forget what a stopped rebuild has done.
    as_json
        Print JSON instead of tables.

    Raises
    ------
    NoRecordError
        If the one session that is meant has none.
    """
    settings = read_settings()
    require_mounts([Mount(settings.data_path, "NX_DATA_PATH", writable=True)])
    processes = processes or max(1, (os.cpu_count() or 1) - 1)
    begin = time.monotonic()
    work = partial(run_job, settings, selection, job, processes=processes, restart=restart)
    list_all = as_json or bool(selection.session)
    with counted_progress("sessions") as update:
        tally = asynchronous.run(
            _with_broker(settings, partial(work, list_all=list_all, update=update))
        )
    if selection.session and tally.left_out:
        (reason,) = tally.left_out
        raise NoRecordError(selection.session, reason)
    _print(tally, job, seconds=time.monotonic() - begin, as_json=as_json)
    return tally.ok


def compare(session: str) -> bool:
    """Print how the record of a session would change, as a unified diff; True in any case."""
    sys.stdout.write(terminal_text(asynchronous.run(_compare(read_settings(), session))))
    return True


def re_extract(selection: Selection, extractor: str, *, patience: float, as_json: bool) -> bool:
    """Have microscope files read again, and records made of that; True if all is well.

    Parameters
    ----------
    selection
        Which sessions.
    extractor
        Only the files that it read last; all if empty.
    patience
        Seconds to wait for the records; 0 to request them only.
    as_json
        Print JSON instead of tables.

    Raises
    ------
    BuilderError
        If nothing that is installed can request it.
    """
    for plugin in installed(RE_EXTRACTION).values():
        request = plugin.load()
        return bool(
            request(
                selection.session, selection.window, extractor, patience=patience, as_json=as_json
            )
        )
    raise BuilderError("--re-extract needs the console: install nexuslims-console beside this")


async def _with_broker(settings: Settings, work: Callable[[], Awaitable[Tally]]) -> Tally:
    try:
        async with broker_at_hand(settings):
            return await work()
    except asyncio.CancelledError:
        say("stopped; the same command goes on from here")
        raise


async def _compare(settings: Settings, session: str) -> str:
    async with broker_at_hand(settings), service_context(settings, "rebuild") as context:
        return await Rebuilder(context, Job(dry_run=True)).compare(session)


def _print(tally: Tally, job: Job, *, seconds: float, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "ok": tally.ok,
                "dry_run": job.dry_run,
                "seconds": round(seconds, 3),
                **{kind.replace(" ", "_"): tally.kinds[kind] for kind in Kind},
                "reasons": dict(tally.left_out),
                "periods_away": tally.away,
                "sessions": [asdict(one) for one in tally.listed],
            }
        )
        return
    rows = [(one.session, one.kind, one.detail) for one in tally.listed[:_MOST_ROWS]]
    if rows:
        print_table(("session", "outcome", "record, or reason"), rows)
    if len(tally.listed) > len(rows):
        say(f"and {len(tally.listed) - len(rows)} more: --json lists all")
    would = "would be " if job.dry_run else ""
    counts = [f"{tally.kinds[kind]} {would if kind is Kind.CHANGED else ''}{kind}" for kind in Kind]
    say(f"{', '.join(counts)}; {seconds:.1f} s")
    if tally.kinds[Kind.CHANGED] and not job.dry_run:
        say(
            "those that changed go to the destinations now, or when the uploader runs"
            if job.upload
            else "those that changed are not uploaded: --upload lets them go to the destinations"
        )
    for reason, count in tally.left_out.most_common():
        say(f"left out: {count} ({reason})")
    for name in tally.away:
        say(
            f"left out: all sessions of period {name}, which was removed:"
            f" `nexuslims periods restore {name} DIR` brings it back"
        )
