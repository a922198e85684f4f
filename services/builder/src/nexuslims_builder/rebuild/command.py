"""``nexuslims rebuild``: its options. What it does is imported when it is called."""

from typing import Annotated

import typer

from nexuslims_shared.cli.options import Json, Patience, Since, Until

Session = Annotated[str, typer.Option(metavar="ID", help="This session.")]
Everything = Annotated[bool, typer.Option("--all", help="All that have a record.")]
Stale = Annotated[
    bool, typer.Option("--stale", help="Only records without the latest input or builder.")
]
Upload = Annotated[bool, typer.Option("--upload", help="Let changed records be uploaded.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Count what would change; write nothing.")
]
Diff = Annotated[
    bool, typer.Option("--diff", help="With --session: print how its record would change.")
]
Processes = Annotated[
    int, typer.Option(min=0, help="How many work at once; 0: all processors but one.")
]
ShareOf = Annotated[
    str, typer.Option(metavar="N/OF", help="Only a part of the sessions, such as 2/4.")
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Do not go on where a stopped rebuild was.")
]
ReExtract = Annotated[
    bool, typer.Option("--re-extract", help="Read the microscope files again too.")
]
ExtractorName = Annotated[
    str, typer.Option(metavar="NAME", help="With --re-extract: only the files that it read last.")
]
Wait = Annotated[bool, typer.Option(help="With --re-extract: wait for the records.")]


def rebuild(
    *,
    session: Session = "",
    everything: Everything = False,
    since: Since = "",
    until: Until = "",
    stale: Stale = False,
    upload: Upload = False,
    dry_run: DryRun = False,
    diff: Diff = False,
    processes: Processes = 0,
    share: ShareOf = "1/1",
    restart: Restart = False,
    re_extract: ReExtract = False,
    extractor: ExtractorName = "",
    wait: Wait = True,
    as_json: Json = False,
    timeout: Patience = 3600.0,
) -> None:
    """Make records again, from the events alone unless --re-extract is given.

    A rebuild that was stopped goes on where it was when the same command is given again. Sessions
    without a record, such as cancelled ones, are left out. What changes is uploaded only with
    --upload.
    """
    selectors = bool(session) + everything + bool(since or until)
    if selectors > 1 or not (selectors or stale):
        raise typer.BadParameter("give one of --session ID, --all, --from and --to, or --stale")
    if extractor and not re_extract:
        raise typer.BadParameter("--extractor needs --re-extract: it selects files to read again")
    if diff and not session:
        raise typer.BadParameter("--diff needs --session: it compares one record")

    from nexuslims_builder.rebuild import run as work  # noqa: PLC0415 - heavy
    from nexuslims_builder.rebuild.rebuilder import Job  # noqa: PLC0415 - heavy
    from nexuslims_builder.rebuild.selection import Selection, Share  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.dates import read_window  # noqa: PLC0415 - heavy

    selection = Selection(session, read_window(since, until), Share.parse(share))
    job = Job(stale=stale, upload=upload, dry_run=dry_run)
    if re_extract:
        patience = timeout if wait else 0.0
        ok = work.re_extract(selection, extractor, patience=patience, as_json=as_json)
    elif diff:
        ok = work.compare(session)
    else:
        ok = work.rebuild(selection, job, processes=processes, restart=restart, as_json=as_json)
    raise typer.Exit(0 if ok else 1)
