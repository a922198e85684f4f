"""SMV: patterns behind a header of text."""

import pytest
from formats.tests.samples import smv

from nexuslims_formats import read


def test_a_pattern_has_its_geometry_and_exposure(tmp_path):
    found = read(smv(tmp_path))
    assert (found.outcome, found.extractor.name) == ("extracted", "smv"), found.reason
    (dataset,) = found.datasets
    assert (dataset.dataset_type, dataset.shape, dataset.dtype) == ("Diffraction", (3, 4), "uint16")
    # 14 um at 850 mm are 16.5 urad, over 2.51 pm
    assert [(round(axis.scale, 6), axis.unit) for axis in dataset.axes] == [(0.006562, "1/nm")] * 2
    assert dataset.metadata["camera_length"] == {"value": 850.0, "unit": "mm"}
    assert dataset.metadata["exposure_time"] == {"value": 0.5, "unit": "s"}
    assert "acquisition_device" not in dataset.metadata
    assert dataset.creation_time.isoformat() == "2021-03-05T10:11:12+00:00"
    assert found.pixels().tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_without_a_geometry_pixels_are_counted(tmp_path):
    (dataset,) = read(smv(tmp_path, DISTANCE=0)).datasets
    assert {(axis.scale, axis.unit) for axis in dataset.axes} == {(1.0, "")}


def test_a_pattern_that_was_cut_is_partial(tmp_path):
    path = smv(tmp_path)
    path.write_bytes(path.read_bytes()[:-4])
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == ("partial", (3, 4))
    assert "ends at byte 536, but the file at 532" in found.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"TYPE": "of_dreams"}, "unknown type"), ({"SIZE1": "9e9"}, "side of 9e9")],
)
def test_what_the_header_cannot_mean_is_named(tmp_path, changes, words):
    found = read(smv(tmp_path, **changes))
    assert found.outcome == "failed"
    assert words in found.reason
