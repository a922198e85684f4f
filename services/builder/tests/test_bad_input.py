"""What sessions bring that nobody foresaw: a valid record, or a rejection with the rule."""

from collections.abc import Sequence
from typing import Any

import pytest

from nexuslims_contracts.events import Event, RecordBuilt, RecordRejected, Sample
from nexuslims_contracts.testing import SessionEvents

EVENTS = SessionEvents()
EVERY_SPECIAL_CHARACTER = (
    "<&>\"' ]]> <!-- --> <?x?> &amp; \t\n\r\x00\x0b\x7f\x85\ufffe\U0001f52c NaN"
)


def session(*files: Event, numbers: Sequence[int] = (), **booking: Any) -> list[Event]:
    """Events of a session whose files are given with what became of them."""
    return [
        EVENTS.started(),
        EVENTS.matched(**booking),
        EVENTS.ended(),
        *(EVENTS.indexed(number) for number in numbers),
        EVENTS.manifest(len(numbers)),
        *files,
    ]


def dataset(number: int, **changes: Any) -> Any:
    (usual,) = EVENTS.extracted(number).datasets
    return usual.model_copy(update=changes)


async def built(facility) -> RecordBuilt:
    (outcome,) = await facility.outcomes()
    assert isinstance(outcome, RecordBuilt)
    return outcome


async def test_a_session_whose_every_file_failed_has_a_record_that_says_so(facility) -> None:
    await facility.tell(*session(EVENTS.failed(1), EVENTS.failed(2), numbers=[1, 2]))
    outcome = await built(facility)
    assert (outcome.datasets, outcome.failures) == (2, 2)
    experiment = await facility.record()
    assert {one.type for one in experiment.datasets()} == {"Unknown"}
    assert experiment.notes[0].paragraphs[0] == "2 of 2 files could not be read: f1, f2"


async def test_a_session_of_one_file(facility) -> None:
    await facility.tell(*session(EVENTS.extracted(1), numbers=[1]))
    (activity,) = (await facility.record()).activities
    assert (len(activity.datasets), activity.setup) == (1, ())


async def test_files_of_one_time_are_one_activity(facility) -> None:
    numbers = range(1, 5)
    inputs = session(*map(EVENTS.extracted, numbers), numbers=numbers)
    same = [one.model_copy(update={"mtime_ns": 10**18}) if one.kind() == "file-indexed" else one
            for one in inputs]  # fmt: skip
    await facility.tell(*same)
    (activity,) = (await facility.record()).activities
    assert [one.name for one in activity.datasets] == ["f1", "f2", "f3", "f4"]


@pytest.mark.parametrize("words", [1_000_000, 3_000_000])
async def test_of_a_giant_value_the_record_has_the_beginning(facility, words: int) -> None:
    value = "word " * words
    await facility.tell(*session(facility.with_extensions(1, log=value), numbers=[1]))
    (parameter,) = [
        one
        for record in (await facility.record()).datasets()
        for one in record.parameters
        if one.name == "Log"
    ]
    assert parameter.value == f"{value[:199]}…"


async def test_every_special_character_everywhere(facility) -> None:
    text = EVERY_SPECIAL_CHARACTER
    reading = EVENTS.extracted(
        1,
        datasets=(
            dataset(1, metadata={"operator": text, text: text}, extensions={text: {text: [text]}}),
        ),
    )
    booking = {
        "title": text,
        "purpose": text,
        "url": f"https://example.org/{text}",
        "samples": (Sample(id=text, name=text, ref=text, description=text, elements=(text,)),),
    }
    await facility.tell(*session(reading, numbers=[1], **booking))
    await built(facility)
    experiment = await facility.record()
    assert experiment.samples[0].name.startswith("<&>\"' ]]> <!-- --> <?x?> &amp;")
    assert experiment.activities[0].sample == experiment.samples[0].id


async def test_a_sample_without_a_name(facility) -> None:
    samples = (Sample(id="s-1"), Sample(id="", ref="https://hdl.handle.net/1"))
    await facility.tell(*session(EVENTS.extracted(1), numbers=[1], samples=samples))
    found = (await facility.record()).samples
    assert [(one.id, one.name, one.ref) for one in found] == [
        ("s-1", "", ""),
        ("", "", "https://hdl.handle.net/1"),
    ]


async def test_two_datasets_with_one_name_stay_two(facility) -> None:
    both = (dataset(1, index=0, name="HAADF"), dataset(1, index=1, name="HAADF"))
    await facility.tell(*session(EVENTS.extracted(1, datasets=both), numbers=[1]))
    assert (await built(facility)).datasets == 2
    names = [one.name for one in (await facility.record()).datasets()]
    assert names == ["f1 (1 of 2)", "f1 (2 of 2)"]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "NaN", "-Infinity", "1e999", " nan "]
)
async def test_no_number_that_is_not_finite_stands_alone(facility, value: object) -> None:
    reading = EVENTS.extracted(1, datasets=(dataset(1, extensions={"gain": value}),))
    await facility.tell(*session(reading, numbers=[1], title="Inf"))
    experiment = await facility.record()
    assert experiment.title == "[Inf]"
    (gain,) = [p.value for d in experiment.datasets() for p in d.parameters if p.name == "Gain"]
    assert (gain[0], gain[-1]) == ("[", "]")


async def test_a_text_too_long_for_any_reader_is_a_rejection_with_the_rule(facility) -> None:
    await facility.tell(*facility.with_motivation("x" * 10_000_001))
    (outcome,) = await facility.outcomes()
    assert isinstance(outcome, RecordRejected)
    assert outcome.problems == (
        "the motivation has 10,000,001 bytes; a record holds at most 10,000,000 of one",
    )
    assert not facility.settings.records.exists()
    await facility.tell()
    assert len(await facility.outcomes()) == 1
