"""Reading records: our own, the incumbent's, hostile ones."""

import os
from pathlib import Path

import pytest

from nexuslims_uploader.errors import UnreadableRecordError
from nexuslims_uploader.experiment import NAMESPACE, Parameter, read_experiment
from nexuslims_uploader.testing import HOSTILE, record_to_upload, small_record_xml

RECORDS = Path(
    os.environ.get("NEXUSLIMS_CORPUS", Path(__file__).parents[4] / "shared" / "corpus"), "records"
)


def test_everything_is_read() -> None:
    experiment = read_experiment(small_record_xml(HOSTILE, datasets=2))
    assert experiment.title == HOSTILE
    assert experiment.experimenters == (HOSTILE,)
    assert (experiment.instrument, experiment.instrument_pid) == ("FEI Titan TEM", "FEI-Titan-TEM")
    (activity,) = experiment.activities
    assert activity.setup == (Parameter("Acceleration Voltage", "300.0", "kV"),)
    dataset = activity.datasets[1]
    assert dataset.location == "Titan_TEM/A user/00001.dm3"
    assert dataset.previews == ("Titan_TEM/A user/00001.dm3.thumb.png",)
    assert dataset.parameters[1] == Parameter("Stage X", "1.5", "µm", unreliable=True)


def test_samples_projects_and_notes_are_read() -> None:
    experiment = read_experiment(
        f"""<Experiment xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
        <sample id="s" ref="http://example.org/s"><name>N</name><description>D</description>
        <elements><Pt/><Ni/></elements></sample>
        <project><name>P</name><project_id>1</project_id></project>
        <notes><entry xsi:type="TextEntry"><p>x.dm3 could not be read</p></entry></notes>
        </Experiment>""".encode()
    )
    (sample,) = experiment.samples
    assert (sample.name, sample.description, sample.elements) == ("N", "D", ("Pt", "Ni"))
    assert experiment.projects[0].id == "1"
    assert experiment.notes == ("x.dm3 could not be read",)
    assert experiment.title == ""


def test_a_record_without_a_title_is_called_by_its_file() -> None:
    bare = f'<Experiment xmlns="{NAMESPACE}"/>'.encode()
    assert record_to_upload(bare, file_name="x.xml").title == "x"


def test_entities_are_not_resolved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    xml = (
        f'<!DOCTYPE x [<!ENTITY s SYSTEM "{secret.as_uri()}"><!ENTITY e "expanded">]>'
        f'<Experiment xmlns="{NAMESPACE}"><title>&s;&e;</title></Experiment>'
    )
    title = read_experiment(xml.encode()).title
    assert "hunter2" not in title
    assert "expanded" not in title


@pytest.mark.parametrize("xml", [b"", b"<a", b"<a/>", b"\x89PNG"])
def test_what_is_no_record_says_so(xml: bytes) -> None:
    with pytest.raises(UnreadableRecordError):
        read_experiment(xml)


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "activities", "datasets"),
    [("incumbent_record_20181113.xml", 2, 14), ("example_record_large.xml", None, None)],
)
def test_records_of_the_incumbent_are_read(name, activities, datasets) -> None:
    xml = (RECORDS / name).read_bytes()
    experiment = read_experiment(xml)
    assert experiment.title
    assert sum(1 for _ in experiment.datasets()) == (datasets or xml.count(b"<dataset"))
    assert len(experiment.activities) == (activities or xml.count(b"<acquisitionActivity"))
    assert all(dataset.parameters for dataset in experiment.datasets())
