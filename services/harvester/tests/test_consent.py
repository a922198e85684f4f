"""One rule for consent, in every calendar: nothing outside the facility's list is ever a yes."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.nemo.cases import BLANK, REFUSALS, STRANGE, YES_WORDS

from nexuslims_contracts.calendars import LONGEST_ANSWER
from nexuslims_harvester.consent import Consent, ConsentReader, in_words
from nexuslims_shared.settings import Settings, read_settings

DEFAULTS = Settings.model_fields["consent_answers"].default
READER = ConsentReader.accepting(DEFAULTS)


@pytest.mark.parametrize("answer", YES_WORDS)
def test_an_affirmative_answer_is_consent(answer: Any) -> None:
    assert READER.read(answer) is Consent.GIVEN


@pytest.mark.parametrize(
    "answer", [*REFUSALS, *STRANGE, ["Agree", ""], [""], [None], "Agree\ud800"]
)
def test_everything_else_is_a_refusal(answer: Any) -> None:
    assert READER.read(answer) is Consent.REFUSED


@pytest.mark.parametrize("answer", [*BLANK, "\u00a0"])
def test_nothing_answered_is_blank(answer: Any) -> None:
    assert READER.read(answer) is Consent.BLANK


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(DEFAULTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
pieces = st.sampled_from([*DEFAULTS, "not ", "dis", " ", ".", "!", "no", "\u2610", "\ud800"])
wordings = st.lists(pieces, max_size=4).map("".join)


@given(anything | wordings | wordings.map(lambda one: [one]))
@example("ye\u017f")
def test_no_answer_outside_the_list_is_ever_consent(answer: Any) -> None:
    alone = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    listed = isinstance(alone, str) and alone.strip().lower() in {one.lower() for one in DEFAULTS}
    assert (READER.read(answer) is Consent.GIVEN) == listed


@given(st.lists(st.sampled_from(["Agree", "", "Disagree", "yes", None, 7]), max_size=4))
def test_claims_that_disagree_are_no_consent(answers: list[Any]) -> None:
    meanings = {READER.read(one) for one in answers}
    assert (READER.decide(answers)[0] is True) == (
        Consent.GIVEN in meanings and Consent.REFUSED not in meanings
    )


@given(anything)
def test_an_answer_in_words_is_short_and_can_be_written(answer: Any) -> None:
    text = in_words(answer)
    assert len(text) <= LONGEST_ANSWER
    assert text.encode("utf-8").decode() == text


def test_a_facility_has_words_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NX_CONSENT_ANSWERS", "Einverstanden, Yes, I do")
    monkeypatch.setenv("NX_INSTRUMENT_DATA_PATH", ".")
    monkeypatch.setenv("NX_DATA_PATH", ".")
    assert read_settings().consent_answers == ("Einverstanden", "Yes", "I do")
    monkeypatch.setenv("NX_CONSENT_ANSWERS", '["Yes, I agree"]')
    reader = ConsentReader.accepting(read_settings().consent_answers)
    assert reader.read(" yes, i agree ") is Consent.GIVEN
    assert reader.read("Agree") is Consent.REFUSED
