"""Whatever happens on the share: in the end every file at rest is in exactly one record.

Files and their companions are written, grow, are rewritten, moved and removed, folders cannot be
read, the share goes away, the indexer is restarted and its index lost, sessions go on, end, are
revised and declined, in any order, with looks between. Then all is well again, and the records are
compared with a plain reading of the rules.
"""

import asyncio
import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from services.indexer.tests.observed import Observed, observe, row_of

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import FileIndexed
from nexuslims_contracts.testing import SessionEvents
from nexuslims_indexer import manifest_updater, walk
from nexuslims_indexer.app import Indexer
from nexuslims_indexer.errors import ShareUnavailableError
from nexuslims_indexer.listing import list_folder
from nexuslims_indexer.model import Seen
from nexuslims_indexer.place import nanoseconds
from nexuslims_shared.bucket import MemoryBucket
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.dead_letters import MemoryDeadLetters
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.published_kinds import PublishedKinds
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.session.state import fold
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import read_session

MONDAY = datetime(2026, 3, 2, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NAMES = tuple(f"{folder}/{name}.tif" for folder in ("a", "a/b", "c") for name in ("x", "y"))
SPANS = {"one": (0, 60), "two": (60, 120), "long": (30, 200)}
LIVE = (150, 400)
names = st.sampled_from(NAMES)
minutes = st.integers(1, 215)


class ByHand(Indexer):
    """An indexer that looks when it is told to, and not by itself."""

    def _start(self, folder: str) -> None:
        self.instruments[folder] = self._make(folder)


class Share(RuleBasedStateMachine):
    """A share, an indexer that is run by hand, and a clock that is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.titan = self.folder / "instruments" / "Titan"
        (self.titan / "never-empty").mkdir(parents=True)
        self.loop = asyncio.new_event_loop()
        self.store = MemoryEventStore()
        self.settings = Settings(
            instrument_data_path=self.folder / "instruments",
            data_path=self.folder / "data",
            state_path=self.folder / "state",
            instruments_file=self.folder / "instruments.toml",
            file_grace_minutes=5,
            file_watch="off",
        )
        self.settings.instruments_file.write_text("")
        self.now = MONDAY + timedelta(days=1)
        self.unreadable: set[str] = set()
        self.sessions = list(SPANS)
        self.goes_on = False
        self.sizes = 0
        self.rewritten_in_place = False
        self.observed: dict[str, Observed] = {}
        self.indexer: Indexer | None = None

    # --- what happens ---

    @initialize()
    def the_sessions_are_over(self) -> None:
        for name, (start, end) in SPANS.items():
            one = self.events(name, start, end)
            self.state(one.started(), one.matched(), one.ended())

    @precondition(lambda self: "live" not in self.sessions)
    @rule()
    def one_session_goes_on(self) -> None:
        one = self.events("live", *LIVE)
        self.state(one.started(), one.matched())
        self.sessions.append("live")
        self.goes_on = True

    @precondition(lambda self: self.goes_on)
    @rule()
    def it_ends(self) -> None:
        self.state(self.events("live", *LIVE).ended())
        self.goes_on = False

    @rule(name=names, minute=minutes)
    def a_file_is_written(self, name: str, minute: int) -> None:
        path = self.titan / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rewritten_in_place |= path.exists()
        self.sizes += 1
        path.write_bytes(b"x" * self.sizes)
        moment = (MONDAY + minute * MINUTE).timestamp()
        os.utime(path, (moment, moment))

    @rule(name=names)
    def a_file_is_being_written(self, name: str) -> None:
        path = self.titan / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rewritten_in_place |= path.exists()
        self.sizes += 1
        path.write_bytes(b"x" * self.sizes)
        os.utime(path, (self.now.timestamp(),) * 2)

    @rule(name=names, minute=minutes)
    def a_companion_is_written(self, name: str, minute: int) -> None:
        """Also before its file, and while that is written."""
        self.a_file_is_written(name.replace(".tif", ".txt"), minute)

    @rule(name=names)
    def a_companion_is_being_written(self, name: str) -> None:
        self.a_file_is_being_written(name.replace(".tif", ".txt"))

    @rule(name=names)
    def a_companion_is_removed(self, name: str) -> None:
        self.a_file_is_removed(name.replace(".tif", ".txt"))

    @rule(old=names, new=names)
    def a_file_is_moved(self, old: str, new: str) -> None:
        if (self.titan / old).exists() and not (self.titan / new).exists():
            (self.titan / new).parent.mkdir(parents=True, exist_ok=True)
            (self.titan / old).rename(self.titan / new)

    @rule(name=names)
    def a_file_is_removed(self, name: str) -> None:
        (self.titan / name).unlink(missing_ok=True)

    @rule()
    def a_folder_is_renamed(self) -> None:
        for old, new in (("a", "z"), ("z", "a")):
            if (self.titan / old).exists() and not (self.titan / new).exists():
                (self.titan / old).rename(self.titan / new)
                return

    @rule(folder=st.sampled_from(("a", "c")))
    def a_folder_cannot_be_read(self, folder: str) -> None:
        self.unreadable ^= {f"Titan/{folder}"}

    @rule()
    def the_share_goes_away_and_comes_back(self) -> None:
        away = self.folder / "away"
        self.titan.rename(away)
        self.titan.mkdir()
        self.look()
        self.titan.rmdir()
        away.rename(self.titan)

    @rule()
    def the_indexer_is_restarted(self) -> None:
        self.stop()

    @rule()
    def the_index_is_lost(self) -> None:
        """What looks saw is lost with it, but for what was stated."""
        self.stop()
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        begun = {path for name in self.sessions for path in self.record(name, basis="began")}
        self.observed = {
            path: one for path, one in self.observed.items() if path in begun and not one.is_growing
        }

    @rule(end=st.integers(40, 80))
    def a_session_is_revised(self, end: int) -> None:
        start, _ = SPANS["one"]
        sequence = self.loop.run_until_complete(self.store.last_sequence())
        one = self.events("one", start, end)
        self.state(one.revised(after=sequence))

    @rule(declines=st.booleans())
    def a_user_thinks_again(self, declines: bool) -> None:
        one = self.events("two", *SPANS["two"])
        sequence = self.loop.run_until_complete(self.store.last_sequence())
        self.state(one.declined(after=sequence) if declines else one.matched(after=sequence))

    @rule(seconds=st.sampled_from((1, 3, 10)), everything=st.booleans())
    def it_is_looked(self, seconds: int = 3, everything: bool = False) -> None:
        self.now += timedelta(seconds=seconds)
        self.look(everything=everything)

    # --- what must be so ---

    @invariant()
    def no_file_is_in_two_records(self) -> None:
        seen: list[str] = [path for name in self.sessions for path in self.record(name)]
        assert len(seen) == len(set(seen))

    def teardown(self) -> None:
        try:
            self.unreadable.clear()
            if self.goes_on:
                self.it_ends()
            for _ in range(3):
                self.now += timedelta(seconds=10)
                self.look(everything=True)
            expected = self.expected()
            for name in self.sessions:
                if self.consents(name):
                    assert self.record(name) == expected[name], name
                    self.what_is_read_beside_is_stated(name)
        finally:
            self.stop()
            self.loop.close()
            shutil.rmtree(self.folder)

    def what_is_read_beside_is_stated(self, name: str) -> None:
        """Each file of a record is stated as it is to be read now: with its companion."""
        for file in self.folded(name).current_files().values():
            event = file.indexed.event
            companion = (self.folder / "instruments" / event.path).with_suffix(".txt")
            if not file.is_missing and companion.exists():
                (stated,) = event.companions
                status = companion.stat()
                assert (stated.size, stated.mtime_ns) == (status.st_size, status.st_mtime_ns)

    def expected(self) -> dict[str, set[str]]:
        """Whose each file on the share is, by a plain reading of the rules for these sessions."""
        expected: dict[str, set[str]] = {name: set() for name in self.sessions}
        for path in self.titan.rglob("*.tif"):
            relative = path.relative_to(self.folder / "instruments").as_posix()
            if owner := self.owner(relative, path.stat().st_mtime_ns):
                expected[owner].add(relative)
        return expected

    def owner(self, path: str, mtime_ns: int) -> str:
        """Whose a file is; empty for nobody's."""
        spans = {name: self.span(name) for name in self.sessions}

        def at(minute: float) -> list[str]:
            within = [name for name, (start, end) in spans.items() if start < minute <= end]
            return sorted(within, key=lambda one: (spans[one][1] - spans[one][0], -spans[one][0]))

        written = minute_of(mtime_ns)
        within = at(written)
        if not all(map(self.consents, within)):
            return ""
        seen = self.observed.get(path)
        began = at(minute_of(seen.began_ns))[:1] if seen and seen.began_ns else []
        ended = [name for name, (_, end) in spans.items() if end < written <= end + 5]
        last = sorted(ended, key=lambda name: (spans[name][1], spans[name][0]))[-1:]
        first = [name for name in began if name not in within]
        owner = (first or within or last or [""])[0]
        return owner if owner and self.consents(owner) else ""

    def observe(self) -> None:
        """Take note of what a look saw: when files were begun that grew until they rested."""
        seen = {
            path.relative_to(self.folder / "instruments").as_posix(): row_of(path)
            for path in self.titan.rglob("*.tif")
        }
        for path in [one for one in self.observed if one not in seen and self.is_readable(one)]:
            del self.observed[path]
        for path, row in seen.items():
            if self.is_readable(path):
                self.observed[path] = observe(self.observed.get(path), row, self.now)

    def is_readable(self, path: str) -> bool:
        """Tell whether a look sees a file; below what it cannot read it knows only what was."""
        return not any(path.startswith(f"{one}/") for one in self.unreadable)

    # --- by hand ---

    def events(self, name: str, start: float, end: float) -> SessionEvents:
        return SessionEvents(
            session=f"file-{name}", start=MONDAY + start * MINUTE, end=MONDAY + end * MINUTE
        )

    def state(self, *events: Any) -> None:
        for event in events:
            self.loop.run_until_complete(self.store.append(envelop(event, source="test")))

    def folded(self, name: str) -> Any:
        history = self.loop.run_until_complete(read_session(self.store, f"file-{name}"))
        return fold(history)

    def span(self, name: str) -> tuple[float, float]:
        event = self.folded(name).schedule.event
        end = getattr(event, "end", None)
        return (event.start - MONDAY) / MINUTE, (end - MONDAY) / MINUTE if end else float("inf")

    def consents(self, name: str) -> bool:
        return type(self.folded(name).booking.event).__name__ == "ReservationMatched"

    def record(self, name: str, basis: str = "") -> set[str]:
        """Paths that the record of a session has, missing ones apart; none without consent."""
        if not self.consents(name):
            return set()
        files = self.folded(name).current_files().values()
        found = [file.indexed.event for file in files if not file.is_missing]
        assert all(isinstance(one, FileIndexed) for one in found)
        return {one.path for one in found if basis in ("", one.basis)}

    def look(self, *, everything: bool = False) -> None:
        self.loop.run_until_complete(self._look(everything))

    async def _look(self, everything: bool) -> None:
        if self.indexer is None:
            letters = MemoryDeadLetters()
            context = ServiceContext(self.settings, self.store, MemoryPeople(), letters, None)  # type: ignore[arg-type]
            self.indexer = ByHand(
                context, PublishedKinds(MemoryBucket()), CalendarNotes(MemoryBucket())
            )
        clock = mock.Mock(wraps=datetime)
        clock.now = lambda zone: self.now
        with (
            mock.patch.object(walk, "list_folder", self._list),
            mock.patch.object(manifest_updater, "datetime", clock),
        ):
            await self.indexer.catch_up()
            for instrument in self.indexer.instruments.values():
                await self._once(instrument, everything)

    async def _once(self, instrument: Any, everything: bool) -> None:
        """One round of an instrument's loop, at the time of this test."""
        now_ns = round(self.now.timestamp() * 10**9)
        try:
            found = walk.look(
                instrument.tree(self.now),
                instrument._index,
                instrument._names,
                now_ns,
                everything=everything or self.rewritten_in_place,
            )
        except ShareUnavailableError:
            return
        self.observe()
        self.rewritten_in_place &= bool(self.unreadable)
        await instrument.manifests.update(
            Seen(found.growing, tuple(found.unreadable), found.is_first)
        )

    def _list(self, path: str, choose: Any) -> Any:
        if any(path.endswith(one) for one in self.unreadable):
            raise PermissionError(13, "Permission denied")
        return list_folder(path, choose)

    def stop(self) -> None:
        if self.indexer is not None:
            self.indexer.close()
            self.indexer = None


def minute_of(moment_ns: int) -> float:
    """Minutes since the sessions' morning."""
    return (moment_ns - nanoseconds(MONDAY)) / 60 / 10**9


TestShare = Share.TestCase
TestShare.settings = settings(
    max_examples=int(os.environ.get("NX_TEST_SHARES", "15")),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_a_file_that_becomes_nobodys_leaves_its_record() -> None:
    """While it is written nothing is known of it; then it lies far from its session's time."""
    share = Share()
    share.the_sessions_are_over()
    share.a_file_is_written(name="a/x.tif", minute=1)
    share.it_is_looked(seconds=1)
    share.a_file_is_being_written(name="a/x.tif")
    share.it_is_looked(seconds=1)
    share.teardown()


def test_a_file_that_becomes_anothers_leaves_its_record() -> None:
    share = Share()
    share.the_sessions_are_over()
    share.a_file_is_written(name="a/x.tif", minute=1)
    share.it_is_looked(seconds=1)
    share.a_file_is_written(name="a/x.tif", minute=66)
    for seconds in (1, 10):
        share.it_is_looked(seconds=seconds)
        share.no_file_is_in_two_records()
    share.teardown()


def test_a_restart_while_a_file_is_written_does_not_keep_it_where_it_was() -> None:
    share = Share()
    share.the_sessions_are_over()
    share.a_file_is_written(name="a/x.tif", minute=1)
    share.it_is_looked(seconds=1)
    share.a_file_is_being_written(name="a/x.tif")
    share.the_index_is_lost()
    share.it_is_looked(seconds=1)
    share.the_indexer_is_restarted()
    share.teardown()
