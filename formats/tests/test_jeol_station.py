"""Files of JEOL's Analysis Station: images, maps of spectra, spectra and projects."""

import struct

import numpy as np
import pytest
from formats.tests import stations

from nexuslims_formats import read


def only(path):
    found = read(path)
    assert (found.outcome, found.extractor.name) == ("extracted", "jeol_station"), found.reason
    (dataset,) = found.datasets
    return found, dataset


def test_an_image_has_square_pixels_and_a_japanese_title(tmp_path):
    found, dataset = only(stations.jeol_image(tmp_path / "view.img"))
    assert (dataset.name, dataset.shape, dataset.dtype) == ("鉄", (3, 4), "uint8")
    assert [(axis.scale, axis.unit) for axis in dataset.axes] == [(32.0, "um"), (32.0, "um")]
    assert dataset.creation_time.isoformat() == "2017-04-07T12:00:00+00:00"
    assert dataset.metadata["acceleration_voltage"] == {"value": 15.0, "unit": "kV"}
    assert dataset.data_type == "SEM_Imaging"
    assert found.pixels().tolist() == np.arange(12).reshape(3, 4).tolist()


def test_events_are_counted_at_their_point_and_in_their_channel(tmp_path):
    line = [0x9000, 0x8000, 0xB00A, 0xB00B, 0x8C00, 0xB00A, 0x9800, 0x8400, 0xA0FF, 0xB00A]
    found, dataset = only(stations.jeol_map(tmp_path / "view.pts", line))
    assert dataset.shape == (2, 4, 4096)
    assert dataset.metadata["dwell_time"] == {"value": 100.0, "unit": "us"}
    energy = dataset.axes[-1]
    assert (energy.scale, energy.offset, energy.unit) == (0.01, pytest.approx(-0.96), "keV")
    cube = np.asarray(found.pixels())
    assert cube.sum(axis=2).round().tolist() == [[2, 0, 0, 1], [0, 1, 0, 0]]
    assert cube.sum(axis=(0, 1))[9:12].round().tolist() == [0, 3, 1]


def test_a_spectrum_has_the_parameters_of_its_detector(tmp_path):
    found, dataset = only(stations.jeol_spectrum(tmp_path))
    assert dataset.metadata["detector_type"] == "EX24075JGT"
    assert dataset.metadata["probe_current"] == {"value": 2500.0, "unit": "pA"}
    assert dataset.metadata["live_time"] == {"value": 30.0, "unit": "s"}
    assert found.pixels().tolist() == [0, 1, 2, 3, 4]


def test_a_spectrum_without_its_foot_is_partial(tmp_path):
    path = stations.jeol_spectrum(tmp_path)
    path.write_bytes(path.read_bytes()[: 458 + 5 * 4 + 30])
    found = read(path)
    assert found.outcome == "partial"
    assert "before the parameters of its detector" in found.reason
    assert found.datasets[0].shape == (5,)


def test_a_project_is_what_it_lists(tmp_path):
    found = read(stations.jeol_project(tmp_path))
    assert found.outcome == "extracted", found.reason
    assert [dataset.shape for dataset in found.datasets] == [(3, 4), (2, 4, 4096)]


def test_a_project_is_whole_though_it_lists_files_of_other_kinds(tmp_path):
    found = read(stations.jeol_project(tmp_path, others=("apb",)))
    assert found.outcome == "extracted", found.reason
    assert len(found.datasets) == 2
    assert any("View.apb" in words for words in found.datasets[0].warnings)


def test_a_file_of_a_project_that_is_not_what_its_name_says_costs_itself(tmp_path):
    path = stations.jeol_project(tmp_path)
    (tmp_path / "View.pts").write_bytes(b"no map of spectra")
    found = read(path)
    assert found.outcome == "partial"
    assert "not what its name says" in found.reason


def test_an_absent_file_of_a_project_costs_itself(tmp_path):
    path = stations.jeol_project(tmp_path)
    (tmp_path / "View.pts").unlink()
    found = read(path)
    assert found.outcome == "partial"
    assert "View.pts" in found.reason
    assert len(found.datasets) == 1


def test_a_project_alone_is_partial_and_names_what_it_lists(tmp_path):
    path = stations.jeol_project(tmp_path)
    for other in ("img", "pts"):
        (tmp_path / f"View.{other}").unlink()
    found = read(path)
    assert (found.outcome, found.datasets[0].dataset_type) == ("partial", "Misc")
    assert "View.img" in found.reason


def test_a_project_does_not_lead_out_of_its_folder(tmp_path):
    content = stations.jeol_project(tmp_path).read_bytes()
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "project.asw"
    path.write_bytes(content.replace(b".\\View.img", b"..\\View.im"))
    (tmp_path / "View.im").write_bytes((tmp_path / "View.img").read_bytes())
    found = read(path)
    assert found.outcome == "failed"
    assert "outside its folder" in found.reason


def test_a_tree_that_claims_too_much_is_refused(tmp_path):
    path = stations.jeol_image(tmp_path / "view.img")
    whole = path.read_bytes()
    place = whole.index(b"ScanSize\0") + 9
    path.write_bytes(whole[:place] + struct.pack("<2i", 3, 1 << 30) + whole[place + 8 :])
    found = read(path)
    assert found.outcome == "failed"
    assert "ends within the value of 'ScanSize'" in found.reason
