"""The console's commands: their options. What they do is in ``actions``, imported when called."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nexuslims_shared.cli.options import Json, Patience, Since, Until

SessionName = Annotated[str, typer.Argument(metavar="ID", help="The session.", show_default=False)]
Number = Annotated[int, typer.Argument(metavar="N", help="Its number.", show_default=False)]


def up(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", file_okay=False, exists=True, help="The facility."),
    ] = None,
) -> None:
    """Run the broker (unless NATS_URL is set) and every service, until Ctrl-C."""
    from nexuslims_console.actions import up as work  # noqa: PLC0415 - heavy

    work.up(folder)


def build_records(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="List sessions and files; write nothing.")
    ] = False,
    since: Since = "",
    until: Until = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only if something needs a person.")
    ] = False,
    as_json: Json = False,
    timeout: Patience = 3600.0,
) -> None:
    """Harvest, process what is pending, wait, and print the outcome.

    Uses the running system, or runs one for the duration. Succeeds only if all is well.
    """
    from nexuslims_console.actions import build_records as work  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.dates import read_window  # noqa: PLC0415 - heavy

    window = read_window(since, until)
    if dry_run:
        ok = work.list_only(window, as_json=as_json, verbose=verbose)
    else:
        how = work.Printing(as_json=as_json, verbose=verbose, quiet=quiet)
        ok = work.build(window, patience=timeout, how=how)
    raise typer.Exit(0 if ok else 1)


def sessions(
    *,
    status: Annotated[
        str, typer.Option(metavar="S", help="Only those in this status, for example ERROR.")
    ] = "",
    instrument: Annotated[
        str, typer.Option(metavar="PID", help="Only those at this instrument.")
    ] = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[
        int | None,
        typer.Option(
            help="How many at most, 0 for all; 50, or 1000 as JSON.", min=0, show_default=False
        ),
    ] = None,
    page: Annotated[int, typer.Option(help="1 for the newest, 2 for those before.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """List sessions and their status, the newest last."""
    from nexuslims_console.actions import sessions as work  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.dates import read_window  # noqa: PLC0415 - heavy

    work.show_all(
        status=status,
        instrument=instrument,
        window=read_window(since, until),
        limit=limit,
        page=page,
        as_json=as_json,
    )


def session(
    name: SessionName,
    *,
    events: Annotated[bool, typer.Option("--events", help="Its history, event by event.")] = False,
    as_json: Json = False,
) -> None:
    """Print one session."""
    from nexuslims_console.actions import sessions as work  # noqa: PLC0415 - heavy

    work.show_one(name, events=events, as_json=as_json)


def retry(
    name: Annotated[str, typer.Argument(metavar="[ID]", help="The session.")] = "",
    *,
    status: Annotated[
        str,
        typer.Option(metavar="S", help="All in this status instead, such as BUILT_NOT_EXPORTED."),
    ] = "",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Also what people changed and what cannot be kept."),
    ] = False,
) -> None:
    """Try again what failed for a session, after a repair."""
    from nexuslims_console.actions import retry as work  # noqa: PLC0415 - heavy

    if bool(name) == bool(status):
        raise typer.BadParameter("give a session, or --status with a status")
    if overwrite and status:
        raise typer.BadParameter("--overwrite is a decision on one session: give its name")
    if name:
        work.retry_session(name, overwrite=overwrite)
    else:
        work.retry_all(status)


def withdraw(
    name: SessionName,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the session's history.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Allow it there again.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until it is withdrawn.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    as_json: Json = False,
    timeout: Patience = 3600.0,
) -> None:
    """Withdraw a session's record from every destination, and upload none there again."""
    from nexuslims_console.actions import withdraw as work  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.output import confirm  # noqa: PLC0415 - heavy

    if not (yes or undo or confirm(f"Remove the record of {name} from every destination?")):
        raise typer.Abort
    ok = work.withdraw_session(
        name, reason=reason, undo=undo, patience=timeout if wait else 0.0, as_json=as_json
    )
    raise typer.Exit(0 if ok else 1)


