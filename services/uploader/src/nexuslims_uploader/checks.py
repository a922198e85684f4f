"""What ``nexuslims doctor`` asks of the uploader: whether its destinations would take a record."""

import asyncio
from typing import Final

from nexuslims_contracts.errors import PluginError
from nexuslims_shared.doctor import Finding
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.settings import Settings
from nexuslims_uploader.destination import Destination, load_destinations

_PATIENCE_S: Final = 20.0


async def destinations(settings: Settings) -> list[Finding]:
    """Ask every destination that is in use whether it would take a record."""
    try:
        loaded = load_destinations(settings)
    except (SettingsError, PluginError) as error:
        return [Finding("destinations", str(error))]
    problems = await asyncio.gather(*(_ask(destination) for destination in loaded))
    return [
        Finding(f"destination {destination.name}", problem)
        for destination, problem in zip(loaded, problems, strict=True)
    ]


async def _ask(destination: Destination) -> str:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return "; ".join(await destination.check())
    except TimeoutError:
        return f"no answer in {_PATIENCE_S:.0f} s: is its server up?"
    except Exception as error:  # noqa: BLE001 - one faulty plugin must not hide the others
        return f"its check failed ({error!r}): tell the author of the plugin"
    finally:
        await destination.close()
