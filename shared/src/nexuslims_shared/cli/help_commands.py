"""Commands for people who need help: completion in the shell, a bundle for support."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nexuslims_contracts.text import counted


class Shell(StrEnum):
    """Shells for which there is a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(help="Whose.", show_default=False)],
) -> None:
    """Print the script that completes commands and options in a shell.

    For bash: `nexuslims completion bash >> ~/.bashrc`; open a new shell afterwards.
    """
    from typer._completion_classes import completion_init  # noqa: PLC0415 - only here
    from typer.completion import shell_complete  # noqa: PLC0415 - only here

    from nexuslims_shared.cli.shell import COMPLETE, NAME, command  # noqa: PLC0415 - a circle

    completion_init()
    raise typer.Exit(shell_complete(command(), {}, NAME, COMPLETE, f"source_{shell}"))


def support_bundle(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")
    ] = Path("nexuslims-support.zip"),
    log_days: Annotated[
        int, typer.Option("--log-days", help="How old logs may be, in days.", min=0)
    ] = 14,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write settings, findings, versions and logs into one zip for support, without secrets."""
    from nexuslims_shared.cli.output import say  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.support import write_bundle  # noqa: PLC0415 - heavy

    if output.exists() and not force:
        raise typer.BadParameter(f"{output} exists: --force replaces it", param_hint="--output")
    members = write_bundle(output, log_days=log_days)
    say(
        f"{output}: {counted(len(members), 'file')}, secrets hidden;"
        " look through it before you send it"
    )
