"""Which refusals an operator should look at."""

import pytest

from nexuslims_console.actions.consent import answers_given, refusals
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import ConsentDeclined, ReservationMatched
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.memory import MemoryEventStore

AFFIRMATIVE = Settings.model_fields["consent_answers"].default


def declined(session: str, answer: str, after: int = 0) -> ConsentDeclined:
    return ConsentDeclined(
        session=session, tier="post-run", reason="declined", answer=answer, after=after
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes, I agree", True),
        ("\u2610 Agree", True),
        ("agreed", True),
        ("Yes please!", True),
        ('["Agree", "Agree"]', True),
        ("Do not agree", False),
        ('["Agree", "Disagree"]', False),
        ("I don't agree", False),
        ("Declined", False),
        ("\u540c\u610f", False),
    ],
)
def test_what_reads_like_a_consent_is_listed_first(answer: str, expected: bool) -> None:
    (found,) = answers_given([declined("a-1", answer)], AFFIRMATIVE)
    assert found.reads_like_consent is expected


def test_one_wording_is_one_line_with_its_sessions() -> None:
    refused = [declined("a-2", "Nein"), declined("a-3", "Yes!"), declined("a-1", "Nein")]
    first, second = answers_given([*refused, declined("a-4", "")], AFFIRMATIVE)
    assert (first.answer, first.sessions) == ("Yes!", ("a-3",))
    assert (second.answer, second.sessions) == ("Nein", ("a-1", "a-2"))


async def test_only_the_last_word_of_a_session_counts() -> None:
    store = MemoryEventStore()
    agreed = ReservationMatched(session="a-1", tier="post-run", after=1)
    for event in (declined("a-1", "Yes!"), agreed, declined("a-2", "No")):
        await store.append(envelop(event, source="test"))
    assert [one.session for one in await refusals(store)] == ["a-2"]
