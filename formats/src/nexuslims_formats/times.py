"""When the data were acquired: epochs and texts of vendors, placed in a zone."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from nexuslims_formats.locales.dates import DateReading, read_datetime, settled
from nexuslims_formats.model import InstrumentContext, Moment

_UNSET = frozenset(
    ("n/a", "na", "nan", "no date", "none", "not available", "not set", "null", "undefined",
     "unknown", "unset", "unspecified")
)  # fmt: skip
"""What programs write in place of a date that they do not know; blanks and zeros besides."""
_CHINESE = re.compile("[\u4e00-\u9fff]")
_QUARTER = timedelta(minutes=15)
_CLOCK_SKEW = timedelta(minutes=3)
_WIDEST_OFFSET = timedelta(hours=14)
_LATE = timedelta(days=2)
_NO_CLOCK = 1980
"""Year of files that were unpacked from archives without times, or written by a PC without one."""
_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MANY_SECONDS = 60_000_000_000  # of 1900 years: from 1970 they lead to years that datetime knows


def from_filetime(ticks: float) -> datetime | None:
    """Return the time of a Windows FILETIME (100 ns since 1601, UTC); None for an unset one."""
    return _from_epoch(_FILETIME_EPOCH, ticks, 10**7)


def from_unix(seconds: float) -> datetime | None:
    """Return the time of seconds since 1970, UTC; None for an unset one."""
    return _from_epoch(_UNIX_EPOCH, seconds, 1)


def _from_epoch(epoch: datetime, ticks: float, per_second: int) -> datetime | None:
    if not 0 < ticks < _MANY_SECONDS * per_second:
        return None
    found = epoch + timedelta(seconds=round(ticks / per_second))
    return found if 1980 <= found.year < 2200 else None  # noqa: PLR2004 - digital instruments


def from_mtime(seconds: float) -> datetime:
    """Return a file's modification time; one that no calendar has is the nearest that has."""
    return datetime.fromtimestamp(min(max(seconds, -_MANY_SECONDS), _MANY_SECONDS), UTC)


def reveal_offset(local: datetime | None, utc: datetime) -> datetime:
    """Return ``utc`` with the offset that the local time beside it reveals, if it does.

    Parameters
    ----------
    local
        The same moment by a local clock, without a zone.
    utc
        The moment in UTC.
    """
    if local is None:
        return utc
    difference = local - utc.replace(tzinfo=None)
    offset = round(difference / _QUARTER) * _QUARTER
    if abs(difference - offset) > _CLOCK_SKEW or abs(offset) > _WIDEST_OFFSET:
        return utc
    return utc.astimezone(timezone(offset))


def moment(source: str, date: Any, clock: Any = "", *, near: datetime | None = None) -> Moment:
    """Return the time of acquisition that a file states as text, in any locale.

    Parameters
    ----------
    source
        Name of the tag, for people.
    date
        A date, or date and time; None and blank texts give a moment that is not set.
    clock
        The time of day, if it stands apart.
    near
        A time in UTC that settles a date of two readings.

    Returns
    -------
    Moment
        With a problem where the text cannot be read.
    """
    text = str(date or "").strip("\0 \t\r\n")
    if not _is_set(text):
        return Moment(None, source)
    naive = near.replace(tzinfo=None) if near else None
    reading = read_datetime(text, str(clock or ""), near=naive)
    if reading is None:
        words = f"{text} {clock or ''}".strip()
        return Moment(None, source, problem=f"the time {words!r} ({source}) cannot be read")
    problem = f"{reading.problem} ({source})" if reading.problem else ""
    return Moment(reading.when, source, reading.others, problem, only_day=reading.only_day)


def _is_set(text: str) -> bool:
    """Tell a date, or what may be one, from blanks, zeros and words for "not known"."""
    digits = [unicodedata.decimal(one) for one in text if one.isdecimal()]
    if digits:
        return any(digits) or _CHINESE.search(text) is not None
    return any(map(str.isalnum, text)) and text.casefold() not in _UNSET


def first_moment(*moments: Moment | None) -> Moment | None:
    """Return the first moment that is set, or else the first that could not be read."""
    given = [one for one in moments if one is not None]
    unread = (one for one in given if one.problem)
    return next((one for one in given if one.when is not None), next(unread, None))


@dataclass(frozen=True, slots=True)
class PlacedTime:
    """A time of acquisition with an offset, and where it was found."""

    when: datetime
    source: str
    problem: str = ""
    """What could not be read, in words."""
    doubt: str = ""
    """What the text may mean as well, in words."""


def place(moment: Moment | None, instrument: InstrumentContext | None, mtime: float) -> PlacedTime:
    """Give a time of acquisition its offset.

    Parameters
    ----------
    moment
        What the file says; None where it says nothing.
    instrument
        Its zone places a naive local time; without an instrument it is taken as UTC.
    mtime
        Modification time of the file, seconds since 1970: the last resort, and what settles a
        date of two readings if one is within two days of it.
    """
    zone = ZoneInfo(instrument.timezone) if instrument else UTC
    written = from_mtime(int(mtime)).astimezone(zone)
    if moment is None or moment.when is None:
        problem = moment.problem if moment else ""
        return PlacedTime(written, "file modification time", problem)
    reading = settled(DateReading(moment.when, moment.others), written.replace(tzinfo=None))
    when = reading.when.replace(microsecond=0)
    doubt = ""
    if reading.others:
        others = " or ".join(f"{other:%Y-%m-%d}" for other in reading.others)
        doubt = f"creation_time is read as {when:%Y-%m-%d}, but may be {others} ({moment.source})"
    elif moment.only_day:
        doubt = f"creation_time is at midnight, for only the day is known ({moment.source})"
    elif _is_after(when, written):
        doubt = f"creation_time is later than the file was written ({moment.source})"
    elif when.tzinfo is None and _is_of_two_offsets(when.replace(tzinfo=zone)):
        doubt = f"creation_time may be an hour off: clocks were changed then ({moment.source})"
    if when.tzinfo is not None:
        when = when.astimezone(zone) if instrument else when
        return PlacedTime(when, moment.source, moment.problem, doubt)
    place_name = f"zone of {instrument.pid}" if instrument else "no zone told, taken as UTC"
    source = f"{moment.source} (local time, {place_name})"
    return PlacedTime(when.replace(tzinfo=zone), source, moment.problem, doubt)


def _is_after(when: datetime, written: datetime) -> bool:
    """Tell a time by days after that at which the file was written, as far as that is known."""
    late = written.replace(tzinfo=None) + _LATE
    return written.year > _NO_CLOCK and when.replace(tzinfo=None) > late


def _is_of_two_offsets(when: datetime) -> bool:
    """Tell a time that clocks showed twice, or not at all, as they were changed."""
    return when.utcoffset() != when.replace(fold=1).utcoffset()
