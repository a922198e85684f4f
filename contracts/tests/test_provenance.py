"""A record says of which session it was made, and by whom."""

import pytest

from nexuslims_contracts.record.model import Experiment, Notes, TextEntry
from nexuslims_contracts.record.provenance import SOURCE, made_of, session_of
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.record.writer import write_record


def record(*paragraphs: str, source: str = SOURCE) -> Experiment:
    experiment = Experiment(notes=(Notes((TextEntry(paragraphs),), source=source),))
    return read_record(write_record(experiment))


def test_the_session_is_read_from_a_record_that_was_written() -> None:
    made = made_of("nemo-1-usage-5821", 17, "d" * 64)
    assert session_of(record("3 of 9 files could not be read: a.dm3", made)) == "nemo-1-usage-5821"


@pytest.mark.parametrize(
    "other",
    [
        Experiment(),
        record("of the events of file-204 up to 17"),
        record(made_of("file-204", 17, "d"), source="somebody"),
        record(f"Not {made_of('file-204', 17, 'd')}"),
    ],
)
def test_a_record_of_others_names_no_session(other) -> None:
    assert session_of(other) == ""
