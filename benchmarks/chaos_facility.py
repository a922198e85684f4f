"""A made-up facility for the chaos: small files, a calendar that is edited while all else fails."""

import os
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.chaos_checker import Expected
from nexuslims_shared.session.status import Status

INSTRUMENTS: Final = 4
_BEGIN: Final = datetime(2026, 3, 2, 8, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)
_FILES_AFTER: Final = (timedelta(minutes=10), timedelta(minutes=40))
_SPECTRUM: Final = """\
#FORMAT      : EMSA/MAS Spectral Data File
#VERSION     : 1.0
#TITLE       : {title}
#NPOINTS     : 4.0
#NCOLUMNS    : 1.0
#XUNITS      : eV
#YUNITS      : counts
#DATATYPE    : Y
#XPERCHAN    : 10.0
#OFFSET      : 0.0
#SIGNALTYPE  : EDS
#SPECTRUM    : Spectral Data Starts Here
1.0
2.0
3.0
4.0
#ENDOFDATA   :
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A session as the calendar has it."""

    number: int
    title: str
    end: datetime
    consent: bool = True
    cancelled: bool = False

    @property
    def session(self) -> str:
        """Its token."""
        return f"file-{self.number}"

    @property
    def start(self) -> datetime:
        """When it began; sessions of one instrument follow each other."""
        return _BEGIN + (self.number // INSTRUMENTS) * 2 * _HOUR

    @property
    def instrument(self) -> str:
        """Where it was held."""
        return f"EDS-{self.number % INSTRUMENTS}"

    @property
    def files(self) -> tuple[str, ...]:
        """Its files, below the folder of instruments."""
        return tuple(f"{self.instrument}/s{self.number}_{index}.msa" for index in range(2))

    @property
    def status(self) -> Status:
        """What is to become of it."""
        if self.cancelled:
            return Status.CANCELLED
        return Status.COMPLETED if self.consent else Status.NO_CONSENT


@dataclass(slots=True)
class MadeUpFacility:
    """Sessions in a folder.

    Parameters
    ----------
    folder
        Where its files, its calendar and its settings are.
    count
        How many sessions there are.
    """

    folder: Path
    count: int
    entries: dict[int, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the first state of the calendar."""
        for number in range(self.count):
            entry = Entry(number, f"Work {number}", _BEGIN)
            self.entries[number] = replace(entry, end=entry.start + _HOUR)

    @property
    def data(self) -> Path:
        """Where artifacts are written."""
        return self.folder / "data"

    def write(self) -> None:
        """Write the instruments, the files and the calendar."""
        self.data.mkdir(parents=True)
        instruments = [
            f'[[instrument]]\npid = "EDS-{number}"\nfilestore_path = "EDS-{number}"\n'
            'timezone = "UTC"\n'
            for number in range(INSTRUMENTS)
        ]
        (self.folder / "instruments.toml").write_text("\n".join(instruments))
        for entry in self.entries.values():
            for name, after in zip(entry.files, _FILES_AFTER, strict=True):
                path = self.folder / "instruments" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_SPECTRUM.format(title=name))
                moment = (entry.start + after).timestamp()
                os.utime(path, (moment, moment))
        self.write_calendar()

    def write_calendar(self) -> None:
        """Write the calendar as it is now, whole or not at all."""
        text = "\n".join(map(_table, self.entries.values()))
        path = self.folder / "calendar.toml"
        beside = path.with_suffix(".new")
        beside.write_text(text)
        beside.replace(path)

    def expected(self) -> dict[str, Expected]:
        """Return what the calendar asks for now, by session."""
        return {
            entry.session: Expected(entry.status, entry.title, len(entry.files))
            for entry in self.entries.values()
        }

    def edit(self, chance: random.Random) -> str:
        """Change an entry, and say how.

        Parameters
        ----------
        chance
            Chooses.
        """
        entry = self.entries[chance.randrange(self.count)]
        minutes = timedelta(minutes=chance.randrange(45, 70))
        changed = chance.choice(
            (
                replace(entry, title=f"Work {entry.number}, seen {chance.randrange(1000)}"),
                replace(entry, end=entry.start + minutes),
                replace(entry, consent=not entry.consent),
                replace(entry, cancelled=not entry.cancelled),
            )
        )
        self.entries[entry.number] = changed
        self.write_calendar()
        return changed.session


def _table(entry: Entry) -> str:
    return (
        f'[[session]]\nid = "{entry.number}"\ninstrument = "{entry.instrument}"\n'
        f'user = {{username = "u{entry.number % 7}", first_name = "User"}}\n'
        f"start = {entry.start.isoformat()}\nend = {entry.end.isoformat()}\n"
        f'title = "{entry.title}"\nconsent = {str(entry.consent).lower()}\n'
        f"cancelled = {str(entry.cancelled).lower()}\n"
    )
