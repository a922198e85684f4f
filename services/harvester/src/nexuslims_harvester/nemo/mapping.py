"""Turning a usage event of NEMO, and what belongs to it, into an entry of a calendar.

What a session was for stands in three places: post-run answers, pre-run answers, and the
reservations of the same user that overlap it most. The first place with an answer to the question
for consent counts. If that answer is anything but consent, the search ends there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nexuslims_contracts.calendars import BookingTier
from nexuslims_contracts.events import Project, Sample
from nexuslims_contracts.identifiers import digest
from nexuslims_harvester.calendar import CalendarEntry, EntryProblem
from nexuslims_harvester.consent import Consent, ConsentReader, in_words
from nexuslims_harvester.nemo import payload
from nexuslims_harvester.nemo.answers import (
    CONSENT,
    NOTHING,
    Answers,
    SampleAnswer,
    read_answers,
    used,
)
from nexuslims_harvester.nemo.settings import NemoSettings
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.people import Person

_OPEN_END: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Booked:
    """A reservation in place: between two instants, of one user, on one tool."""

    start: datetime
    end: datetime
    reservation: payload.Reservation


@dataclass(frozen=True, slots=True)
class Facts:
    """What usage events refer to, by id."""

    settings: NemoSettings
    consent: ConsentReader
    tools: Mapping[int, InstrumentEntry]
    users: Mapping[int, payload.User] = field(default_factory=dict)
    projects: Mapping[int, payload.Project] = field(default_factory=dict)
    bookings: Mapping[tuple[int, int], Sequence[Booked]] = field(default_factory=dict)
    """By family of tools and user."""
    families: Mapping[int, int] = field(default_factory=dict)
    """The tool that stands for its family, by tool; one that is missing stands for itself."""


@dataclass(frozen=True, slots=True)
class _Decision:
    """Whether the user consents, and who answered that, where.

    ``booked`` is the reservation that counts, ``known`` whether anything speaks of the session.
    """

    consent: bool | None
    tier: BookingTier
    answers: Answers = NOTHING
    booked: Booked | None = None
    known: bool = True


def to_entry(event: payload.UsageEvent, facts: Facts) -> CalendarEntry | EntryProblem:
    """Turn a usage event into an entry of the calendar, or a problem that names what is wrong.

    Parameters
    ----------
    event
        As NEMO gave it.
    facts
        What it refers to, and how this NEMO is read.
    """
    try:
        start = facts.settings.read(event.start)
        end = facts.settings.read(event.end) if event.end is not None else None
    except ValueError as error:
        return EntryProblem(f"usage_events/{event.id}", f"it has no proper time: {error}")
    if end is not None and end <= start:
        return EntryProblem(
            f"usage_events/{event.id}",
            f"it ends ({end}) no later than it starts ({start}): correct it in NEMO",
        )
    family = facts.families.get(event.tool, event.tool)
    claims = _claims(facts.bookings.get((family, event.user), ()), start, end)
    decision = _decide(event, claims, facts.consent)
    booked, consented = decision.booked, decision.consent is True
    answers = decision.answers if consented else NOTHING
    from_booking = booked is not None and decision.tier == "reservation"
    operator = event.operator if event.operator not in (None, event.user) else None
    return CalendarEntry(
        id=f"usage-{event.id}",
        instrument=facts.tools[event.tool],
        start=start,
        end=end,
        user=_person(event.user, facts),
        title=answers.title or _title(booked),
        purpose=answers.purpose,
        samples=tuple(_sample(event.id, *numbered) for numbered in enumerate(answers.samples)),
        projects=_projects(answers.projects, facts.projects.get(event.project or 0)),
        collaborators=(_person(operator, facts),) if operator is not None else (),
        consent=decision.consent,
        answer="" if decision.consent is not False else in_words(decision.answers.consent),
        booked=decision.known,
        booked_from=booked.start if booked and from_booking else None,
        booked_until=booked.end if booked and from_booking else None,
        tier=decision.tier,
        reservation=str(booked.reservation.id) if booked else "",
        url=_url(event, booked if from_booking else None, facts.settings),
        payload=_payload(event, booked, consented=consented),
    )


def place(
    reservations: Iterable[payload.Reservation],
    settings: NemoSettings,
    families: Mapping[int, int],
) -> tuple[dict[tuple[int, int], list[Booked]], list[EntryProblem]]:
    """Sort the reservations that stand by family of tools and user.

    Areas' bookings, cancelled and missed ones, and those that another one replaced (moved, or ended
    early) do not count.

    Parameters
    ----------
    reservations
        As NEMO gave them.
    settings
        How this NEMO writes times.
    families
        The tool that stands for its family, by tool; a tool that is missing stands for itself.

    Returns
    -------
    tuple
        The reservations by family and user, and what is wrong with the others.
    """
    placed: dict[tuple[int, int], list[Booked]] = {}
    problems: list[EntryProblem] = []
    for one in reservations:
        if one.tool is None or one.cancelled or one.missed or one.descendant is not None:
            continue
        try:
            booked = Booked(settings.read(one.start), settings.read(one.end), one)
        except ValueError as error:
            problem = f"it has no proper time: {error}"
            problems.append(EntryProblem(f"reservations/{one.id}", problem))
            continue
        placed.setdefault((families.get(one.tool, one.tool), one.user), []).append(booked)
    return placed, problems


def _claims(bookings: Sequence[Booked], start: datetime, end: datetime | None) -> list[Booked]:
    """Return those with the greatest overlap, the earlier made first; mostly it is one or none."""

    def overlap(booked: Booked) -> timedelta:
        return min(booked.end, end or _OPEN_END) - max(booked.start, start)

    greatest = max(map(overlap, bookings), default=timedelta())
    if greatest <= timedelta():
        return []
    equal = (booked for booked in bookings if overlap(booked) == greatest)
    return sorted(equal, key=lambda booked: booked.reservation.id)


def _decide(
    event: payload.UsageEvent, claims: Sequence[Booked], reader: ConsentReader
) -> _Decision:
    first = claims[0] if claims else None
    blank: BookingTier | None = None
    for tier, places in _tiers(event, claims):
        asked = [(answers, booked) for answers, booked in places if answers is not None]
        meaning = reader.combine(answers.consent for answers, _ in asked)
        if meaning is not Consent.BLANK:
            answers, booked = next(one for one in asked if reader.read(one[0].consent) is meaning)
            return _Decision(meaning is Consent.GIVEN, tier, answers, booked or first)
        if asked:
            blank = blank or tier
    return _Decision(None, blank or "reservation", booked=first, known=bool(blank or claims))


def _tiers(
    event: payload.UsageEvent, claims: Sequence[Booked]
) -> Iterator[tuple[BookingTier, list[tuple[Answers | None, Booked | None]]]]:
    """Give the places where consent may stand, the later answers first."""
    yield "post-run", [(read_answers(event.run_data), None)]
    yield "pre-run", [(read_answers(event.pre_run_data), None)]
    yield "reservation", [(read_answers(one.reservation.question_data), one) for one in claims]


def _payload(
    event: payload.UsageEvent, booked: Booked | None, *, consented: bool
) -> dict[str, Any]:
    """Keep what was asked and answered; of who did not consent, only that."""
    reservation = booked.reservation if booked else None
    forms = {
        "run_data": used(event.run_data),
        "pre_run_data": used(event.pre_run_data),
        "question_data": used(reservation.question_data) if reservation else {},
    }
    if not consented:
        return {place: {CONSENT: form[CONSENT]} for place, form in forms.items() if CONSENT in form}
    kept: dict[str, Any] = {**forms, "project": event.project}
    if reservation:
        kept["reservation"] = reservation.model_dump(include={"id", "start", "end", "title"})
    return kept


def _title(booked: Booked | None) -> str:
    if booked is None:
        return ""
    answers = read_answers(booked.reservation.question_data)
    return (answers.title if answers else "") or booked.reservation.title


def _sample(event: int, number: int, answer: SampleAnswer) -> Sample:
    return Sample(
        id=f"sample-{digest([f'usage-{event}', str(number)])[:16]}",
        name=answer.name,
        ref=answer.pid,
        description=answer.details,
        elements=answer.elements,
    )


def _projects(answered: Sequence[str], charged: payload.Project | None) -> tuple[Project, ...]:
    """Projects that the user named, and the one NEMO charges, each once."""
    if charged is None:
        return tuple(Project(project_id=one) for one in answered)
    own = Project(project_id=charged.application_identifier, name=charged.name)
    others = (one for one in answered if one not in (own.project_id, own.name))
    return (*(Project(project_id=one) for one in others), own)


def _person(user: int, facts: Facts) -> Person:
    known = facts.users.get(user)
    if known is None:
        return Person(user_id=str(user))
    return Person(
        user_id=str(user),
        username=known.username,
        first_name=known.first_name,
        last_name=known.last_name,
        email=known.email,
    )


def _url(event: payload.UsageEvent, booked: Booked | None, settings: NemoSettings) -> str:
    site = settings.address.removesuffix("api/")
    if booked is not None:
        return f"{site}event_details/reservation/{booked.reservation.id}/"
    return f"{site}event_details/usage/{event.id}/"
