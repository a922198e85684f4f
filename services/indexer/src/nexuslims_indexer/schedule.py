"""When to look again: often at first, then at growing intervals, at last only by the sweep."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

QUIET: Final = timedelta(seconds=5)
"""How long after its end a session is left alone: a share shows files a little late, and clocks
differ."""
SHORTEST: Final = timedelta(seconds=5)
LONGEST: Final = timedelta(hours=1)
GROWTH: Final = 10
"""The wait is a tenth of the time since the last session's end, within the two limits."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """A session that may get files.

    Parameters
    ----------
    end
        None while it goes on.
    is_decided
        Whether what was found after its end was stated.
    """

    end: datetime | None
    is_decided: bool


def next_look(
    occasions: Iterable[Occasion],
    last: datetime,
    delay: timedelta,
    live: timedelta,
) -> datetime | None:
    """Return when the folders of an instrument are to be looked through again.

    Parameters
    ----------
    occasions
        Its sessions.
    last
        When that was done last.
    delay
        How long after its end files of a session are looked for often.
    live
        How long to wait while a session goes on.

    Returns
    -------
    datetime or None
        None where no session is waiting for files: then only the sweep looks.
    """
    due: list[datetime] = []
    for one in occasions:
        if one.end is None:
            due.append(last + live)
            continue
        until = one.end + delay
        if last < until:
            since = max(last, one.end)
            wait = min(max((since - one.end) / GROWTH, SHORTEST), LONGEST)
            due.append(min(since + wait, max(until, last + SHORTEST)))
        if not one.is_decided:
            due.append(max(one.end + QUIET, last + SHORTEST))
    return min(due, default=None)
