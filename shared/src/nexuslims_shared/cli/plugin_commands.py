"""``nexuslims plugin``: distributions of plugins, to start from."""

from pathlib import Path
from typing import Annotated

import typer

plugin = typer.Typer(help="Write plugins.", no_args_is_help=True, rich_markup_mode=None)


@plugin.callback()
def _group() -> None:
    """Write plugins."""


@plugin.command()
def new(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="format, calendar, destination or notification.")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for, in one word.")],
    *,
    theirs: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="An extractor for NexusLIMS 2.x, to be run as it is."
        ),
    ] = None,
) -> None:
    """Write a distribution, small and tested, into the new folder NAME-nexuslims."""
    from nexuslims_shared.cli.new_plugin import write_plugin  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.output import say, show  # noqa: PLC0415 - heavy

    folder = write_plugin(kind, name, theirs)
    say(f"{folder} is written")
    show(f"pip install ./{folder}\npython -m pytest {folder}")
