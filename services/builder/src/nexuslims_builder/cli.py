"""The builder's commands: ``activities`` and ``validate``."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from nexuslims_contracts.text import terminal_text
from nexuslims_shared.cli.options import Json


def activities(
    where: Annotated[
        str | None,
        typer.Argument(
            metavar="[FOLDER|SESSION]",
            help="A folder, whose files are clustered with those of its subfolders; or a session.",
        ),
    ] = None,
    *,
    mtimes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="File of modification times, one a line, POSIX seconds; - for input.",
        ),
    ] = None,
    sensitivity: Annotated[
        float | None,
        typer.Option(min=0.0, help="Higher: more activities; 0: one. 1, or a session's setting."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="gaps|kde",
            help="gaps: by clear pauses, the default; kde: as the incumbent does.",
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Have an activity of the session begin with this file."),
    ] = None,
    merge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Have the activity that begins with this file join the last one."
        ),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw times, gaps and boundaries.")] = False,
    as_json: Json = False,
) -> None:
    """Show how files are clustered into acquisition activities, or correct it for a session."""
    from nexuslims_builder import grouping  # noqa: PLC0415 - heavy

    if (where is None) == (mtimes is None):
        raise typer.BadParameter("give either a folder, a session, or --mtimes")
    if where is not None and not Path(where).is_dir():
        from nexuslims_builder.session_activities import of_session  # noqa: PLC0415 - heavy
        from nexuslims_contracts.identifiers import is_token  # noqa: PLC0415 - heavy

        if not is_token(where):
            raise typer.BadParameter(f"there is no folder {where}")
        found = of_session(where, sensitivity, method, split or (), merge or ())
    elif split or merge:
        raise typer.BadParameter("only the activities of a session can be corrected")
    else:
        usual = 1.0 if sensitivity is None else sensitivity
        if where is not None:
            found = grouping.of_folder(Path(where), usual, method or "gaps")
        else:
            found = grouping.of_times(mtimes or "-", usual, method or "gaps")
    grouping.show(found, draw=plot, as_json=as_json)


def validate(
    records: Annotated[list[Path], typer.Argument(help="Records to validate.")],
    as_json: Json = False,
) -> None:
    """Validate records against the schema, with line numbers."""
    from nexuslims_builder.validation import Problem  # noqa: PLC0415 - lxml
    from nexuslims_builder.validation import validate as validate_content  # noqa: PLC0415

    found: dict[Path, list[Problem]] = {}
    for path in records:
        try:
            found[path] = validate_content(path.read_bytes())
        except OSError as error:
            found[path] = [Problem(0, "", f"cannot be read: {error.strerror}")]
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "file": str(path),
                        "valid": not problems,
                        "problems": [dataclasses.asdict(one) for one in problems],
                    }
                    for path, problems in found.items()
                ]
            )
        )
    else:
        for path, problems in found.items():
            typer.echo(terminal_text(f"{path}: {'invalid' if problems else 'valid'}"))
            for problem in problems:
                typer.echo(terminal_text(f"  {problem}"))
    raise typer.Exit(1 if any(found.values()) else 0)
