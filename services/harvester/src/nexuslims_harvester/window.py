"""What to ask a calendar for, as the events tell it: nothing is missed, and little asked twice.

Sessions are stated in the order they began. So all that began before the last one stated are
stated, also if a harvest broke off in the middle; and whoever was away for weeks goes on there. An
overlap finds what was changed, or entered, afterwards.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from nexuslims_contracts.events import SessionCancelled
from nexuslims_harvester.calendar import Window
from nexuslims_shared.fold import SessionState
from nexuslims_shared.status import ended

OVERLAP: Final = timedelta(days=7)
"""How long after its end a change to a session is found."""


def next_window(
    states: Iterable[SessionState],
    calendar: str,
    *,
    now: datetime,
    harvested: datetime | None = None,
) -> Window:
    """Say what a harvest is to ask for.

    Parameters
    ----------
    states
        All sessions that the events tell of.
    calendar
        Name of the calendar.
    now
        The time; a session that begins later does not move the window there.
    harvested
        When this process last asked for everything, and stated it.
    """
    own = [one for one in states if one.started and one.started.event.calendar == calendar]
    latest: dict[str, datetime] = {}
    for state in own:
        pid, start, _ = _when(state)
        begun = min(start, now)
        latest[pid] = max(latest.get(pid, begun), begun)
    since = {pid: start - OVERLAP for pid, start in latest.items()}
    everywhere = harvested - OVERLAP if harvested else None
    return Window(since, everywhere, frozenset(_expected(own, since, everywhere)))


def _expected(
    states: Iterable[SessionState], since: Mapping[str, datetime], everywhere: datetime | None
) -> Iterable[str]:
    for state in states:
        pid, _, end = _when(state)
        in_window = end is None or end >= (everywhere or since[pid])
        if in_window and state.started and not _cancelled(state):
            yield state.started.event.calendar_event


def _when(state: SessionState) -> tuple[str, datetime, datetime | None]:
    """Instrument, start and end as last stated."""
    last = ended(state)
    if last is not None:
        return last.instrument.pid, last.start, last.end
    event = state.schedule.event if state.schedule else None
    if event is None or isinstance(event, SessionCancelled):
        event = state.started.event if state.started else None
    assert event is not None  # noqa: S101 - only sessions that started come here
    return event.instrument.pid, event.start, None


def _cancelled(state: SessionState) -> bool:
    return state.schedule is not None and isinstance(state.schedule.event, SessionCancelled)
