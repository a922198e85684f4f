"""The uploader's command: ``verify``."""

from typing import Annotated

import typer

from nexuslims_shared.cli.options import Json


def verify(
    *,
    session: Annotated[str, typer.Option(metavar="ID", help="This session.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All that were uploaded.")] = False,
    destination: Annotated[
        str, typer.Option(metavar="D", help="Only at this destination, such as cdcs.")
    ] = "",
    repair: Annotated[
        bool, typer.Option("--repair", help="Have missing records uploaded again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look whether each destination holds the records that it took.

    What is missing there is uploaded again with --repair. What a person changed is only listed.
    The exit code is 0 if every record is there, or on its way again.
    """
    if bool(session) == everything:
        raise typer.BadParameter("give one of --session ID and --all")

    from nexuslims_shared.cli.asynchronous import run  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.output import print_json, print_table, say  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.progress import counted_progress  # noqa: PLC0415 - heavy
    from nexuslims_shared.settings import read_settings  # noqa: PLC0415 - heavy
    from nexuslims_uploader.errors import UploaderError  # noqa: PLC0415 - heavy
    from nexuslims_uploader.verify import verify as work  # noqa: PLC0415 - heavy

    settings = read_settings()
    try:
        with counted_progress("sessions") as update:
            result = run(work(settings, session, destination, update, repair=repair))
    except UploaderError as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        print_json({"records": result.records, "ok": result.ok, "findings": result.findings})
    else:
        rows = [
            (one.session, one.destination, one.problem, one.detail, "yes" if one.sent_again else "")
            for one in result.findings
        ]
        columns = ("session", "destination", "problem", "what", "sent again")
        print_table(columns, rows, nothing="every record is where it should be")
        say(f"{result.records} records looked at")
    raise typer.Exit(0 if result.ok else 1)
