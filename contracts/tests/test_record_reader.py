"""Reading records: our own, the incumbent's, hostile ones."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.record import NAMESPACE
from nexuslims_contracts.record.model import (
    Activity,
    Dataset,
    Experiment,
    Notes,
    Parameter,
    TextEntry,
)
from nexuslims_contracts.record.reader import read_locations, read_part, read_record
from nexuslims_contracts.record.writer import write_record


def test_samples_projects_and_notes_are_read() -> None:
    experiment = read_record(
        f"""<Experiment xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
        <sample id="s" ref="http://example.org/s"><name>N</name><description>D</description>
        <elements><!-- both --><Pt/><Ni/></elements></sample>
        <project><name>P</name><project_id>1</project_id></project>
        <notes><entry xsi:type="TextEntry"><p>x.dm3 could not be read</p></entry></notes>
        </Experiment>""".encode()
    )
    (sample,) = experiment.samples
    assert (sample.name, sample.descriptions, sample.elements) == ("N", ("D",), ("Pt", "Ni"))
    assert experiment.projects[0].id == "1"
    assert experiment.notes == (Notes((TextEntry(("x.dm3 could not be read",)),)),)
    assert experiment.title == ""


@given(
    sizes=st.lists(st.integers(0, 4), max_size=5).map(tuple),
    first=st.integers(0, 25),
    count=st.integers(0, 25),
)
def test_a_part_has_the_datasets_of_its_range_and_all_else(
    sizes: tuple[int, ...], first: int, count: int
) -> None:
    activities = tuple(
        Activity(
            start=f"2026-03-02T12:0{number}:00Z",
            setup=(Parameter("Voltage", str(number), "kV"),),
            datasets=tuple(Dataset(f"{number}-{one}", f"a/{number}/{one}") for one in range(size)),
        )
        for number, size in enumerate(sizes)
    )
    xml = write_record(Experiment(title="T", id="1", activities=activities))
    whole, part = read_record(xml), read_part(xml, range(first, first + count))
    assert part.sizes == sizes
    everything = list(whole.datasets())
    assert list(part.experiment.datasets()) == everything[first : first + count]
    assert [(one.start, one.setup) for one in part.experiment.activities] == [
        (one.start, one.setup) for one in whole.activities
    ]
    assert read_part(xml, range(sum(sizes))).experiment == whole
    assert read_locations(xml) == tuple(
        tuple(one.location for one in activity.datasets) for activity in whole.activities
    )


def test_entities_are_not_resolved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    xml = (
        f'<!DOCTYPE x [<!ENTITY s SYSTEM "{secret.as_uri()}"><!ENTITY e "expanded">]>'
        f'<Experiment xmlns="{NAMESPACE}"><title>&s;&e;</title></Experiment>'
    )
    title = read_record(xml.encode()).title
    assert "hunter2" not in title
    assert "expanded" not in title


@pytest.mark.parametrize("xml", [b"", b"<a", b"<a/>", b"\x89PNG"])
def test_what_is_no_record_says_so(xml: bytes) -> None:
    with pytest.raises(UnreadableRecordError):
        read_record(xml)


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "activities", "datasets"),
    [("incumbent_record_20181113.xml", 2, 14), ("example_record_large.xml", 8, 200)],
)
def test_records_of_the_incumbent_are_read(corpus, name, activities, datasets) -> None:
    experiment = read_record(corpus.record(name).read_bytes())
    assert experiment.title
    assert sum(1 for _ in experiment.datasets()) == datasets
    assert len(experiment.activities) == activities
    assert all(dataset.parameters for dataset in experiment.datasets())
