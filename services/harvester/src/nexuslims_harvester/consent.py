"""Reading an answer to the question for consent: the one rule, for every calendar."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from nexuslims_contracts.calendars import LONGEST_ANSWER
from nexuslims_harvester.text import readable_text


class Consent(Enum):
    """What an answer means."""

    GIVEN = "given"
    REFUSED = "refused"
    BLANK = "blank"
    """Nothing was answered: what the same person answered earlier still counts."""


@dataclass(frozen=True, slots=True)
class ConsentReader:
    """Tells consent from everything else.

    Consent is a text, or a list that holds one text and nothing else, that is exactly one of the
    facility's affirmative answers; case and surrounding space are ignored, and nothing else is.
    No answer, null and blank text are blank. Whatever else is answered, in any language and of any
    type, is a refusal: nothing is guessed.

    Parameters
    ----------
    affirmative
        The facility's affirmative answers, in the form that :meth:`accepting` gives them.
    """

    affirmative: frozenset[str]

    @classmethod
    def accepting(cls, answers: Iterable[str]) -> Self:
        """Make a reader for the affirmative answers as a person writes them."""
        return cls(frozenset(map(_normal, answers)) - {""})

    def read(self, answer: Any) -> Consent:
        """Say what an answer means, whatever type a calendar gives it."""
        if answer is None or (isinstance(answer, str) and not _normal(answer)):
            return Consent.BLANK
        match answer:
            case [str(text)] | str(text) if _normal(text) in self.affirmative:
                return Consent.GIVEN
            case _:
                return Consent.REFUSED

    def combine(self, answers: Iterable[Any]) -> Consent:
        """Say what answers of equal rank mean together: one refusal refuses, whoever agreed."""
        found = {self.read(answer) for answer in answers}
        for meaning in (Consent.REFUSED, Consent.GIVEN):
            if meaning in found:
                return meaning
        return Consent.BLANK

    def decide(self, answers: Sequence[Any]) -> tuple[bool | None, str]:
        """Say whether answers of equal rank are consent; and if one refuses, what it is in words.

        Returns
        -------
        tuple
            True, False, or None where nothing was answered; and the text of the first refusal.
        """
        meaning = self.combine(answers)
        if meaning is Consent.REFUSED:
            refusal = next(one for one in answers if self.read(one) is Consent.REFUSED)
            return False, in_words(refusal)
        return (True if meaning is Consent.GIVEN else None), ""


def in_words(answer: Any) -> str:
    """Return an answer as one readable text that fits an event: itself, or its JSON."""
    text = (
        answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str)
    )
    readable = " ".join(readable_text(text).split())
    return readable if len(readable) <= LONGEST_ANSWER else f"{readable[: LONGEST_ANSWER - 1]}…"


def _normal(text: str) -> str:
    return text.strip().lower()
