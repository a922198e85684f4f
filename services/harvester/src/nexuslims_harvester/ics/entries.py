"""Reading sessions from the text of an iCalendar: recurrence, zones, people and instruments.

References
----------
RFC 5545. It has no properties for consent, samples and projects; these are ours:
``X-NEXUSLIMS-CONSENT`` (``yes``), ``X-NEXUSLIMS-SAMPLE`` and ``X-NEXUSLIMS-PROJECT`` (as often as
needed).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from itertools import islice, takewhile
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from nexuslims_contracts.events import Project, Sample
from nexuslims_contracts.identifiers import digest
from nexuslims_harvester.calendar import CalendarEntry, Entries, EntryProblem, Window, placed
from nexuslims_harvester.consent import ConsentReader
from nexuslims_harvester.text import readable_text
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.people import Person

Event: TypeAlias = Any
"""A component of the library; it types a property as everything that any can be."""

MOST: Final = 5000
"""Occurrences of one series in one window: more is no use of an instrument."""
_LONG_AGO: Final = datetime(1970, 1, 2, tzinfo=UTC)
_ESCAPED: Final = re.compile(r"\\([\\;,nN])")
"""RFC 5545, 3.3.11."""
_PEOPLE: Final = frozenset({"INDIVIDUAL", ""})
_TOO_OFTEN: Final = frozenset({"SECONDLY", "MINUTELY"})


@dataclass(frozen=True, slots=True)
class Places:
    """The instruments of one calendar, by what entries call them.

    With a single instrument that has no ``calendar_id``, every entry is about it.
    """

    instruments: Sequence[InstrumentEntry]

    def find(self, named: Iterable[str]) -> InstrumentEntry | None:
        """Return the instrument that an entry names, as its place, resource or room."""
        if len(self.instruments) == 1 and not self.instruments[0].calendar_id:
            return self.instruments[0]
        wanted = {_folded(name) for name in named} - {""}
        for instrument in self.instruments:
            own = {instrument.calendar_id or instrument.pid, instrument.pid, instrument.name}
            if wanted & {_folded(name) for name in own}:
                return instrument
        return None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read from an iCalendar.

    Parameters
    ----------
    places
        The instruments.
    window
        Sessions that began before its end and end after its begin; without a begin, all.
    consent
        What counts as consent.
    everybody_consents
        Whether an entry that says nothing about consent counts as consent.
    """

    places: Places
    window: Window
    consent: ConsentReader
    everybody_consents: bool = False


def parse_ics(content: bytes, wanted: Wanted) -> Entries:
    """Return the sessions of a window.

    Parameters
    ----------
    content
        An iCalendar, UTF-8.
    wanted
        Which instruments and which time, and what is consent.

    Returns
    -------
    list of CalendarEntry or EntryProblem
        One wrong entry does not cost the others.

    Raises
    ------
    ValueError
        If the content as a whole is no iCalendar.
    """
    import icalendar  # noqa: PLC0415 - only where there is such a calendar

    calendar = icalendar.Calendar.from_ical(content)
    zones = calendar.walk("VTIMEZONE")
    series: dict[str, list[Event]] = defaultdict(list)
    for number, event in enumerate(calendar.walk("VEVENT"), start=1):
        series[str(event.get("UID", "")).strip() or f"number {number}"].append(event)
    entries: Entries = []
    for uid, events in series.items():
        try:
            entries += _occurrences(uid, events, zones, wanted)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            reason = f"it cannot be read: {_line(error)}: correct the entry"
            entries.append(EntryProblem(f"entry {uid}", reason))
    return entries


def _occurrences(
    uid: str,
    events: Sequence[Event],
    zones: Sequence[Event],
    wanted: Wanted,
) -> Iterator[CalendarEntry | EntryProblem]:
    if any(_frequency(event) in _TOO_OFTEN for event in events):
        yield EntryProblem(f"entry {uid}", "it repeats by the minute: correct the repetition")
        return
    if any(_is_reversed(event) for event in events):
        yield EntryProblem(f"entry {uid}", "it ends before it begins: swap the times")
        return
    repeats = any(key in event for event in events for key in ("RRULE", "RDATE", "RECURRENCE-ID"))
    found = list(islice(_between(events, zones, wanted.window), MOST + 1))
    if len(found) > MOST:
        yield EntryProblem(f"entry {uid}", f"it repeats more than {MOST} times: give it an end")
        return
    for event in found:
        id_ = f"{uid}-{_stamp(event['RECURRENCE-ID'].dt)}" if repeats else uid
        yield _entry(id_, event, wanted)


def _between(events: Sequence[Event], zones: Sequence[Event], window: Window) -> Iterator[Event]:
    """Occurrences in a window, one at a time: a series may have no end."""
    import icalendar  # noqa: PLC0415 - as above
    import recurring_ical_events  # noqa: PLC0415 - as above

    alone = icalendar.Calendar()
    for component in (*zones, *events):
        alone.add_component(component)
    occurrences = recurring_ical_events.of(alone).after(window.since or _LONG_AGO)
    return takewhile(lambda event: _moment(event.start, UTC) < window.until, occurrences)


