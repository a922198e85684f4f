"""The uploader's commands: ``curate`` and ``verify``."""

from typing import Annotated

import typer

from nexuslims_contracts.text import counted
from nexuslims_shared.cli.options import Json


def curate(
    session: Annotated[str, typer.Argument(metavar="ID", help="The session.", show_default=False)],
    *,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="The name or the path of a dataset.")
    ] = "",
    description: Annotated[str, typer.Option(metavar="TEXT", help="Describe it.")] = "",
    rating: Annotated[int | None, typer.Option(min=1, max=5, help="Rate it.")] = None,
    featured: Annotated[bool, typer.Option("--featured", help="Mark it as featured.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take that back, or all of it if no more is given.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print what people added to a session's record, and add to it.

    With --dataset and --description, --rating or --featured it is added, and is in every record
    made from then on. With --undo it is taken back: this value, everything of the dataset, or
    without --dataset everything of the session.
    """
    given = bool(description) or rating is not None or featured
    if given and not dataset:
        raise typer.BadParameter("give the dataset that this is about: --dataset NAME")
    if dataset and not (given or undo):
        raise typer.BadParameter("give --description, --rating or --featured, or --undo")

    from nexuslims_shared.cli.asynchronous import run  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.output import print_json, print_table  # noqa: PLC0415 - heavy
    from nexuslims_shared.settings import read_settings  # noqa: PLC0415 - heavy
    from nexuslims_uploader.curate import curate as work  # noqa: PLC0415 - heavy
    from nexuslims_uploader.curation import Change  # noqa: PLC0415 - heavy
    from nexuslims_uploader.errors import CurationError  # noqa: PLC0415 - heavy

    change = Change(description, rating, featured or None, undo) if given or undo else None
    try:
        additions = run(work(read_settings(), session, dataset, change))
    except CurationError as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        print_json(
            [
                {**one.dataset.model_dump(), "destination": one.destination, "time": one.time}
                for one in additions
            ]
        )
        return
    rows = [
        (
            one.destination,
            one.time.astimezone().isoformat(" ", "minutes"),
            one.dataset.location,
            one.dataset.rating,
            "yes" if one.dataset.featured else "",
            "; ".join(one.dataset.descriptions),
        )
        for one in additions
    ]
    columns = ("added at", "found", "dataset", "rating", "featured", "descriptions")
    print_table(columns, rows, nothing="nobody added anything to its record")


def verify(
    *,
    session: Annotated[str, typer.Option(metavar="ID", help="This session.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All that were uploaded.")] = False,
    destination: Annotated[
        str, typer.Option(metavar="D", help="Only at this destination, such as cdcs.")
    ] = "",
    repair: Annotated[
        bool, typer.Option("--repair", help="Have what is missing uploaded or made again.")
    ] = False,
    hashing: Annotated[
        bool, typer.Option("--hash", help="Read the instruments' files too, and compare them.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Do not go on where a look before was stopped.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look whether records, artifacts and instruments' files are where the events say.

    Instruments' files are not read without --hash, so that nothing comes back from tape. What is
    missing is uploaded or made again with --repair; what a person changed is only listed. A look
    that was stopped goes on where it was. The exit code is 0 if all is there, or on its way again.
    """
    if bool(session) == everything:
        raise typer.BadParameter("give one of --session ID and --all")
    if destination and hashing:
        raise typer.BadParameter("--hash is about files, --destination about records there")

    from nexuslims_shared.cli.asynchronous import run  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.output import print_json, print_table, say  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.progress import counted_progress  # noqa: PLC0415 - heavy
    from nexuslims_shared.settings import read_settings  # noqa: PLC0415 - heavy
    from nexuslims_uploader.errors import UploaderError  # noqa: PLC0415 - heavy
    from nexuslims_uploader.verify import Scope  # noqa: PLC0415 - heavy
    from nexuslims_uploader.verify import verify as work  # noqa: PLC0415 - heavy

    settings = read_settings()
    scope = Scope(session, destination, hashing, repair, restart)
    try:
        with counted_progress("sessions") as update:
            result = run(work(settings, scope, update))
    except UploaderError as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        print_json(
            {
                "records": result.records,
                "files": result.files,
                "ok": result.ok,
                "findings": result.findings,
            }
        )
    else:
        rows = [
            (
                one.session,
                one.destination,
                one.path,
                one.problem,
                one.detail,
                "yes" if one.sent_again else "",
            )
            for one in result.findings
        ]
        columns = ("session", "where", "file", "problem", "what", "again")
        print_table(columns, rows, nothing="everything is where it should be")
        say(f"{counted(result.records, 'record')} and {counted(result.files, 'file')} looked at")
    raise typer.Exit(0 if result.ok else 1)
