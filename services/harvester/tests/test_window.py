"""What a harvest asks for, as the events tell it."""

from datetime import UTC, datetime, timedelta

import pytest

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import (
    Instrument,
    SessionCancelled,
    SessionEnded,
    SessionRevised,
    SessionStarted,
)
from nexuslims_harvester.window import OVERLAP, next_window
from nexuslims_shared.fold import fold

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def session(number, days_ago, *, pid="titan", calendar="nemo-1", ended=True, after=()):
    token, start = f"{calendar}-{number}", NOW - days_ago * DAY
    instrument = Instrument(pid=pid, name=pid, filestore=pid)
    told = {"session": token, "instrument": instrument, "start": start}
    events = [SessionStarted(calendar=calendar, calendar_event=str(number), **told)]
    if ended:
        events.append(SessionEnded(end=start + DAY / 24, **told))
    events += [change(told) for change in after]
    return fold(
        Recorded(envelop(event, source="test"), sequence, NOW)
        for sequence, event in enumerate(events, start=1)
    )


def cancelled(told):
    return SessionCancelled(session=told["session"], reason="gone", after=2)


def extended(told):
    return SessionRevised(end=NOW, after=2, **told)


@pytest.fixture
def window():
    return lambda *states, **more: next_window(states, "nemo-1", now=NOW, **more)


def test_nothing_is_known_at_first(window):
    found = window()
    assert (dict(found.since), found.everywhere, found.expected) == ({}, None, frozenset())


def test_each_instrument_goes_on_where_its_last_session_began(window):
    found = window(session(1, 90), session(2, 40), session(3, 2, pid="sigma"))
    assert found.since == {
        "titan": NOW - 40 * DAY - OVERLAP,
        "sigma": NOW - 2 * DAY - OVERLAP,
    }


def test_another_calendar_does_not_count(window):
    assert window(session(1, 1, calendar="nemo-2")).since == {}


def test_a_session_of_the_future_does_not_hide_the_present(window):
    assert window(session(1, -400)).since == {"titan": NOW - OVERLAP}


def test_after_a_harvest_only_the_overlap_is_asked_for(window):
    found = window(session(1, 90), harvested=NOW - DAY)
    assert found.everywhere == NOW - DAY - OVERLAP
    assert found.expected == frozenset()


def test_what_is_in_the_window_or_goes_on_is_expected(window):
    found = window(
        session(1, 30),
        session(2, 5),
        session(3, 30, ended=False),
        session(4, 5, after=[cancelled]),
        session(5, 30, after=[extended]),
        session(6, 1),
    )
    assert found.expected == {"2", "3", "5", "6"}
