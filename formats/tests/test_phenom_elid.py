"""Projects of Phenom ProSuite: images, spots, lines and maps in one stream."""

import bz2

import pytest
from formats.tests import desktops

from nexuslims_formats import read


def test_a_project_is_its_image_and_its_analyses(tmp_path):
    found = read(desktops.phenom_elid(tmp_path))
    assert (found.outcome, found.extractor.name) == ("extracted", "phenom_elid"), found.reason
    image, spot, area = found.datasets
    assert (image.name, image.shape) == ("Image 1", (4, 6))
    assert image.metadata["dwell_time"] == {"value": pytest.approx(0.2), "unit": "us"}
    assert found.pixels(0)[3, 5] == 23
    assert (spot.name, spot.shape) == ("Image 1, Spot 7", (4,))
    assert found.pixels(1).tolist() == [1, 300, 0, 70_000]
    assert spot.metadata["acceleration_voltage"] == {"value": 15.0, "unit": "kV"}
    assert spot.metadata["working_distance"] == {"value": 8.0, "unit": "mm"}
    assert (area.name, area.shape) == ("Image 1, Map 7", (2, 3, 4))
    assert [(axis.scale, axis.unit) for axis in area.axes] == [
        (pytest.approx(1.5), "um"), (pytest.approx(1.0), "um"), (0.01, "keV"),
    ]  # fmt: skip
    assert found.pixels(2)[1, 2].tolist() == [20, 21, 22, 23]


def test_a_project_that_ends_early_keeps_what_comes_before(tmp_path):
    path = desktops.phenom_elid(tmp_path)
    path.write_bytes(bz2.compress(bz2.decompress(path.read_bytes())[:-60]))
    found = read(path)
    assert found.outcome == "partial"
    assert [dataset.name for dataset in found.datasets] == ["Image 1", "Image 1, Spot 7"]


def test_a_stream_that_was_cut_is_said_and_does_not_wait(tmp_path):
    path = desktops.phenom_elid(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    assert read(path).outcome == "failed"


def test_a_project_of_another_age_is_unsupported(tmp_path):
    assert read(desktops.phenom_elid(tmp_path, version=9)).outcome == "unsupported"


def test_a_stream_that_claims_a_huge_value_is_refused(tmp_path):
    path = desktops.phenom_elid(tmp_path)
    content = bz2.decompress(path.read_bytes())[:8]
    path.write_bytes(bz2.compress(content + b"\1\0\0\0" + b"\xff" * 8 + bytes(1 << 20)))
    found = read(path)
    assert found.outcome == "failed"
    assert "claims a value of" in found.reason
