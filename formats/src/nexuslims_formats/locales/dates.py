"""Dates and times of day in the orders, words and scripts of any locale.

A date may have two readings (``03/04/2020``). Which of them counts is decided by what stands
beside it: a month or a year that settles the order, an exact time near it; what remains open is
part of the reading.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Final

from nexuslims_formats.locales.months import MONTHS, folded

_ERAS: Final = {"令和": 2018, "平成": 1988, "昭和": 1925, "民国": 1911, "民國": 1911}
_ERAS_IN_SHORT: Final = {"R": "令和", "H": "平成", "S": "昭和"}
_ERA: Final = re.compile(
    rf"({'|'.join(_ERAS)}|(?<![^\W\d_])[{''.join(_ERAS_IN_SHORT)}](?=\d))\s*(元|\d+)"
)
_BUDDHIST: Final = range(2400, 2700)
_CENTURY: Final = 69
"""Two digits of a year from here on are of the twentieth century, as in POSIX."""
_FIRST: Final = 1980
_LAST: Final = 2200
"""The years of digital instruments."""
_AM: Final = frozenset(map(folded, (
    "a", "am", "ap", "d", "de", "dop", "dopoldne", "f", "fh", "fm", "m", "öö", "prieksp",
    "priekspusdiena", "priešpiet", "prp", "sa", "πμ", "дп", "ص", "صباحا", "오전", "上午", "午前",
    "dopoledne", "matin", "pagi", "pg", "vorm", "vormittags",
)))  # fmt: skip
"""Marks of the first half of the day (CLDR and Windows), without points and spaces."""
_PM: Final = frozenset(map(folded, (
    "ch", "du", "e", "eh", "em", "ip", "odp", "ös", "p", "pēcp", "pēcpusd", "pecpusdiena", "pm",
    "pop", "popiet", "popoldne", "μμ", "пп", "م", "مساء", "오후", "下午", "午後",
    "abends", "nachm", "nachmittags", "odpoledne", "petang", "ptg", "soir", "tarde",
)))  # fmt: skip
_NO_MARKS: Final = MONTHS.keys() | frozenset(map(folded, (
    "at", "clock", "godz", "h", "hod", "hours", "hr", "hrs", "kl", "klo", "local", "time", "um",
    "uhr", "ur", "z", "分", "분",
)))  # fmt: skip
"""Words that leave the half of the day open, months among them; names of days and zones do too."""
_ZONE_NAME: Final = re.compile("[A-Z]{2,4}T|UTC|GMT")
_HOURS_OF_HALF: Final = range(1, 13)
_HOUR, _MINUTE, _SECOND = "(?P<hour>[0-9]{1,2})", "(?P<minute>[0-9]{1,2})", "(?P<second>[0-9]{1,2})"
_MARKS: Final = r"(?P<{}>[^\W\d_{}](?:[^\W\d_]|[.\s]{{1,2}}(?=[^\W\d_])){{0,24}}\.?)"


def _clock_with(mark: str) -> "re.Pattern[str]":
    """Return the pattern of a time of day whose numbers are parted by some mark."""
    return re.compile(
        rf"(?:{_MARKS.format('before', '年月日号號년월일')}\s*)?(?<![0-9])"
        rf"{_HOUR}\s*(?:{mark}|h\s*|時|时|시\s*)\s*{_MINUTE}"
        rf"(?:\s*(?:{mark}|m\s*|分|분\s*)\s*{_SECOND}(?:[.,:](?P<fraction>[0-9]{{1,9}}))?)?"
        rf"(?:s|秒|초)?(?![0-9.:])(?:\s*{_MARKS.format('after', '')})?"
    )


_CLOCKS: Final = (_clock_with(":"), _clock_with("[:.]"))
"""With points only where there are no colons: numbers with points may be a date."""
_HALVES: Final = re.compile("(上午|下午|午前|午後|오전|오후)")
_IN_DIGITS: Final = re.compile(
    r"([0-9]{4})([-/.]?)([0-9]{2})\2([0-9]{2})[ _T-]?([0-9]{2})([-:]?)([0-9]{2})\6([0-9]{2})"
)
"""As in names of files: ``20160517150405``, ``20160517_150405``, ``2016-05-17 15-04-05``."""
_COMPACT_CLOCK: Final = re.compile("([0-9]{2})([0-9]{2})([0-9]{2})")
_BARE_HOUR: Final = re.compile(r"(?P<hour>[0-9]{1,2})\s*(?P<after>[^\W\d_][^\W\d_.\s]{0,11}\.?)")
_ZONE: Final = re.compile(
    r"(?:Z|UTC|GMT)?\s*(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)$|(?:\bUTC|\bGMT|(?<=\d)Z)$"
)
_ZONES: Final = {
    "JST": 9, "KST": 9, "HKT": 8, "SGT": 8, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2,
    "EEST": 3, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip
"""Hours before UTC by the names that mean one zone only: a CST is China's or America's."""
_NAMED_ZONE: Final = re.compile(rf"\b({'|'.join(_ZONES)})\b")
_NUMBERS: Final = re.compile(r"[0-9]+")
_WORDS: Final = re.compile(r"[^\W\d_]+")
_POINT: Final = re.compile(r"[0-9]\s?\.")
_DAY: Final = timedelta(days=1)
_NEAR: Final = timedelta(days=2)
_DIRECTIONS: Final = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202c\ufeff\0"))


@dataclass(frozen=True, slots=True)
class DateReading:
    """A local date and time as read; without a zone unless the text has one."""

    when: datetime
    others: tuple[datetime, ...] = ()
    """What the text may mean as well; empty where nothing is open."""
    problem: str = ""
    """What of the text could not be read, in words."""
    only_day: bool = False
    """Whether the text has no time of day: ``when`` is at midnight."""


def read_clock(text: str) -> timedelta | None:
    """Return the time of day of ``"3:04:05 PM"``, ``"午後 3:11:12"`` or ``"15.04"``."""
    match = _clock_in(_tidy(text))
    return _time_of(match) if match else None


def _clock_in(text: str) -> "re.Match[str] | None":
    text = ":".join(compact.groups()) if (compact := _COMPACT_CLOCK.fullmatch(text)) else text
    found = (clock.search(text) for clock in _CLOCKS)
    return next(filter(None, found), None) or _BARE_HOUR.fullmatch(text)


def _unknown_mark(text: str) -> str:
    """Return the word beside a clock that may tell the half of the day; empty without one."""
    match = _clock_in(_tidy(text))
    if match is None or int(match["hour"]) not in _HOURS_OF_HALF:
        return ""
    if _half_of_day(match):
        return ""
    groups = match.groupdict()
    words = [groups.get("after") or "", (groups.get("before") or "") if not match.start() else ""]
    plain = {word: folded(word).replace(".", "").strip() for word in words if word}
    unknown = (
        word
        for word, bare in plain.items()
        if bare and " " not in bare and bare not in _NO_MARKS and not _ZONE_NAME.fullmatch(word)
    )
    return next(unknown, "")


def read_dates(text: str) -> list[datetime]:
    """Return every reading of a date, at midnight; the likeliest first."""
    text = _tidy(text)
    text = _ERA.sub(lambda match: _year_of_era(match[1], match[2]), text)
    numbers = [match[0] for match in _NUMBERS.finditer(text)]
    words = [folded(word) for word in _WORDS.findall(text)]
    months = next((MONTHS[word] for word in words if word in MONTHS), ())
    if len(numbers) == 1 and len(numbers[0]) == 8:  # noqa: PLR2004 - 20160517
        numbers = [numbers[0][:4], numbers[0][4:6], numbers[0][6:]]
    if any(len(number) > 4 for number in numbers):  # noqa: PLR2004 - of a year
        return []
    if months:
        found = _with_name(numbers, months)
    elif len(numbers) == 3:  # noqa: PLR2004 - a date
        found = _of_numbers(numbers, text)
    else:
        found = []
    return list(dict.fromkeys(found))


def read_datetime(
    date: str, clock: str = "", *, near: datetime | None = None
) -> DateReading | None:
    """Return the time of a date and a time of day, which may stand in one text.

    Parameters
    ----------
    date
        A date, or date and time, in any locale; ISO 8601 with its offset.
    clock
        The time of day, if it stands apart.
    near
        A local time without a zone that settles a date of two readings: see :func:`settled`.

    Returns
    -------
    DateReading or None
        None where the date cannot be read.
    """
    date = _tidy(date)
    if digits := _IN_DIGITS.fullmatch(date):
        year, _, month, day, hour, _, minute, second = digits.groups()
        date = f"{year}-{month}-{day} {hour}:{minute}:{second}"
    if not clock.strip():
        if (exact := _iso(date)) is not None:
            return DateReading(exact)
        date, clock, zone = _split(date)
    else:
        zone = None
    readings = read_dates(date)
    if not readings:
        return None
    time = read_clock(clock) if clock.strip() else timedelta()
    times = [(day + (time or timedelta())).replace(tzinfo=zone) for day in readings]
    if len(times) > 1 and times[0].year == times[1].year and _of_24_hours(date, clock):
        times[:2] = reversed(times[:2])
    problem = "" if time is not None else f"the time of day {clock.strip()!r} cannot be read"
    if mark := _unknown_mark(clock):
        problem = f"the half of the day that {mark!r} names in {clock.strip()!r} is not known"
    reading = DateReading(times[0], tuple(times[1:]), problem, only_day=not clock.strip())
    return reading if near is None else settled(reading, near)


def settled(reading: DateReading, near: datetime) -> DateReading:
    """Return a reading of several without those that the time of the file rules out.

    One that is near to it is the one; one that is later cannot be, as nothing is written before
    it is acquired.

    Parameters
    ----------
    reading
        Of a date.
    near
        A local time without a zone, such as that at which the file was written.
    """
    times = (reading.when, *reading.others)
    if len(times) == 1:
        return reading
    late = near + _NEAR
    close = [one for one in times if near - _NEAR <= one.replace(tzinfo=None) <= late]
    earlier = [one for one in times if one.replace(tzinfo=None) <= late]
    kept = close if len(close) == 1 else earlier or times
    return replace(reading, when=kept[0], others=tuple(kept[1:]))


def _tidy(text: str) -> str:
    if text.isascii():  # as most are
        return " ".join(text.replace("\0", "").split())
    plain = unicodedata.normalize("NFKC", text.translate(_DIRECTIONS))
    digits = (str(unicodedata.decimal(one)) if one.isdecimal() else one for one in plain)
    return " ".join("".join(digits).split())


def _iso(text: str) -> datetime | None:
    """Return an ISO 8601 date with a time; more digits of a second than six are cut."""
    if "T" not in text and ":" not in text:
        return None
    try:
        found = datetime.fromisoformat(re.sub(r"([.,]\d{6})\d+", r"\1", text))
    except ValueError:
        return None
    return found if _FIRST <= found.year < _LAST else None


def _split(text: str) -> tuple[str, str, timezone | None]:
    """Return the date, the time of day and the offset that stand in one text."""
    zone = None
    if match := _NAMED_ZONE.search(text):
        zone = timezone(timedelta(hours=_ZONES[match[1]]))
        text = f"{text[: match.start()]} {text[match.end() :]}"
    elif match := _ZONE.search(text):
        sign = -1 if match["sign"] == "-" else 1
        offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
        looks_like_year = match["sign"] == "-" and ":" not in text[: match.start()]
        if not looks_like_year and offset <= timedelta(hours=14):
            zone, text = timezone(sign * offset), text[: match.start()].rstrip()
    for clock in _CLOCKS:
        for match in reversed(list(clock.finditer(text))):
            rest = f"{text[: match.start('hour')]} {text[match.end() :]}"
            if _time_of(match) is not None and read_dates(rest):
                return rest, match[0], zone
    return text, "", zone


def _half_of_day(match: "re.Match[str]") -> str:
    """Return ``am`` or ``pm`` by the words beside a clock; empty where they name neither.

    Other words may stand before the mark (``星期二下午``) or behind it (``PM Tuesday``).
    """
    groups = match.groupdict()
    before, after = (
        _HALVES.sub(r" \1 ", folded(groups.get(name) or "")).replace(".", " ").split()
        for name in ("before", "after")
    )
    marks = {"".join(before[start:]) for start in range(len(before))} | {"".join(after)}
    marks |= {"".join(after[:end]) for end in range(len(after))} & {"am", "pm"}
    if marks & _PM:
        return "pm"
    return "am" if marks & _AM else ""


def _time_of(match: "re.Match[str]") -> timedelta | None:
    """Return the time since midnight; 24:00 and a leap second are the moment that follows."""
    groups = match.groupdict()
    hour, minute = int(groups["hour"]), int(groups.get("minute") or 0)
    second = int(groups.get("second") or 0)
    half, noon = _half_of_day(match), 12
    if half and hour <= noon:
        hour = hour % noon + (noon if half == "pm" else 0)
    elif "minute" not in groups:
        return None
    fraction = float(f"0.{groups.get('fraction') or 0}")
    time = timedelta(hours=hour, minutes=minute, seconds=second + fraction)
    is_clock = minute <= 59 and (second <= 59 or (minute == 59 and second == 60))  # noqa: PLR2004
    return time if is_clock and time <= _DAY else None


def _year_of_era(era: str, year: str) -> str:
    start = _ERAS[_ERAS_IN_SHORT.get(era, era)]
    return str(start + (1 if year == "元" else int(year)))


def _year(text: str) -> int:
    year = int(text)
    if len(text) <= 2:  # noqa: PLR2004 - two digits
        return year + (1900 if year >= _CENTURY else 2000)
    return year - 543 if year in _BUDDHIST else year


def _day_of(year: str, month: int, day: str) -> list[datetime]:
    """Return a date, if there is such a day, and a microscope may have written it."""
    if len(day) > 2 or len(year) == 3 or len(year) > 4:  # noqa: PLR2004 - digits of days and years
        return []
    try:
        found = datetime(_year(year), month, int(day))  # noqa: DTZ001 - a local date has no zone
    except ValueError:
        return []
    return [found] if _FIRST <= found.year < _LAST else []


def _with_name(numbers: Sequence[str], months: Sequence[int]) -> list[datetime]:
    """Return the readings of day and year beside the name of a month."""
    if len(numbers) != 2:  # noqa: PLR2004 - day and year
        return []
    first, second = numbers
    orders = [(first, second)] if len(first) <= 2 else []  # noqa: PLR2004 - day before year
    orders += [(second, first)] if len(first) == 4 or not orders else []  # noqa: PLR2004
    found = [one for day, year in orders for month in months for one in _day_of(year, month, day)]
    return found or [one for month in months for one in _day_of(first, month, second)]


def _of_numbers(numbers: Sequence[str], text: str) -> list[datetime]:
    """Return the readings of three numbers; of day and month, the order the separator suggests."""
    first, second, third = numbers
    if len(first) == 4:  # noqa: PLR2004 - a year
        return _day_of(first, int(second), third)
    european = _day_of(third, int(second), first)
    american = _day_of(third, int(first), second)
    readings = [*american, *european] if "/" in text else [*european, *american]
    if _POINT.search(text):
        return european or _day_of(first, int(second), third)
    # Japan, China and Sweden put the year first, in two digits too
    return [*readings, *_day_of(first, int(second), third)] if len(third) < 3 else readings  # noqa: PLR2004


def _of_24_hours(date: str, clock: str) -> bool:
    """Tell a clock of 24 hours beside a date with slashes: most who write so put the day first."""
    marks = {re.sub(r"[.\s]", "", folded(word)) for word in re.findall(r"[^\W\d_.]+", clock)}
    return "/" in date and bool(clock.strip()) and not marks & {"am", "pm", "a", "p", "m"}
