"""A slow look at what people added to records that nobody updates."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from nexuslims_shared.context import ServiceContext
from nexuslims_shared.leases import Leases
from nexuslims_shared.telemetry.metrics import CURATION_LOOKED
from nexuslims_uploader.rounds import Rounds, go_through, utc_now
from nexuslims_uploader.uploader import Uploader

NAME: Final = "look-for-additions"


def additions_look(
    context: ServiceContext, uploader: Uploader, now: Callable[[], datetime] = utc_now
) -> Rounds:
    """Begin to look at one record after the other.

    Parameters
    ----------
    context
        The event store, and the settings.
    uploader
        Reads back, and states what is new.
    now
        The time.
    """
    hours = context.settings.curation_look_hours
    work = uploader.read_back
    return Rounds(context, NAME, hours, work=work, gauge=CURATION_LOOKED, now=now)


async def keep_looking(context: ServiceContext, uploader: Uploader, leases: Leases) -> None:
    """Look for what people added, for as long as the service runs.

    Parameters
    ----------
    context
        The uploader's.
    uploader
        Reads back, and states what is new.
    leases
        Where the one uploader that does it says so.
    """
    if context.settings.curation_look_hours:
        await go_through(NAME, lambda: additions_look(context, uploader), leases)
