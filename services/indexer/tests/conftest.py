"""What the tests of the indexer have in common."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nexuslims_contracts.events import Event
from nexuslims_contracts.testing import END, START, SessionEvents, recorded
from nexuslims_indexer.finder import Found, Search, find_files
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

    def search(self, *, strategy: str = "exclusive", ignore: Sequence[str] = ()) -> Found:
        return find_files(
            Search(self.root, "Titan", self.start, self.end, strategy, ignore)  # type: ignore[arg-type]
        )

    def found(self, **options) -> list[str]:
        return [file.path for file in self.search(**options).files]


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