def _entry(id_: str, event: Event, wanted: Wanted) -> CalendarEntry | EntryProblem:
    label = f"entry {id_}"
    named = tuple(_places(event))
    instrument = wanted.places.find(named)
    if instrument is None:
        known = ", ".join(one.calendar_id or one.pid for one in wanted.places.instruments)
        place = ", ".join(named) or "nothing"
        return EntryProblem(
            label, f"its place is {place}, and no instrument ({known}): correct one of them"
        )
    zone = ZoneInfo(instrument.timezone)
    start, end = _moment(event.start, zone), _moment(event.end, zone)
    if end == start:
        return EntryProblem(label, f"it starts and ends at {start}, without length: correct one")
    organizer = event.get("ORGANIZER")
    user = _person(organizer) if organizer is not None else None
    consent, answer = _consent(event, wanted)
    others = (_person(one) for one in _many(event, "ATTENDEE") if _is_human(one))
    return CalendarEntry(
        id=id_,
        instrument=instrument,
        start=start,
        end=end,
        user=user,
        title=_text(event, "SUMMARY"),
        purpose=_text(event, "DESCRIPTION"),
        samples=tuple(_samples(id_, event)),
        projects=tuple(Project(project_id=one) for one in _texts(event, "X-NEXUSLIMS-PROJECT")),
        collaborators=tuple(one for one in others if one is not None and one != user),
        consent=consent,
        answer=answer,
        url=_text(event, "URL"),
        cancelled=_text(event, "STATUS").upper() == "CANCELLED",
    )


def _consent(event: Event, wanted: Wanted) -> tuple[bool | None, str]:
    """What the entry itself answers counts more than what the facility knows of everybody."""
    consent, answer = wanted.consent.decide(_texts(event, "X-NEXUSLIMS-CONSENT"))
    return (True if consent is None and wanted.everybody_consents else consent), answer


def _samples(id_: str, event: Event) -> Iterator[Sample]:
    for number, name in enumerate(_texts(event, "X-NEXUSLIMS-SAMPLE")):
        yield Sample(id=f"sample-{digest([id_, str(number)])[:16]}", name=name)


def _places(event: Event) -> Iterator[str]:
    yield from _texts(event, "LOCATION")
    for text in _texts(event, "RESOURCES"):
        yield from text.split(",")
    for attendee in _many(event, "ATTENDEE"):
        if not _is_human(attendee):
            yield str(attendee.params.get("CN", ""))


def _is_human(attendee: Any) -> bool:
    return str(attendee.params.get("CUTYPE", "")).upper() in _PEOPLE


def _person(address: Any) -> Person | None:
    """Return who stands behind a calendar address: ``CN="Hall, Ned":mailto:ned@example.org``."""
    scheme, _, rest = str(address).partition(":")
    email = rest.strip() if scheme.casefold() == "mailto" else ""
    name = str(address.params.get("CN", "")).strip()
    if "," in name:
        last, _, first = name.partition(",")
    else:
        first, _, last = name.rpartition(" ")
    username = email or name or str(address).strip()
    if not username:
        return None
    return Person(username=username, first_name=first.strip(), last_name=last.strip(), email=email)


def _moment(moment: datetime | date, zone: tzinfo) -> datetime:
    """Give a time a fixed offset; a day begins at midnight where the instrument is."""
    whole = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
    return placed(whole, zone)


def _stamp(moment: datetime | date) -> str:
    """Write when an occurrence was planned to begin; it keeps that name when it is moved."""
    if not isinstance(moment, datetime):
        return moment.strftime("%Y%m%d")
    if moment.tzinfo is None:
        return moment.strftime("%Y%m%dT%H%M%S")
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _is_reversed(event: Event) -> bool:
    """Tell whether an entry ends before it begins; the library would swap the two."""
    if "DTSTART" not in event or "DTEND" not in event:
        return False
    return _moment(event["DTEND"].dt, UTC) < _moment(event["DTSTART"].dt, UTC)


def _frequency(event: Event) -> str:
    rule: Mapping[str, Any] = event.get("RRULE") or {}
    return str((rule.get("FREQ") or [""])[0]).upper()


def _many(event: Event, name: str) -> list[Any]:
    value = event.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _texts(event: Event, name: str) -> list[str]:
    return [text for one in _many(event, name) if (text := _plain(one))]


def _text(event: Event, name: str) -> str:
    return next(iter(_texts(event, name)), "")


def _plain(value: Any) -> str:
    """Return a property as text; the library leaves the escapes of properties it does not know."""
    text = str(value)
    if type(value).__name__ == "vUnknown":
        text = _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], text)
    return readable_text(text).strip()


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
