"""Small readings shared by the formats: names and times as vendors write them."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from nexuslims_formats.model import InstrumentContext, Moment

_LINE_END = re.compile(r"\r\n|\r|\n")
_NOT_NAME = re.compile(r"[^0-9a-z]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_QUARTER = timedelta(minutes=15)
_CLOCK_SKEW = timedelta(minutes=3)
_WIDEST_OFFSET = timedelta(hours=14)
_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MANY_SECONDS = 60_000_000_000  # of 1900 years: from 1970 they lead to years that datetime knows

_TIME_FORMATS = ("%H:%M:%S.%f", "%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
_DATE_FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y:%m:%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d %b %Y",
    "%d-%b-%Y", "%d %B %Y", "%b %d %Y", "%m/%d/%y", "%d.%m.%y",
)  # fmt: skip


def lines_of(text: str) -> list[str]:
    """Return the lines of a text; ``str.splitlines`` also splits at what is part of a line."""
    return _LINE_END.split(text)


def snake(name: str) -> str:
    """Return a vendor's name in snake case: ``"Spot size (nm)"`` becomes ``spot_size_nm``."""
    name = name.replace("µ", "u").replace("μ", "u")
    return _NOT_NAME.sub("_", _CAMEL.sub("_", name).lower()).strip("_")


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``(snake_case path, value)`` of every text, number or flag in a tree, in its order.

    Parameters
    ----------
    tree
        Nested dicts.
    prefix
        What every path starts with.
    """
    for key, value in tree.items():
        name = f"{prefix}_{snake(str(key))}" if prefix else snake(str(key))
        if isinstance(value, Mapping):
            yield from leaves(value, name)
        elif isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            yield name, value
        elif isinstance(value, str) and value.strip():
            yield name, value.strip()


def parse_date(text: str) -> list[datetime]:
    """Return every reading of a date: ``03/04/2020`` has two, the American one first."""
    text = re.sub(r"\s+", " ", text.strip().rstrip("\0"))
    readings: list[datetime] = []
    for form in _DATE_FORMATS:
        try:
            found = datetime.strptime(text, form)  # noqa: DTZ007 - a local date has no zone
        except ValueError:
            continue
        if found not in readings:
            readings.append(found)
    return readings


def parse_clock(text: str) -> timedelta | None:
    """Return the time of day of ``"12:49:45 PM"``, ``"08:55:59 p.m."`` or ``"13:05"``."""
    text = re.sub(r"\s+", " ", text.strip().rstrip("\0"))
    text = re.sub(r"(?i)\b([ap])\.?\s?m\.?(?=$|\s)", lambda found: found[1] + "m", text)
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)
    for form in _TIME_FORMATS:
        try:
            found = datetime.strptime(text, form)  # noqa: DTZ007 - a time of day has no zone
        except ValueError:
            continue
        return found - datetime(1900, 1, 1)  # noqa: DTZ001 - the origin of strptime
    return None


def local_time(date: Any, clock: Any, utc: datetime | None = None) -> datetime | None:
    """Return a naive local time from a date and a time of day in any locale.

    Where a date has two readings, the one nearest to ``utc`` is taken, otherwise the American one.

    Parameters
    ----------
    date
        A date in any locale.
    clock
        A time of day; midnight where it cannot be read.
    utc
        A time near the one wanted, to choose between readings.
    """
    time = parse_clock(str(clock))
    readings = [day + (time or timedelta()) for day in parse_date(str(date))]
    if utc is not None:
        readings.sort(key=lambda reading: abs(reading - utc.replace(tzinfo=None)))
    return readings[0] if readings else None


def parse_datetime(text: str) -> datetime | None:
    """Return the time of a text: ISO 8601, C ``asctime``, EXIF, or date and time of any locale."""
    text = re.sub(r"\s+", " ", text.strip().rstrip("\0"))
    iso = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        return datetime.fromisoformat(iso)
    except ValueError:
        pass
    try:
        return datetime.strptime(text, "%a %b %d %H:%M:%S %Y")  # noqa: DTZ007 - no zone in it
    except ValueError:
        pass
    date, _, clock = text.partition(" ")
    return local_time(date, clock) if clock else None


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


def place(
    moment: Moment | None, instrument: InstrumentContext | None, mtime: float
) -> tuple[datetime, str]:
    """Return the time of acquisition with an offset, and where it was found.

    Parameters
    ----------
    moment
        What the file says; None where it says nothing.
    instrument
        Its zone places a naive local time; without an instrument it is taken as UTC.
    mtime
        Modification time of the file, seconds since 1970: the last resort.

    Returns
    -------
    when, source
        The time at whole seconds, and the words for ``creation_time_source``.
    """
    zone = ZoneInfo(instrument.timezone) if instrument else UTC
    if moment is None:
        return from_mtime(int(mtime)).astimezone(zone), "file modification time"
    when = moment.when.replace(microsecond=0)
    if when.tzinfo is None:
        place_name = f"zone of {instrument.pid}" if instrument else "no zone told, taken as UTC"
        return when.replace(tzinfo=zone), f"{moment.source} (local time, {place_name})"
    return (when.astimezone(zone) if instrument else when), moment.source
