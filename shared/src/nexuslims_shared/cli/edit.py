"""What ``nexuslims config edit`` does: the form of the settings, or the operator's own editor."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Final

from nexuslims_contracts.errors import PluginError
from nexuslims_contracts.plugins import installed
from nexuslims_shared.cli.output import say
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.settings.form import pages, write
from nexuslims_shared.settings.groups import file_variables

GROUP: Final = "nexuslims.settings_form"
"""What shows the form: called with its pages and the values in effect, it returns what is to be
changed, by variable."""
_FILE: Final = Path(".env")
_INSTEAD: Final = "install it with pip, or use `nexuslims config edit --plain`"


def edit_plain() -> None:
    """Open ``.env`` in the editor that the shell names."""
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    subprocess.run([*editor, str(_FILE)], check=False)  # noqa: S603 - the user's own editor


def edit_form() -> None:
    """Show the form, and write what was changed into ``.env``; the former file is kept.

    Raises
    ------
    SettingsError
        If the form cannot be shown here, or the file cannot be written.
    """
    editor = next(iter(installed(GROUP).values()), None)
    if editor is None:
        raise SettingsError(f"the form comes with nexuslims-console[form]: {_INSTEAD}")
    try:
        show = editor.load()
    except PluginError as error:
        raise SettingsError(
            f"the form needs nexuslims-console[form] ({error}): {_INSTEAD}"
        ) from error
    file = file_variables(_FILE) if _FILE.is_file() else {}
    environment = {name.upper(): value for name, value in os.environ.items()}
    changes = show(pages(file, environment), {**file, **environment})
    if not changes:
        say("nothing was changed")
        return
    kept = write(_FILE, changes)
    say(f"{_FILE} has {', '.join(changes)}" + (f"; the former one is {kept}" if kept else ""))
