"""Pages of the documentation that are written from the code: commands, settings, readers.

``make docs`` writes them anew each time, so they are not kept in the repository. Those about events
and metadata are: ``make contracts`` writes them, as other projects read them without this one.
"""

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from nexuslims_contracts.plugins import installed
from nexuslims_formats import registry
from nexuslims_shared.cli.shell import app
from nexuslims_shared.network import Network
from nexuslims_shared.secrets import is_secret
from nexuslims_shared.settings.core import Settings
from nexuslims_shared.settings.display import GROUP
from nexuslims_shared.settings.groups import Environment, Numbered


def write(folder: Path) -> None:
    """Write all pages.

    Parameters
    ----------
    folder
        Where; it is made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"commands": commands(), "settings": settings(), "readers": readers()}
    for name, lines in pages.items():
        (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def commands() -> Iterator[str]:
    """Yield the page of all commands that are installed here."""
    yield "# Commands"
    yield ""
    yield "What `nexuslims COMMAND --help` says of each; a container has those of what is in it."
    root = typer.main.get_command(app)
    yield from _command(root, "nexuslims", typer.Context(root, info_name="nexuslims"))


def _command(command: Any, name: str, context: Any) -> Iterator[str]:
    if context.parent is not None:
        yield from ("", f"## {name}", "", inspect.cleandoc(command.help or ""))
    records = [one.get_help_record(context) for one in command.params if one.name != "help"]
    rows = [(f"`{' '.join(record[0].split())}`", record[1]) for record in records if record]
    if rows:
        yield ""
        yield from _table(("Argument or option", "Meaning"), rows)
    for child in getattr(command, "list_commands", lambda _: ())(context):
        found = command.get_command(context, child)
        inner = typer.Context(found, info_name=child, parent=context)
        yield from _command(found, f"{name} {child}", inner)


def settings() -> Iterator[str]:
    """Yield the page of all settings, those of plugins that are installed here too."""
    yield "# Settings"
    yield ""
    yield (
        "Read from the environment or from `.env`; the environment wins. Each may come from a file"
        " named by the same variable with `_FILE` behind it, as orchestrators mount secrets. `N` is"
        " the number of an instance: `1` for the first."
    )
    groups: list[type[Environment]] = [Settings, Network]
    groups += [plugin.load() for plugin in installed(GROUP).values()]
    for group in groups:
        number = "N" if issubclass(group, Numbered) else ""
        yield from ("", f"## {group.__name__}", "", inspect.getdoc(group) or "", "")
        rows = (
            (
                f"`{group.variable(name, number)}`",
                _meaning(name, field),
                "required" if field.is_required() else _default(_default_of(field)),
            )
            for name, field in group.model_fields.items()
        )
        yield from _table(("Variable", "Meaning", "Default"), rows)


def _meaning(name: str, field: FieldInfo) -> str:
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    words = [
        field.description or "",
        f"one of {', '.join(f'`{one}`' for one in choices)}" if choices else "",
        "secret" if is_secret(name, field) else "",
    ]
    return "; ".join(word for word in words if word)


def _default_of(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def readers() -> Iterator[str]:
    """Yield the page of the extractors that are installed here, in the order they are asked."""
    yield "# Readers"
    yield ""
    yield (
        "The installed extractors, the highest priority first. Those that name a file's extension"
        " are asked before the others; the content decides. What each format gives, and how well,"
        " is in [Formats](../../formats.md)."
    )
    yield ""
    rows = (
        (
            f"`{one.name}`",
            one.version,
            str(one.priority),
            ", ".join(f"`.{suffix}`" for suffix in one.extensions) or "any",
            (inspect.getdoc(type(one)) or "").partition("\n")[0],
        )
        for one in registry.installed()
    )
    yield from _table(("Name", "Version", "Priority", "Extensions", "Reads"), rows)


def _default(value: Any) -> str:
    if value is None or value == "" or value is False or value is ...:
        return ""
    if isinstance(value, tuple | list):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{value}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield _row(head)
    yield _row("---" for _ in head)
    for row in rows:
        yield _row(row)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"
