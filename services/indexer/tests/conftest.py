"""What the tests of the indexer have in common."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import (
    ConsentDeclined,
    Event,
    Instrument,
    ReservationMatched,
    RetryRequested,
    SessionCancelled,
    SessionEnded,
    SessionRevised,
    SessionStarted,
)
from nexuslims_indexer.finder import Found, Search, find_files
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.settings import Settings

START = datetime(2018, 11, 13, 16, tzinfo=UTC)
END = START + timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Facts:
    """Makes the events of a session."""

    start: datetime = START
    end: datetime = END
    session: str = "file-1"
    instrument: Instrument = field(
        default=Instrument(pid="FEI-Titan-TEM", name="FEI Titan TEM", filestore="Titan")
    )

    def started(self) -> SessionStarted:
        return SessionStarted(
            session=self.session,
            calendar="file",
            calendar_event="1",
            instrument=self.instrument,
            start=self.start,
        )

    def matched(self) -> ReservationMatched:
        return ReservationMatched(session=self.session, tier="calendar", title="T", after=0)

    def declined(self) -> ConsentDeclined:
        return ConsentDeclined(session=self.session, tier="calendar", reason="no", after=0)

    def ended(self) -> SessionEnded:
        return SessionEnded(
            session=self.session, instrument=self.instrument, start=self.start, end=self.end
        )

    def revised(self, end: datetime | None, after: int) -> SessionRevised:
        return SessionRevised(
            session=self.session,
            instrument=self.instrument,
            start=self.start,
            end=end,
            after=after,
        )

    def cancelled(self, after: int) -> SessionCancelled:
        return SessionCancelled(session=self.session, reason="withdrawn", after=after)

    def retry(self, request: str = "1") -> RetryRequested:
        return RetryRequested(session=self.session, request=request)

    def over(self) -> list[Event]:
        """A session that has ended, its user consenting."""
        return [self.started(), self.matched(), self.ended()]

    def state(self, events: Sequence[Event]) -> SessionState:
        return fold(
            Recorded(envelop(event, source="test", time=END), number, END)
            for number, event in enumerate(events, start=1)
        )


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
