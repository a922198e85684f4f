"""What the tests of the indexer have in common."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from services.indexer.tests.office import Office

from nexuslims_contracts.events import Event
from nexuslims_contracts.testing import END, START, SessionEvents, recorded
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.model import FoundFile, Look, Tree
from nexuslims_indexer.names import Names
from nexuslims_indexer.walk import look, look_at
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.settings import Settings


class Facts(SessionEvents):
    """Makes the events of a session."""

    __slots__ = ()

    def over(self) -> list[Event]:
        """A session that has ended, its user consenting."""
        return [self.started(), self.matched(), self.ended()]

    def state(self, events: Sequence[Event]) -> SessionState:
        return fold(recorded(events))


@dataclass(frozen=True, slots=True)
class Share:
    """The instruments' folders."""

    root: Path
    start: datetime = START
    end: datetime = END

    def write(
        self, relative: str | bytes, moment: datetime | None = None, content: bytes = b"x"
    ) -> Path:
        """Write a file below the Titan's folder, a minute after the start by default."""
        path = self.root / "Titan" / os.fsdecode(relative)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        seconds = (moment or self.start + timedelta(minutes=1)).timestamp()
        os.utime(path, (seconds, seconds))
        return path

    def seen(self, **options) -> "Seen":
        """What is seen of the folder, looked at once."""
        seen = Seen(self, **options)
        seen.look()
        return seen

    def found(self, **options) -> list[str]:
        return [file.path for file in self.seen(**options).files()]


class Seen:
    """The Titan's folder and its index, looked at at times that the test tells."""

    def __init__(
        self,
        share: Share,
        *,
        strategy: str = "exclusive",
        ignore: Sequence[str] = (),
        settle: float = 5,
        offset: float = 0,
        path: Path | str = ":memory:",
    ) -> None:
        self.share = share
        self.names = Names(strategy, ignore)  # type: ignore[arg-type]
        self.tree = Tree(share.root, "Titan", round(settle * 10**9), round(offset * 10**9))
        self.index = FolderIndex(path, self.names.signature)
        self.now = END + timedelta(days=1)
        self.last = Look()

    def look(self, seconds: float = 10, *, everything: bool = False, had_files: bool = False):
        """Look again, so many seconds later."""
        self.now += timedelta(seconds=seconds)
        self.last = look(
            self.tree,
            self.index,
            self.names,
            nanoseconds(self.now),
            everything=everything,
            had_files=had_files,
        )
        return self.last

    def look_at(self, *folders: str, seconds: float = 10) -> Look:
        self.now += timedelta(seconds=seconds)
        now = nanoseconds(self.now)
        self.last = look_at(self.tree, self.index, self.names, now, folders)
        return self.last

    def files(self, start: datetime = START, end: datetime = END) -> list[FoundFile]:
        return sorted(self.index.files(nanoseconds(start), nanoseconds(end)))

    def paths(self) -> list[str]:
        return [file.path for file in self.files()]

    def all_paths(self) -> list[str]:
        """Paths of all files at rest, whenever they were written."""
        return [file.path for file in sorted(self.index.files(-(2**62), 2**62))]

    def pending(self) -> list[int]:
        """Times to be decided about, which are forgotten."""
        number, times = self.index.pending()
        self.index.settle_pending(number)
        return sorted(times)


def nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp()) * 10**9


@pytest.fixture(scope="session")
def facts() -> Facts:
    return Facts()


@pytest.fixture
def share(settings: Settings) -> Share:
    (settings.instrument_data_path / "Titan").mkdir()
    return Share(settings.instrument_data_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "instruments").mkdir()
    (tmp_path / "instruments.toml").write_text(
        '[[instrument]]\npid = "FEI-Titan-TEM"\nfilestore_path = "Titan"\n'
    )
    return Settings(
        instrument_data_path=tmp_path / "instruments",
        instruments_file=tmp_path / "instruments.toml",
        data_path=tmp_path / "data",
        state_path=tmp_path / "state",
    )


@pytest.fixture
def office(settings, facts) -> Office:
    return Office(settings, facts)
