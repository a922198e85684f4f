"""``nexuslims``: the command line, assembled from what is installed.

A command is an entry point of the group ``nexuslims.commands``: a function with typer annotations,
or a ``typer.Typer`` for a group of commands. Modules of commands import light modules only, so that
``--help`` is quick.
"""

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from nexuslims_contracts.errors import PluginError
from nexuslims_contracts.plugins import Plugin, installed
from nexuslims_shared.cli.plain_help import with_plain_help
from nexuslims_shared.errors import SettingsError, TopologyError

COMMANDS: Final = "nexuslims.commands"
NAME: Final = "nexuslims"
COMPLETE: Final = "_NEXUSLIMS_COMPLETE"
"""Variable by which a shell asks for completions."""
_REFUSED: Final = (
    *(errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM),
    *(errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EMFILE, errno.ENFILE),
)
"""What a host refuses, whatever the program: space, rights, a disk or share, descriptors."""
_NOT_THERE: Final = (10014, 10059)
"""JetStream's codes where a consumer, and where a stream, is not there."""
WRONG_USE: Final = 2
FAILED: Final = 1


class PluginGroup(TyperGroup):
    """Commands from entry points, loaded when they are called or listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all installed commands."""
        del ctx
        return list(_plugins())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load one command; one that cannot be loaded reports that when it is called."""
        del ctx
        plugin = _plugins().get(cmd_name)
        return with_plain_help(_command(plugin)) if plugin else None

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the options before the command; their errors are shown as all others."""
        with _harmless_usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error is one red line, and the exit code depends on its kind."""
        try:
            with _harmless_usage_errors():
                return super().invoke(ctx)
        except Exception as error:
            known = _known(error)
            if known is None or ctx.params.get("debug"):
                raise
            typer.secho(f"nexuslims: {_without_secrets(str(known))}", fg="red", err=True)
            code = WRONG_USE if isinstance(known, SettingsError) else FAILED
            raise typer.Exit(code) from error


@contextmanager
def _harmless_usage_errors() -> Iterator[None]:
    """Have errors of use repeat what was typed, or what a shell put there, as a terminal may."""
    try:
        yield
    except TyperException as error:
        error.message = _without_secrets(error.message)
        raise


@cache
def _plugins() -> dict[str, Plugin]:
    return installed(COMMANDS)


def _command(plugin: Plugin) -> Any:
    try:
        loaded = plugin.load()
    except PluginError as error:
        return _as_command(plugin.name, _broken(error))
    if isinstance(loaded, typer.Typer):
        group = typer.main.get_group(loaded)
        group.name = plugin.name
        return group
    return _as_command(plugin.name, loaded)


def _as_command(name: str, function: Any) -> Any:
    single = typer.Typer(rich_markup_mode=None, add_completion=False)
    single.command(name)(function)
    return typer.main.get_command(single)


def _broken(error: PluginError) -> Any:
    def broken() -> None:
        raise error

    broken.__doc__ = "(broken) This command cannot be loaded; call it to see why."
    return broken


def _known(error: BaseException) -> BaseException | None:
    """Return what speaks for itself; groups of one are unpacked.

    That is an error that a package of ours raised on purpose, what the host refuses at a file, such
    as a disk that is full or read-only, and what a broker lacks that was not provisioned.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if _is_lacking(error):
        return TopologyError(f"the broker lacks something ({error}): run `nexuslims provision`")
    ours = type(error).__module__.startswith("nexuslims_")
    refused = isinstance(error, OSError) and error.errno in _REFUSED
    return error if ours or refused else None


def _is_lacking(error: BaseException) -> bool:
    """Tell whether a stream, consumer or bucket is not there, by an error of a library."""
    kind = type(error)
    if kind.__module__ != "nats.js.errors":  # not imported here: most commands need no broker
        return False
    absent = kind.__name__ in ("BucketNotFoundError", "NoStreamResponseError")
    return absent or getattr(error, "err_code", None) in _NOT_THERE


def _enter(folder: Path | None) -> None:
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise typer.BadParameter(f"{folder}: {error.strerror}", param_hint="--dir") from error


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - only here

        typer.echo(f"nexuslims {version('nexuslims-shared')}")
        raise typer.Exit


app = typer.Typer(
    name="nexuslims",
    cls=PluginGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", "-C", metavar="DIR", help="The facility's folder; go there first."),
    ] = None,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Turn microscope files and calendar entries into searchable experimental records."""
    del debug, version
    _enter(folder)


def command() -> Any:
    """Return the whole command line."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the command line; the traceback of an error that nobody expected has no secrets in it."""
    try:
        if COMPLETE in os.environ:
            from typer._completion_classes import completion_init  # noqa: PLC0415 - only then

            completion_init()
        command().main(sys.argv[1:], prog_name=NAME)
    except Exception:  # noqa: BLE001 - the process ends here
        sys.stderr.write(_without_secrets(traceback.format_exc()))
        sys.exit(FAILED)


def _without_secrets(text: str) -> str:
    from nexuslims_contracts.text import terminal_text  # noqa: PLC0415 - only where it went wrong
    from nexuslims_shared.secrets import hide  # noqa: PLC0415 - the same

    return terminal_text(hide(text))
