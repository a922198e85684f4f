"""What NEMO's answers mean: a usage event and what belongs to it, as a calendar's entry.

What a session was for is told in three places: post-run answers, pre-run answers, and the
reservation of the same user with the greatest overlap. The first that carries our questions and a
clear answer to the one for consent counts; a refusal ends the search.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nexuslims_contracts.calendars import BookingTier
from nexuslims_contracts.events import Project, Sample
from nexuslims_contracts.identifiers import digest
from nexuslims_harvester.calendar import CalendarEntry, EntryProblem
from nexuslims_harvester.nemo import payload
from nexuslims_harvester.nemo.answers import CONSENT, Answers, SampleAnswer, read_answers, used
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
    tools: Mapping[int, InstrumentEntry]
    users: Mapping[int, payload.User] = field(default_factory=dict)
    projects: Mapping[int, payload.Project] = field(default_factory=dict)
    bookings: Mapping[tuple[int, int], Sequence[Booked]] = field(default_factory=dict)
    """By tool and user."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What one of the three places tells."""

    tier: BookingTier
    answers: Answers | None


@dataclass(frozen=True, slots=True)
class _Decision:
    consent: bool | None
    tier: BookingTier
    answers: Answers | None
    booked: bool = True


def to_entry(event: payload.UsageEvent, facts: Facts) -> CalendarEntry | EntryProblem:
    """Say what a usage event is as an entry, or what is wrong with it."""
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
    booked = _best(facts.bookings.get((event.tool, event.user), ()), start, end)
    decision = _decide(event, booked)
    answers = decision.answers or Answers("unclear")
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
        booked=decision.booked,
        booked_from=booked.start if booked and from_booking else None,
        booked_until=booked.end if booked and from_booking else None,
        tier=decision.tier,
        reservation=str(booked.reservation.id) if booked else "",
        url=_url(event, booked if from_booking else None, facts.settings),
        payload=_payload(event, booked, consented=decision.consent is True),
    )


def place(
    reservations: Iterable[payload.Reservation], settings: NemoSettings
) -> tuple[dict[tuple[int, int], list[Booked]], list[EntryProblem]]:
    """Sort the reservations that stand by tool and user.

    Areas' bookings, cancelled and missed ones, and those that another one replaced (moved, or ended
    early) do not count.
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
        placed.setdefault((one.tool, one.user), []).append(booked)
    return placed, problems


def _best(bookings: Sequence[Booked], start: datetime, end: datetime | None) -> Booked | None:
    """Return the one with the greatest overlap; of equals, the earlier made."""

    def overlap(booked: Booked) -> timedelta:
        return min(booked.end, end or _OPEN_END) - max(booked.start, start)

    overlapping = [booked for booked in bookings if overlap(booked) > timedelta()]
    return max(overlapping, key=lambda one: (overlap(one), -one.reservation.id), default=None)


def _decide(event: payload.UsageEvent, booked: Booked | None) -> _Decision:
    tiers = [
        _Told("post-run", read_answers(event.run_data)),
        _Told("pre-run", read_answers(event.pre_run_data)),
        _Told("reservation", read_answers(booked.reservation.question_data) if booked else None),
    ]
    unclear: _Decision | None = None
    for told in tiers:
        match told.answers:
            case Answers(consent="yes"):
                return _Decision(True, told.tier, told.answers)
            case Answers(consent="no"):
                return _Decision(False, told.tier, None)
            case Answers():
                unclear = unclear or _Decision(None, told.tier, None)
    return unclear or _Decision(None, "reservation", None, booked=booked is not None)


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
        return Person(username=f"user-{user}")
    return Person(
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
