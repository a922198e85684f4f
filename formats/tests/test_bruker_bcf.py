"""Bruker's maps: the header in a container, images, and counts of packed spectra."""

import numpy as np
import pytest
from formats.tests import desktops

from nexuslims_formats import read


@pytest.mark.parametrize("chunk", [1100, 4096, 1 << 16])
def test_a_map_and_its_image_are_read_whatever_the_chunks(tmp_path, chunk):
    found = read(desktops.bruker_bcf(tmp_path, chunk=chunk))
    assert (found.outcome, found.extractor.name) == ("extracted", "bruker_bcf"), found.reason
    image, spectra = found.datasets
    assert (image.name, image.shape, image.dtype) == ("AsB", (2, 3), "uint16")
    assert found.pixels(0).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert spectra.shape == (2, 3, 8)
    assert [(axis.scale, axis.offset, axis.unit) for axis in spectra.axes] == [
        (0.25, 0.0, "um"), (0.5, 0.0, "um"), (0.01, -0.5, "keV"),
    ]  # fmt: skip
    assert spectra.metadata["working_distance"] == {"value": 8.5, "unit": "mm"}
    assert spectra.metadata["stage_z"] == {"value": pytest.approx(38.8185), "unit": "mm"}
    assert spectra.metadata["detector_type"] == "XFlash 6|10"
    assert spectra.metadata["real_time"] == {"value": pytest.approx(9 * 3 * 2 * 10e-6), "unit": "s"}
    assert spectra.creation_time.isoformat() == "2018-09-12T13:09:11+00:00"


def test_the_header_is_that_of_the_x_rays_where_the_file_has_ebsd_too(tmp_path):
    found = read(desktops.bruker_bcf(tmp_path, ebsd=True))
    assert found.outcome == "extracted", found.reason
    assert [dataset.shape for dataset in found.datasets] == [(2, 3), (2, 3, 8)]


def test_counts_are_those_of_each_packing(tmp_path):
    found = read(desktops.bruker_bcf(tmp_path))
    cube = np.asarray(found.pixels(1))
    assert cube.sum(axis=2).round(6).tolist() == [[1, 0, 2], [0, 4, 0]]
    assert cube.sum(axis=(0, 1)).round(6).tolist() == [0, 4, 0, 2, 0, 1, 0, 0]


def test_a_file_that_was_cut_is_partial_and_has_no_map_to_show(tmp_path):
    path = desktops.bruker_bcf(tmp_path)
    path.write_bytes(path.read_bytes()[:-1200])
    found = read(path)
    assert found.outcome == "partial"
    assert "but the file at" in found.reason
    assert found.datasets[1].shape == (2, 3, 8)
    assert found.pixels(1) is None
