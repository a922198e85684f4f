"""What a search means for a session."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_contracts.events import Event, FileIndexed, FilesNotFound, SessionIndexed
from nexuslims_contracts.identifiers import digest
from nexuslims_indexer.decide import (
    LONGEST_WAIT,
    QUIET,
    SHORTEST_WAIT,
    Statement,
    Wait,
    Window,
    decide,
    quiet_time,
    window_of,
)
from nexuslims_indexer.finder import Found, FoundFile, Unreadable
from nexuslims_shared.session.state import SessionState

DELAY = timedelta(days=2)


def file(number: int, size: int = 1) -> FoundFile:
    return FoundFile(number, f"Titan/f{number}.dm3", size)


def found(*numbers: int, unreadable: tuple[Unreadable, ...] = ()) -> Found:
    return Found(tuple(file(number) for number in sorted(set(numbers))), unreadable)


class Session:
    """A session whose searches are decided one after the other."""

    def __init__(self, facts) -> None:
        self.facts = facts
        self.events: list[Event] = facts.over()

    @property
    def state(self) -> SessionState:
        return self.facts.state(self.events)

    def decide(self, result: Found, since_end: timedelta = timedelta(0)) -> Statement | Wait:
        window = window_of(self.facts.ended())
        assert window is not None
        return decide(
            self.state,
            window,
            result,
            strategy="exclusive",
            now=window.end + since_end,
            delay=DELAY,
        )

    def take(self, result: Found, since_end: timedelta = timedelta(0)) -> Statement:
        decision = self.decide(result, since_end)
        assert isinstance(decision, Statement)
        self.events += decision.files
        self.events += [decision.session] if decision.session else []
        return decision


@pytest.fixture
def session(facts) -> Session:
    return Session(facts)


def test_the_first_search_states_files_and_their_manifest(session, facts) -> None:
    statement = session.take(found(1, 2))
    assert [event.path for event in statement.files] == ["Titan/f1.dm3", "Titan/f2.dm3"]
    assert all(event.instrument == facts.instrument for event in statement.files)
    manifest = statement.session
    assert isinstance(manifest, SessionIndexed)
    assert (manifest.start, manifest.end, manifest.count) == (facts.start, facts.end, 2)
    assert manifest.files_digest == digest(sorted(event.file for event in statement.files))
    assert (manifest.superseded, manifest.after) == ((), 0)


def test_a_second_search_states_what_is_new_and_what_is_gone(session) -> None:
    session.take(found(1, 2))
    first_scan = len(session.events)
    statement = session.take(found(2, 3))
    assert [event.path for event in statement.files] == ["Titan/f3.dm3"]
    manifest = statement.session
    assert isinstance(manifest, SessionIndexed)
    assert manifest.superseded == (file(1).token,)
    assert (manifest.count, manifest.after) == (2, first_scan)


def test_a_file_that_comes_back_belongs_to_the_session_again(session) -> None:
    for result in (found(1, 2), found(2), found(1, 2)):
        statement = session.take(result)
    assert statement.files == ()
    assert session.state.current_files().keys() == {file(1).token, file(2).token}


def test_a_rewritten_file_supersedes_its_former_state(session) -> None:
    session.take(found(1))
    session.take(Found((file(1, size=9),)))
    assert session.state.current_files().keys() == {file(1, size=9).token}


def test_files_where_the_search_could_not_look_are_not_gone(session) -> None:
    session.take(found(1, 2))
    blind = Unreadable("Titan/f1.dm3", "Permission denied")
    assert session.take(found(2, unreadable=(blind,))) == Statement((), None)
    assert session.take(found(2, 3, unreadable=(blind,))).session.count == 3
    assert session.state.superseded == frozenset()


def test_an_empty_folder_after_a_full_one_changes_nothing(session) -> None:
    session.take(found(1))
    assert session.decide(found(), timedelta(days=9)) == Statement((), None)


def test_no_files_means_waiting_until_the_delay_is_over(session, facts) -> None:
    deadline = facts.end + DELAY
    assert session.decide(found(), timedelta(0)) == Wait(SHORTEST_WAIT, deadline)
    assert session.decide(found(), timedelta(minutes=100)) == Wait(timedelta(minutes=10), deadline)
    assert session.decide(found(), timedelta(days=1)) == Wait(LONGEST_WAIT, deadline)
    nearly = DELAY - timedelta(seconds=1)
    assert session.decide(found(), nearly) == Wait(timedelta(seconds=1), deadline)
    missing = session.take(found(), DELAY).session
    assert isinstance(missing, FilesNotFound)
    assert (missing.searched, missing.waited_until, missing.after) == ("Titan", deadline, 0)


def test_files_that_come_after_the_end_of_waiting_are_stated(session) -> None:
    session.take(found(), DELAY)
    manifest = session.take(found(1), timedelta(days=9)).session
    assert isinstance(manifest, SessionIndexed)
    assert manifest.after == len(session.facts.over()) + 1


def test_not_found_is_said_once_and_again_when_somebody_asks(session, facts) -> None:
    session.take(found(), DELAY)
    assert session.decide(found(), DELAY) == Statement((), None)
    session.events.append(facts.retry())
    assert isinstance(session.take(found(), DELAY).session, FilesNotFound)
    assert session.decide(found(), DELAY) == Statement((), None)


def test_a_session_that_has_just_ended_is_left_alone_for_a_moment(facts) -> None:
    window = window_of(facts.ended())
    assert isinstance(window, Window)
    assert quiet_time(window, facts.end) == QUIET
    assert quiet_time(window, facts.end - timedelta(hours=1)) == QUIET
    assert quiet_time(window, facts.end + QUIET / 2) == QUIET / 2
    assert quiet_time(window, facts.end + QUIET) is None


def test_a_session_without_an_end_has_no_window(facts) -> None:
    assert window_of(facts.revised(end=None, after=3)) is None


scans = st.lists(st.sets(st.integers(1, 5)), max_size=6)


@given(scans)
def test_the_last_search_that_found_files_stands_and_nothing_is_said_twice(
    facts, history: list[set[int]]
) -> None:
    session = Session(facts)
    for numbers in history:
        if numbers:
            session.take(found(*numbers))
            assert session.decide(found(*numbers)) == Statement((), None)
    full = [numbers for numbers in history if numbers]
    expected = {file(number).token for number in full[-1]} if full else set()
    assert session.state.current_files().keys() == expected
    indexed = [event.file for event in session.events if isinstance(event, FileIndexed)]
    assert len(indexed) == len(set(indexed))
