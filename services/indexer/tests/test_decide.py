"""What a look means for a session."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_contracts.datasets import Dataset, ExtractorVersion
from nexuslims_contracts.events import (
    Event,
    FileIndexed,
    FileMissing,
    FilesAwaited,
    FilesNotFound,
    FileSuperseded,
    MetadataExtracted,
    SessionIndexed,
)
from nexuslims_contracts.identifiers import digest
from nexuslims_indexer.claims import Claim
from nexuslims_indexer.decide import Found, Statement, Window, decide
from nexuslims_indexer.model import FoundFile, Unreadable
from nexuslims_indexer.session_files import held, time_inside
from nexuslims_shared.session.state import SessionState

DELAY = timedelta(days=2)


def file(number: int, size: int = 1, folder: str = "Titan") -> FoundFile:
    return FoundFile(number, f"{folder}/f{number}.dm3", size)


class Session:
    """A session whose looks are decided one after the other."""

    def __init__(self, facts) -> None:
        self.facts = facts
        self.events: list[Event] = facts.over()

    @property
    def state(self) -> SessionState:
        return self.facts.state(self.events)

    def found(self, *files: FoundFile, **more) -> Found:
        mine = {one: Claim(self.facts.session) for one in files}
        return Found(mine, **more)

    def decide(self, found: Found, since_end: timedelta = timedelta(0), **more) -> Statement:
        window = Window(self.facts.instrument, self.facts.start, self.facts.end)
        return decide(
            self.state,
            replace(window, **more),
            found,
            lambda one: Claim(self.facts.session),
            strategy="exclusive",
            now=self.facts.end + since_end,
            delay=DELAY,
        )

    def take(self, found: Found, since_end: timedelta = timedelta(0)) -> Statement:
        statement = self.decide(found, since_end)
        self.events += statement.files
        self.events += [statement.session] if statement.session else []
        return statement

    def look(self, *files: FoundFile, **more) -> Statement:
        return self.take(self.found(*files, **more))

    @property
    def paths(self) -> list[str]:
        files = self.state.current_files().values()
        return sorted(one.indexed.event.path for one in files)

    @property
    def missing(self) -> list[str]:
        files = self.state.current_files().values()
        return sorted(one.indexed.event.path for one in files if one.is_missing)


@pytest.fixture
def session(facts) -> Session:
    return Session(facts)


def test_the_first_look_states_files_and_their_manifest(session, facts) -> None:
    statement = session.look(file(2), file(1))
    assert [event.path for event in statement.files] == ["Titan/f1.dm3", "Titan/f2.dm3"]
    assert all(event.instrument == facts.instrument for event in statement.files)
    manifest = statement.session
    assert isinstance(manifest, SessionIndexed)
    assert (manifest.start, manifest.end, manifest.count) == (facts.start, facts.end, 2)
    assert manifest.files_digest == digest(sorted(event.file for event in statement.files))
    assert (manifest.look_until, manifest.missing, manifest.after) == (facts.end + DELAY, 0, 0)


def test_what_is_not_found_stays_as_missing_and_is_found_again(session) -> None:
    session.look(file(1), file(2))
    statement = session.look(file(2), file(3))
    assert [type(event) for event in statement.files] == [FileIndexed, FileMissing]
    assert statement.session.count == 3
    assert statement.session.missing == 1
    assert (session.paths, session.missing) == (
        ["Titan/f1.dm3", "Titan/f2.dm3", "Titan/f3.dm3"],
        ["Titan/f1.dm3"],
    )
    assert session.look(file(2), file(3)) == Statement()
    session.look(file(1), file(2), file(3))
    assert (len(session.paths), session.missing) == (3, [])
    assert session.look(file(1), file(2), file(3)) == Statement()


def test_nothing_at_all_makes_all_missing_and_no_record_smaller(session) -> None:
    session.look(file(1), file(2))
    session.look()
    assert (len(session.paths), len(session.missing)) == (2, 2)


def test_a_rewritten_file_takes_the_place_of_its_former_state(session) -> None:
    session.look(file(1), file(2))
    new = file(1, size=9)
    statement = session.look(new, file(2), elsewhere={new.path: new})
    (gone,) = [one for one in statement.files if isinstance(one, FileSuperseded)]
    assert (gone.reason, gone.by) == ("rewritten", new.token)
    assert session.state.current_files().keys() == {new.token, file(2).token}
    session.look(file(1), file(2))
    assert session.state.current_files().keys() == {file(1).token, file(2).token}
    assert session.missing == []


def test_a_file_that_is_being_rewritten_stays_until_it_is_at_rest(session) -> None:
    session.look(file(1), file(2))
    new = file(1, size=9)
    statement = session.look(file(2), elsewhere={new.path: new}, growing={new.path})
    assert statement.files == ()
    assert session.paths == ["Titan/f1.dm3", "Titan/f2.dm3"]


def test_a_moved_file_is_the_same_one(session) -> None:
    session.look(*(file(number) for number in range(5)))
    statement = session.look(*(file(number, folder="new") for number in range(5)))
    assert {one.reason for one in statement.files if isinstance(one, FileSuperseded)} == {"moved"}
    assert session.paths == [f"new/f{number}.dm3" for number in range(5)]
    assert session.missing == []


def test_a_file_that_a_look_found_at_both_places_was_moved(session) -> None:
    """A folder is renamed while it is listed: first the new place is seen, then the old is gone."""
    before = [file(number) for number in range(3)]
    after = [file(number, folder="new") for number in range(3)]
    session.look(*before)
    session.look(*before, *after)
    session.look(*after)
    assert session.paths == [f"new/f{number}.dm3" for number in range(3)]
    assert session.missing == []


def test_a_removed_file_is_not_the_one_of_its_name_and_time_that_has_other_bytes(session) -> None:
    before, other = file(1), file(1, folder="new")
    session.look(before, other)
    session.events.append(extracted(session, before, "1"))
    session.events.append(extracted(session, other, "2"))
    session.look(other)
    assert session.missing == ["Titan/f1.dm3"]


def test_files_that_nothing_tells_apart_are_not_matched_by_chance(session) -> None:
    before = [FoundFile(7, f"Titan/{name}", 1) for name in ("a.dm3", "b.dm3")]
    after = [FoundFile(7, f"Titan/{name}", 1) for name in ("c.dm3", "d.dm3")]
    session.look(*before)
    session.look(*after)
    assert len(session.missing) == 2
    for name, sha in (("a", "1"), ("b", "2"), ("c", "2"), ("d", "1")):
        one = FoundFile(7, f"Titan/{name}.dm3", 1)
        session.events.append(extracted(session, one, sha))
    session.look(*after)
    assert (session.paths, session.missing) == (["Titan/c.dm3", "Titan/d.dm3"], [])


def test_files_where_it_could_not_look_or_that_are_being_written_are_not_missing(session) -> None:
    session.look(file(1), file(2), file(3))
    blind = Unreadable("Titan/f1.dm3", "Permission denied")
    more = {"unreadable": (blind,), "growing": {"Titan/f2.dm3"}}
    statement = session.look(file(3), **more)
    assert statement.files == ()
    assert session.missing == []
    assert any("Permission denied" in note for note in statement.session.notes)


def test_a_file_that_another_session_has_now_leaves_this_one(session) -> None:
    session.look(file(1), file(2))
    theirs = Found({file(1): Claim("other", "narrower"), file(2): Claim(session.facts.session)})
    statement = session.take(theirs)
    assert [(one.reason, one.file) for one in statement.files] == [("elsewhere", file(1).token)]
    assert session.paths == ["Titan/f2.dm3"]


def test_no_files_means_waiting_until_the_delay_is_over(session, facts) -> None:
    awaited = session.take(session.found(), timedelta(minutes=1)).session
    assert isinstance(awaited, FilesAwaited)
    assert awaited.until == facts.end + DELAY
    assert session.take(session.found(), timedelta(days=1)) == Statement()
    missing = session.take(session.found(), DELAY).session
    assert isinstance(missing, FilesNotFound)
    assert (missing.searched, missing.waited_until) == ("Titan", facts.end + DELAY)
    assert session.take(session.found(), DELAY) == Statement()
    session.events.append(facts.retry())
    assert isinstance(session.take(session.found(), DELAY).session, FilesNotFound)
    assert session.look(file(1)).session.count == 1


def test_no_files_is_not_stated_while_a_folder_that_may_have_them_cannot_be_read(session) -> None:
    """It waits a day longer each time, and says for what."""
    denied = Unreadable("Titan/private", "Permission denied")
    hidden = session.found(unreadable=(denied,), may_be_hidden=True)
    day = timedelta(days=1)
    until = [session.take(hidden, DELAY + hours).session for hours in (0 * day, day / 2, day)]
    assert [one.until - session.facts.end - DELAY for one in (until[0], until[2])] == [day, 2 * day]
    assert until[1] is None
    assert until[0].notes == ("Titan/private: Permission denied: not looked at",)
    assert isinstance(session.take(session.found(), DELAY + 2 * day).session, FilesNotFound)


@pytest.mark.parametrize(
    ("place", "folder", "since", "may"),
    [
        ("Titan/a", "Titan", 5, True),
        ("Titan/a", "Titan", 6, False),
        ("Titan", "Titan/eds", 5, True),
        ("Titan/a", "Titan/eds", 5, False),
        ("Titan-2", "Titan", 5, False),
    ],
)
def test_files_may_be_where_names_changed_since_the_sessions_start(
    place: str, folder: str, since: int, may: bool
) -> None:
    assert Unreadable(place, "why", 6).may_hide(folder, since) is may
    assert Unreadable("Titan", "why").may_hide("Titan", 2**62)


def test_a_session_in_use_has_files_and_nothing_is_missing(session) -> None:
    session.events = session.events[:2]
    statement = session.decide(session.found(file(1)), end=None)
    assert [type(one) for one in statement.files] == [FileIndexed]
    assert statement.session is None
    session.events += statement.files
    assert session.decide(session.found(), end=None) == Statement()


def test_a_list_of_an_earlier_release_is_taken_over(session, facts) -> None:
    session.look(file(1), file(2))
    manifest = session.events[-1]
    old = manifest.model_copy(update={"superseded": (file(1).token,), "count": 1, "after": 9})
    session.events.append(old)
    statement = session.look(file(2), file(3))
    assert file(1).token in {one.file for one in statement.files if isinstance(one, FileSuperseded)}
    assert session.paths == ["Titan/f2.dm3", "Titan/f3.dm3"]
    session.look(file(1), file(2), file(3))
    assert len(session.paths) == 3


def test_what_a_session_knows_of_its_files_can_be_asked(session, facts) -> None:
    straddling = file(1)
    session.take(Found({straddling: Claim(facts.session, "began")}))
    assert held(session.state) == {straddling.token: "began"}
    event = extracted(session, straddling, "1")
    assert time_inside(event, straddling) == round(facts.start.timestamp()) * 10**9
    assert time_inside(event, FoundFile(round(facts.start.timestamp()) * 10**9, "x", 1)) is None
    assert time_inside(event.model_copy(update={"datasets": ()}), straddling) is None


def test_no_event_grows_with_the_number_of_files(session) -> None:
    for folder in ("one", "two", "one"):
        session.look(*(file(number, folder=folder) for number in range(1, 1001)))
    session.look()
    assert (len(session.paths), len(session.missing)) == (1000, 1000)
    assert max(len(event.model_dump_json()) for event in session.events) < 1000


def extracted(session: Session, one: FoundFile, sha256: str) -> MetadataExtracted:
    dataset = Dataset(
        index=0,
        name="x",
        dataset_type="Image",
        data_type="TEM_Imaging",
        creation_time=session.facts.start,
    )
    return MetadataExtracted(
        session=session.facts.session,
        file=one.token,
        outcome="extracted",
        extractor=ExtractorVersion(name="x", version="1"),
        sha256=sha256,
        datasets=(dataset,),
    )


looks = st.lists(st.sets(st.integers(1, 5)), max_size=6)


@settings(deadline=None)
@given(looks)
def test_no_look_makes_a_record_smaller_and_nothing_is_stated_twice(facts, history) -> None:
    session = Session(facts)
    ever: set[int] = set()
    for numbers in history:
        ever |= numbers
        session.look(*map(file, numbers))
        assert session.decide(session.found(*map(file, numbers))) == Statement()
        assert session.paths == sorted(file(number).path for number in ever)
        assert session.missing == sorted(file(number).path for number in ever - numbers)
    ids = [event.id for event in session.events if isinstance(event, FileIndexed | FileMissing)]
    assert len(ids) == len(set(ids))
