"""Answers to the question for consent that were read as a refusal, for an operator to look at."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import ConsentDeclined, ReservationMatched, ReservationMissing
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, print_table, say
from nexuslims_shared.facility import command_context
from nexuslims_shared.settings import Settings, read_settings
from nexuslims_shared.store.port import EventStore

_ABOUT_CONSENT: Final = tuple(
    model.filter() for model in (ReservationMatched, ConsentDeclined, ReservationMissing)
)
_REFUSING: Final = frozenset(
    {"no", "not", "non", "nein", "never", "none", "nicht", "without", "negative", "don", "t"}
)
_REFUSING_BEGINNINGS: Final = ("dis", "declin", "refus", "deny", "denied", "reject", "withdr")
_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class AnswerGiven:
    """One wording, whether it reads like a consent, and the sessions it was given for."""

    answer: str
    reads_like_consent: bool
    sessions: tuple[str, ...]


def show_answers(*, everything: bool, as_json: bool) -> None:
    """Show the answers that are no consent.

    Parameters
    ----------
    everything
        Also those that read like the refusal they were taken for.
    as_json
        As one JSON document.
    """
    answers = [one for one in run(_read(read_settings())) if everything or one.reads_like_consent]
    if as_json:
        print_json([asdict(one) for one in answers])
        return
    print_table(
        ("answer", "reads like", "sessions", "for example"),
        [
            (
                one.answer,
                "consent" if one.reads_like_consent else "refusal",
                len(one.sessions),
                ", ".join(one.sessions[:_EXAMPLES]),
            )
            for one in answers
        ],
        nothing="no refusal reads like a consent",
    )
    if any(one.reads_like_consent for one in answers):
        say("no record is made of these; add what means consent to NX_CONSENT_ANSWERS")


async def _read(settings: Settings) -> list[AnswerGiven]:
    async with command_context(settings, "console") as context:
        return answers_given(await refusals(context.store), settings.consent_answers)


async def refusals(store: EventStore) -> list[ConsentDeclined]:
    """Return the refusals that are the last statement about their session."""
    latest: dict[str, Recorded] = {}
    async for item in store.read(filters=_ABOUT_CONSENT):
        if isinstance(item, Recorded):
            latest[item.event.session] = item
    events = (item.event for item in latest.values())
    return [event for event in events if isinstance(event, ConsentDeclined)]


def answers_given(
    declined: Iterable[ConsentDeclined], affirmative: Iterable[str]
) -> list[AnswerGiven]:
    """Group refusals by their wording, first those that read like a consent, then the most common.

    Parameters
    ----------
    declined
        The refusals that still count; one without an answer was left blank, and is left out.
    affirmative
        The facility's affirmative answers.
    """
    sessions: dict[str, list[str]] = defaultdict(list)
    for refusal in declined:
        if refusal.answer:
            sessions[refusal.answer].append(refusal.session)
    phrases = [_words(one) for one in affirmative]
    found = [
        AnswerGiven(answer, _reads_like_consent(answer, phrases), tuple(sorted(names)))
        for answer, names in sessions.items()
    ]
    return sorted(found, key=lambda one: (not one.reads_like_consent, -len(one.sessions)))


def _reads_like_consent(answer: str, phrases: Iterable[list[str]]) -> bool:
    """Tell whether an affirmative answer stands in a text, and nothing beside it denies it.

    It only decides what an operator sees first: no record depends on it.
    """
    words = _words(answer)
    if any(word in _REFUSING or word.startswith(_REFUSING_BEGINNINGS) for word in words):
        return False
    text = f" {' '.join(words)}"
    return any(f" {' '.join(phrase)}" in text for phrase in phrases if phrase)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