def export(
    name: SessionName,
    *,
    as_format: Annotated[
        Literal["eln", "zip"],
        typer.Option("--format", help="A signed RO-Crate for notebooks, or a plain zip."),
    ] = "eln",
    out: Annotated[
        Path | None, typer.Option(metavar="PATH", help="File or folder; default: here.")
    ] = None,
    with_raw: Annotated[
        bool, typer.Option("--with-raw", help="The instruments' files too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a session to take home: record, metadata, previews, as one file."""
    from nexuslims_console.actions import export as work  # noqa: PLC0415 - heavy

    whole = work.export_session(
        name, as_format=as_format, target=out, with_raw=with_raw, as_json=as_json
    )
    raise typer.Exit(0 if whole else 1)


Values = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME=VALUE...", help="Fields of its entry.", show_default=False),
]

instruments = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@instruments.callback()
def _instruments(context: typer.Context, *, as_json: Json = False) -> None:
    """List the instruments of the facility; or import those of a NEMO."""
    if context.invoked_subcommand is None:
        from nexuslims_console.actions import instruments as work  # noqa: PLC0415 - heavy

        work.show_instruments(as_json=as_json)


@instruments.command("import")
def import_instruments(
    *,
    from_nemo: Annotated[
        bool, typer.Option("--from-nemo", help="Take over the tools of a NEMO.")
    ] = False,
    number: Annotated[int, typer.Option(help="Which NEMO: N of NX_NEMO_ADDRESS_N.", min=1)] = 1,
    tools: Annotated[
        list[int] | None,
        typer.Option("--tool", metavar="ID", help="Only this one; again for more. Default: all."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="List them; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Add the instruments of a calendar to the instruments' file."""
    from nexuslims_console.actions import instruments as work  # noqa: PLC0415 - heavy

    if not from_nemo:
        raise typer.BadParameter("give the source: --from-nemo")
    chosen = [str(one) for one in tools or ()]
    work.import_instruments("nemo", str(number), chosen, dry_run=dry_run, as_json=as_json)


@instruments.command("list")
def list_instruments(*, as_json: Json = False) -> None:
    """List the instruments of the facility."""
    from nexuslims_console.actions import instruments as work  # noqa: PLC0415 - heavy

    work.show_instruments(as_json=as_json)


@instruments.command("add")
def add_instrument(
    pid: Annotated[str, typer.Argument(metavar="PID", help="Its name.", show_default=False)],
    values: Values = None,
) -> None:
    """Add an instrument: `instruments add FEI-Titan filestore_path=Titan timezone=UTC`."""
    from nexuslims_console.actions import manage_instruments as work  # noqa: PLC0415 - heavy

    work.add_instrument(pid, values or [])


@instruments.command("edit")
def edit_instrument(
    pid: Annotated[str, typer.Argument(metavar="PID", help="Its name.", show_default=False)],
    values: Values = None,
) -> None:
    """Change an instrument: `instruments edit FEI-Titan location="Building 223"`."""
    from nexuslims_console.actions import manage_instruments as work  # noqa: PLC0415 - heavy

    work.edit_instrument(pid, values or [])


@instruments.command("remove")
def remove_instrument(
    pid: Annotated[str, typer.Argument(metavar="PID", help="Its name.", show_default=False)],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Remove an instrument from the file; its sessions and records stay."""
    from nexuslims_console.actions import manage_instruments as work  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.output import confirm  # noqa: PLC0415 - heavy

    if not (yes or confirm(f"Remove {pid}?")):
        raise typer.Abort
    work.remove_instrument(pid)


dead_letters = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@dead_letters.callback()
def _dead_letters(context: typer.Context) -> None:
    """Events that a service could not handle: list (the default), show, retry."""
    if context.invoked_subcommand is None:
        list_dead_letters()


@dead_letters.command("list")
def list_dead_letters(*, as_json: Json = False) -> None:
    """List all dead letters."""
    from nexuslims_console.actions import retry as work  # noqa: PLC0415 - heavy

    work.list_letters(as_json=as_json)


@dead_letters.command("show")
def show_dead_letter(number: Number) -> None:
    """Print one dead letter as JSON, with the event that it is about."""
    from nexuslims_console.actions import retry as work  # noqa: PLC0415 - heavy

    work.show_letter(number)


@dead_letters.command("retry")
def retry_dead_letter(number: Number) -> None:
    """Have the event of a dead letter handled again; the letter is closed when that succeeds."""
    from nexuslims_console.actions import retry as work  # noqa: PLC0415 - heavy

    work.retry_letter(number)


people = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@people.callback()
def _people() -> None:
    """People, to whom events refer by an id: list, forget."""


@people.command("list")
def list_people(*, as_json: Json = False) -> None:
    """List all people with the names that the calendars gave."""
    from nexuslims_console.actions import people as work  # noqa: PLC0415 - heavy

    work.show_all(as_json=as_json)


@people.command("forget")
def forget_person(
    person: Annotated[str, typer.Argument(metavar="ID", help="The person.", show_default=False)],
    *,
    as_json: Json = False,
) -> None:
    """Erase a person's names for good; records that contain them are made again without."""
    from nexuslims_console.actions import people as work  # noqa: PLC0415 - heavy

    work.forget(person, as_json=as_json)


read_model = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@read_model.callback()
def _read_model() -> None:
    """The tables that `sessions` reads; they are made from the events."""


@read_model.command("rebuild")
def rebuild_read_model() -> None:
    """Make the tables again from the events, while the old ones serve."""
    from nexuslims_console.actions import read_model as work  # noqa: PLC0415 - heavy

    work.rebuild_read_model()


def notify(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Print what needs a person; send nothing.")
    ] = False,
) -> None:
    """Tell people of sessions that need them, by e-mail or a web hook; each trouble once."""
    from nexuslims_console.actions import notify as work  # noqa: PLC0415 - heavy

    work.notify_now(dry_run=dry_run)
