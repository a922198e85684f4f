"""Makes the distribution of a plugin from a template."""

import re
import shutil
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Final

from nexuslims_contracts.plugins import installed
from nexuslims_shared.errors import PluginTemplateError

GROUPS: Final = {
    "format": "nexuslims.extractors",
    "calendar": "nexuslims.calendars",
    "destination": "nexuslims.destinations",
    "notification": "nexuslims.notifications",
}
"""Entry point group of each kind."""
_NAME: Final = re.compile(r"[a-z][a-z0-9]{1,30}")
_SUFFIX: Final = ".template"
_INCUMBENT: Final = "incumbent"


def write_plugin(kind: str, name: str, theirs: Path | None = None) -> Path:
    """Write the distribution of a plugin into a new folder below the current one; return it.

    Parameters
    ----------
    kind
        One of :data:`GROUPS`.
    name
        Of the plugin; its entry point, its module and its settings are named after it.
    theirs
        An extractor written for NexusLIMS 2.x, which the distribution is to run as it is.

    Raises
    ------
    PluginTemplateError
        If there is no such kind, the name cannot be used, the folder is there already, or there is
        no extractor to run.
    """
    if kind not in GROUPS:
        raise PluginTemplateError(f"there is no kind {kind!r}; there are {', '.join(GROUPS)}")
    if not _NAME.fullmatch(name):
        raise PluginTemplateError(f"{name!r} is not one word of lower-case letters and digits")
    if name in installed(GROUPS[kind]):
        raise PluginTemplateError(f"a {kind} {name!r} is installed already: choose another name")
    if theirs is not None and kind != "format":
        raise PluginTemplateError(
            f"a {kind} of NexusLIMS 2.x does not know what ours has to do: begin with"
            f" `nexuslims plugin new {kind} {name}`, and move its code there"
        )
    if theirs is not None and not theirs.is_file():
        raise PluginTemplateError(f"{theirs}: there is no such file")
    folder = Path(f"{name}-nexuslims")
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise PluginTemplateError(f"{folder} is there already: choose another name") from error
    template = files("nexuslims_shared") / "plugin_templates" / (_INCUMBENT if theirs else kind)
    for path, content in _texts(template, PurePosixPath()):
        target = folder / _named(str(path), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_named(content, name), encoding="utf-8")
    if theirs is not None:
        shutil.copyfile(theirs, folder / "src" / f"{name}_nexuslims" / "theirs.py")
    return folder


def _texts(folder: Traversable, below: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    """Give the files of a template: path in the distribution, and content."""
    for item in folder.iterdir():
        if item.is_dir():
            yield from _texts(item, below / item.name)
        elif item.name.endswith(_SUFFIX):
            yield below / item.name.removesuffix(_SUFFIX), item.read_text(encoding="utf-8")


def _named(text: str, name: str) -> str:
    """Put a name where the template has that of its invented company."""
    for theirs, ours in (("acme", name), ("Acme", name.capitalize()), ("ACME", name.upper())):
        text = text.replace(theirs, ours)
    return text
