"""What services look at for ``nexuslims doctor``.

Each brings its looks by an entry point of the group ``nexuslims.doctor``:
``Settings -> awaitable of {what was looked at: problem}``; the problem names its remedy, and is
empty if all is well.
"""

from typing import Final

from nexuslims_contracts.plugins import installed
from nexuslims_shared.errors import SharedError
from nexuslims_shared.settings import Settings

GROUP: Final = "nexuslims.doctor"


async def checks(settings: Settings) -> dict[str, str]:
    """Look at everything that the services installed here look at."""
    found: dict[str, str] = {}
    for plugin in installed(GROUP).values():
        try:
            found |= await plugin.load()(settings)
        except SharedError as error:
            found[plugin.name] = str(error)
        except Exception as error:  # noqa: BLE001 - one faulty part must not hide the others
            found[plugin.name] = f"its check failed ({error!r}): tell the author of the plugin"
    return found
