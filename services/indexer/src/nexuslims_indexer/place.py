"""A folder that is looked through, and what is set for the instruments that have files in it.

One look serves all instruments whose folders are the same, or one within the other.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from nexuslims_indexer.claims import FOR_EVER, Rules
from nexuslims_indexer.model import Tree
from nexuslims_indexer.tracked_sessions import TreeKey
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.instruments import InstrumentEntry, read_instruments
from nexuslims_shared.settings import Settings

log = logging.getLogger(__name__)

_SECOND_NS: Final = 10**9
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def nanoseconds(moment: datetime) -> int:
    """Nanoseconds since the epoch, exactly; a time without offset is a mistake (TypeError)."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock that dates an instrument's files.

    Parameters
    ----------
    offset_ns
        How far it is ahead, nanoseconds.
    zones
        The zone whose time it shows, and the one that it is taken for, where these differ: a PC
        that does not change to summer time is behind for a part of the year.
    """

    offset_ns: int = 0
    zones: tuple[ZoneInfo, ZoneInfo] | None = None

    def ahead_ns(self, moment: datetime) -> int:
        """Return how far it is ahead at a time, nanoseconds."""
        if self.zones is None:
            return self.offset_ns
        shows, should = (moment.astimezone(zone).replace(tzinfo=None) for zone in self.zones)
        return self.offset_ns + (shows - should) // timedelta(seconds=1) * _SECOND_NS

    def span(self, start: datetime, end: datetime | None) -> tuple[int, int]:
        """Return a session's time as this clock shows it, nanoseconds since the epoch.

        Parameters
        ----------
        start, end
            The session's; no end while it goes on. Where the clock is set back in between, the
            span is as wide as it may be.
        """
        if end is None:
            return nanoseconds(start) + self.ahead_ns(start), FOR_EVER
        first, last = self.ahead_ns(start), self.ahead_ns(end)
        return nanoseconds(start) + min(first, last), nanoseconds(end) + max(first, last)


@dataclass(frozen=True, slots=True)
class InstrumentRules:
    """What is set for one instrument: whose files are, its clock, and when files rest."""

    claims: Rules
    clock: Clock
    settle_ns: int


class Place:
    """A folder that is looked through as one.

    Parameters
    ----------
    settings
        Of the facility.
    folder
        Below the instrument data path.
    """

    def __init__(self, settings: Settings, folder: str) -> None:
        self.folder = folder
        self.root = settings.instrument_data_path
        self._settings = settings
        self._rules: dict[TreeKey, InstrumentRules] = {}
        self._is_readable = True

    def rules(self, key: TreeKey) -> InstrumentRules:
        """Return what is set for an instrument; it is read once."""
        known = self._rules.get(key)
        if known is None:
            known = self._rules[key] = self._read(key)
        return known

    def claims_of(self, keys: Iterable[TreeKey]) -> str:
        """Return all that is set by which files are given to sessions: to tell when it changes.

        Empty where it cannot be read.

        Parameters
        ----------
        keys
            The instruments of the folder.
        """
        rules = [(key, self.rules(key).clock, self.rules(key).claims) for key in keys]
        return repr(rules) if self._is_readable else ""

    def tree(self, keys: Iterable[TreeKey], now: datetime) -> Tree:
        """Return how the folder is to be looked through.

        Parameters
        ----------
        keys
            Its instruments. Where they differ, files come to rest as late as those of any.
        now
            The time.
        """
        rules = [self.rules(key) for key in keys] or [self._of(None, ("", self.folder))]
        return Tree(
            self.root,
            self.folder,
            settle_ns=max(one.settle_ns for one in rules),
            offset_ns=min(one.clock.ahead_ns(now) for one in rules),
        )

    def _read(self, key: TreeKey) -> InstrumentRules:
        try:
            entry = read_instruments(self._settings.instruments_file).get(key[0])
        except SettingsError as error:
            log.warning("%s", error)
            entry, self._is_readable = None, False
        return self._of(entry, key)

    def _of(self, entry: InstrumentEntry | None, key: TreeKey) -> InstrumentRules:
        """Fill in the facility's settings; one that is no longer listed has only these."""
        grace, settle = self._settings.file_grace_minutes, self._settings.file_settle_seconds
        if entry is not None:
            grace = grace if entry.grace_minutes is None else entry.grace_minutes
            settle = settle if entry.settle_seconds is None else entry.settle_seconds
        return InstrumentRules(
            Rules(
                round(grace * 60 * _SECOND_NS),
                entry.folders if entry else "",
                place=key[1] if key[1] != self.folder else "",
            ),
            clock_of(entry) if entry else Clock(),
            round(settle * _SECOND_NS),
        )


def clock_of(entry: InstrumentEntry) -> Clock:
    """Return the clock of an instrument."""
    shows, zone = entry.clock_timezone, entry.timezone
    return Clock(
        round(entry.clock_offset * _SECOND_NS), (ZoneInfo(shows), ZoneInfo(zone)) if shows else None
    )
