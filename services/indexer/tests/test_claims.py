"""Whose a file is."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_contracts.paths import bytes_of, path_from, readable
from nexuslims_indexer.claims import FOR_EVER, Booked, Claim, Rules, Sessions, explain
from nexuslims_indexer.gather import Evidence, batches, gather
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.listing import Listing
from nexuslims_indexer.model import FoundFile

MINUTE = 60 * 10**9


def booked(name: str, start: float, end: float, **more) -> Booked:
    """A session from one minute to another."""
    return Booked(name, round(start * MINUTE), round(end * MINUTE), **more)


def file(minute: float, path: str = "T/f.dm3", began: float = 0) -> FoundFile:
    return FoundFile(round(minute * MINUTE), path, 1, round(began * MINUTE))


def claims(*sessions: Booked, grace: int = 10, **rules) -> Sessions:
    """Sessions of one instrument; those with rules of their own are of another one."""
    common = Rules(grace_ns=grace * MINUTE, **rules)
    return Sessions(
        [one if one.rules != Rules() else replace(one, rules=common) for one in sessions]
    )


A, B = booked("a", 0, 60), booked("b", 60, 120)


@pytest.mark.parametrize(
    ("minute", "owner", "basis"),
    [
        (0, "", "time"),
        (0.001, "a", "time"),
        (60, "a", "time"),
        (60.001, "b", "time"),
        (120, "b", "time"),
        (130, "b", "grace"),
        (130.001, "", "time"),
    ],
)
def test_by_time_after_the_start_until_the_end_and_shortly_after(minute, owner, basis) -> None:
    claim = claims(A, B).claim(file(minute))
    assert (claim.session, claim.basis) == (owner, basis)


def test_a_file_that_was_begun_in_a_session_is_that_sessions_and_both_tell() -> None:
    late = file(61, began=59)
    claim = claims(A, B).claim(late)
    assert claim == Claim("a", "began", ("b",))
    assert explain({late: claim}, "a") == (
        "1 file, such as T/f.dm3: in this record, not in that of b: begun in its time",
    )
    assert explain({late: claim}, "b") == (
        "1 file, such as T/f.dm3: in the record of a, begun in its time",
    )


def test_of_several_sessions_the_shortest_has_it() -> None:
    day = booked("day", 0, 500)
    assert claims(day, A, B).claim(file(30)) == Claim("a", "narrower", ("day",))
    assert claims(day, A, B).claim(file(300)).session == "day"
    assert claims(booked("open", 0, FOR_EVER / MINUTE), A).claim(file(30)).session == "a"


def test_a_time_that_a_user_declined_is_in_nobodys_record() -> None:
    day, declined = booked("day", 0, 500), booked("no", 60, 120, declined=True)
    sessions = claims(day, declined)
    assert sessions.claim(file(30)).session == "day"
    claim = sessions.claim(file(90))
    assert (claim.session, set(claim.others)) == ("", {"day", "no"})
    assert "in nobody's record" in explain({file(90): claim}, "day")[0]
    assert claims(declined).claim(file(125)).session == ""


def test_a_folder_of_a_user_decides_where_that_is_the_rule() -> None:
    one = booked("one", 0, 60, user_names=frozenset({"ned"}))
    two = booked("two", 30, 90, user_names=frozenset({"conseil"}))
    sessions = claims(one, two, folders="user")
    assert sessions.claim(file(45, "T/NED/a.dm3")) == Claim("one", "folder", ("two",))
    assert sessions.claim(file(45, "T/conseil/a.dm3")) == Claim("two", "folder", ("one",))
    assert sessions.claim(file(62, "T/ned/a.dm3")) == Claim("one", "folder", ("two",))
    assert sessions.claim(file(80, "T/ned/a.dm3")).session == "two"
    assert claims(one, two).claim(file(45, "T/ned/a.dm3")).session == "two"


def test_a_folder_of_a_session_decides_whatever_the_time() -> None:
    sessions = claims(A, booked("b", 60, 120, own_names=frozenset({"4711"})), folders="session")
    assert sessions.claim(file(10, "T/4711/x/a.dm3")) == Claim("b", "folder", ("a",))
    assert sessions.claim(file(10, "T/a.dm3")).session == "a"


def test_the_time_inside_a_file_settles_a_doubt_and_only_that() -> None:
    sessions = claims(A, B)
    assert sessions.claim(file(61), 59 * MINUTE) == Claim("a", "content", ("b",))
    assert sessions.claim(file(61), 500 * MINUTE).session == "b"
    assert sessions.claim(file(100), 59 * MINUTE).session == "b"


def test_instruments_that_share_a_folder_have_each_file_in_one_record_and_both_tell() -> None:
    """Whose it is, a folder of the user says, if that is the rule; else how long sessions are."""
    long = booked("sem", 0, 100, user_names=frozenset({"ned"}))
    short = booked("eds", 30, 60, user_names=frozenset({"conseil"}))
    shared = file(45, "T/ned/a.dm3")
    assert claims(long, short).claim(shared) == Claim("eds", "narrower", ("sem",))
    by_user = claims(long, short, folders="user").claim(shared)
    assert by_user == Claim("sem", "folder", ("eds",))
    for session in ("sem", "eds"):
        assert "T/ned/a.dm3" in explain({shared: by_user}, session)[0]


def test_a_folder_within_anothers_is_first_that_of_the_nearest() -> None:
    outer, inner = booked("sem", 0, 60), booked("eds", 0, 90, rules=Rules(place="T/eds"))
    sessions = claims(outer, inner)
    assert sessions.claim(file(30, "T/eds/a.dm3")) == Claim("eds", "folder", ("sem",))
    assert sessions.claim(file(30, "T/edsel/a.dm3")) == Claim("sem")
    assert sessions.claim(file(80, "T/a.dm3")) == Claim("", "time")
    assert claims(outer).claim(file(30, "T/eds/a.dm3")) == Claim("sem")


def test_a_time_declined_on_one_instrument_is_not_that_of_a_folder_within() -> None:
    outer = booked("sem", 0, 60, declined=True)
    sessions = claims(outer, booked("eds", 0, 90, rules=Rules(place="T/eds")))
    assert sessions.claim(file(30, "T/eds/a.dm3")).session == "eds"
    assert sessions.claim(file(30, "T/a.dm3")).session == ""


def test_what_only_the_events_know_of_a_file_stands() -> None:
    evidence = Evidence()
    late = file(61)
    assert evidence.claim(late, claims(A, B)).session == "b"
    evidence.take("a", {late.token: "began"})
    assert evidence.claim(late, claims(A, B)) == Claim("a", "began", ("b",))
    evidence.take("a", {})
    assert evidence.claim(late, claims(A, B)).session == "b"


def test_paths_are_shown_readably() -> None:
    assert readable("T/é.dm3") == "T/é.dm3"
    odd = "T/caf\udce9.dm3"
    assert readable(odd) == "T/caf\\xe9.dm3"
    assert path_from(readable(odd), bytes_of(odd)) == odd
    assert bytes_of("T/é.dm3") == ""


spans = st.tuples(st.integers(0, 60), st.integers(1, 30), st.booleans())


@settings(deadline=None)
@given(st.lists(spans, min_size=1, max_size=6), st.lists(st.integers(-5, 120), max_size=25))
def test_one_pass_for_all_sessions_finds_what_the_rule_says_of_each_file(
    sessions: list[tuple[int, int, bool]], minutes: list[int]
) -> None:
    calendar = claims(
        *(
            booked(f"s{number}", start, start + length, declined=declined)
            for number, (start, length, declined) in enumerate(sessions)
        ),
        grace=3,
    )
    names = tuple(f"f{number}.dm3" for number, _ in enumerate(minutes))
    listing = Listing(device=1, mtime_ns=1, names=names)
    for minute in sorted(minutes):
        listing.times.append(minute * MINUTE)
        listing.sizes.append(1)
    index = FolderIndex(":memory:", "")
    index.put("T", listing, 1)
    found: dict[str, set[str]] = {}
    for batch in batches(calendar.booked):
        for session, files in gather(index, calendar, batch, Evidence()).items():
            mine = {one.path for one, claim in files.items() if claim.session == session}
            found[session] = mine
    expected: dict[str, set[str]] = {one.session: set() for one in calendar.booked}
    for minute, name in zip(sorted(minutes), names, strict=True):
        owner = calendar.claim(file(minute, f"T/{name}")).session
        if owner:
            expected[owner].add(f"T/{name}")
    assert found == expected
    index.close()
