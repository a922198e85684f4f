"""Rebuilding as a job: which sessions it is about, and where it goes on."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_builder.errors import BuilderError
from nexuslims_builder.rebuild.journal import Journal
from nexuslims_builder.rebuild.rebuilder import Kind, Outcome
from nexuslims_builder.rebuild.selection import Selection, Share, select
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.testing import END, START, SessionEvents
from nexuslims_shared.session.window import Window
from nexuslims_shared.store.memory import MemoryEventStore

HOUR = timedelta(hours=1)

# --- which sessions --------------------------------------------------------------------------


@given(st.text(min_size=1), st.integers(1, 20))
def test_a_session_is_in_exactly_one_share(session: str, shares: int) -> None:
    holding = [Share(number, shares).holds(session) for number in range(1, shares + 1)]
    assert sum(holding) == 1


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(BuilderError, match="share"):
        Share.parse(text)


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (None, None, ["early", "late", "moved"]),
        (None, END + HOUR, ["early"]),
        (END + HOUR, None, ["late", "moved"]),
    ],
)
async def test_sessions_are_selected_by_their_last_times(
    start: datetime | None, end: datetime | None, found: list[str]
) -> None:
    day = timedelta(days=1)
    late = {"start": START + day, "end": END + day}
    early, moved = SessionEvents("early"), SessionEvents("moved")
    events = [early.started(), early.ended(), SessionEvents("late", **late).started()]
    events += [moved.started(), moved.ended(), moved.revised(**late, after=1)]
    store = MemoryEventStore()
    await store.append_all([envelop(event, source="test") for event in events])
    assert await select(store, Selection(window=Window(start, end))) == found
    shares = [Selection(window=Window(start, end), share=Share(n, 2)) for n in (1, 2)]
    parts = [await select(store, share) for share in shares]
    assert sorted(parts[0] + parts[1]) == found


async def test_one_session_is_selected_by_its_name() -> None:
    assert await select(MemoryEventStore(), Selection(session="a")) == ["a"]


# --- going on --------------------------------------------------------------------------------


def test_a_stopped_job_knows_what_it_has_done(tmp_path: Path) -> None:
    path = tmp_path / "rebuild" / "job.jsonl"
    done = [Outcome("a", Kind.CHANGED, "a.xml"), Outcome("b", Kind.LEFT_OUT, "cancelled")]

    def stop() -> None:
        with Journal(path) as journal:
            journal.add(done)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    with path.open("ab") as file:  # a crash cut the last line off
        file.write(b'{"session": "c", "ki')
    with Journal(path) as journal:
        assert journal.done == {"a", "b"}
        assert journal.tally.listed == done[:1]
        assert journal.tally.left_out == {"cancelled": 1}
        journal.add([Outcome("c", Kind.UNCHANGED)])
        assert len(path.read_bytes().splitlines()) == 3
    assert not path.exists()


def test_a_restart_forgets(tmp_path: Path) -> None:
    path = tmp_path / "job.jsonl"
    path.write_text('{"session": "a", "kind": "changed", "detail": ""}\n')
    journal = Journal(path)
    journal.forget()
    with journal:
        assert journal.done == set()


@pytest.mark.parametrize(("kind", "ok"), [(Kind.CHANGED, True), (Kind.FAILED, False)])
def test_all_is_well_unless_somebody_must_see_to_it(tmp_path: Path, kind: Kind, ok: bool) -> None:
    with Journal(tmp_path / "job.jsonl") as journal:
        journal.add([Outcome("a", kind)])
    assert journal.tally.ok is ok
