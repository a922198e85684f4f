"""When the next sweep over a calendar is due: once a day, while few people are at work."""

from datetime import datetime, timedelta
from typing import Final

from nexuslims_shared.settings import Settings

_AT_NIGHT: Final = 0.5
"""Part of the period after which the quiet hours are used for the next sweep."""


def sweep_is_due(last: datetime | None, now: datetime, settings: Settings) -> bool:
    """Tell whether it is time for a sweep.

    Parameters
    ----------
    last
        When the last complete one began; None if there never was one.
    now
        By the clock of this machine, whose hours the quiet hours are.
    settings
        How often, and when it is quiet.
    """
    period = timedelta(hours=settings.harvest_sweep_hours)
    if not period:
        return False
    if last is None or now - last >= period:
        return True
    first, after = settings.quiet_hours
    is_quiet = (now.hour - first) % 24 < (after - first) % 24
    return is_quiet and now - last >= _AT_NIGHT * period
