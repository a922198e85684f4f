"""EDAX's spectra and maps."""

import numpy as np
from formats.tests import stations

from nexuslims_formats import read


def test_a_spectrum_has_date_energies_and_angles(tmp_path):
    found = read(stations.edax_spc(tmp_path))
    assert (found.outcome, found.extractor.name) == ("extracted", "edax_spc"), found.reason
    (dataset,) = found.datasets
    assert dataset.creation_time.isoformat() == "2022-08-29T10:14:08+00:00"
    assert dataset.metadata["starting_energy"] == {"value": 0.1, "unit": "keV"}
    assert dataset.metadata["channel_size"] == {"value": 5.0, "unit": "eV"}
    assert dataset.metadata["takeoff_angle"] == {"value": 35.5, "unit": "degree"}
    assert found.pixels().tolist() == list(range(8))


def test_a_date_that_is_none_is_said(tmp_path):
    found = read(stations.edax_spc(tmp_path, date=(2022, 29, 13, 14, 10, 0, 8)))
    assert found.outcome == "partial"
    assert "2022-13-29" in found.reason


def test_a_header_without_a_number_says_so(tmp_path):
    path = stations.edax_spc(tmp_path)
    content = bytearray(path.read_bytes())
    content[456:460] = content[532:536] = np.float32(np.nan).tobytes()  # live time, voltage
    path.write_bytes(content)
    (dataset,) = read(path).datasets
    assert not {"live_time", "acceleration_voltage"} & set(dataset.metadata)
    for name in ("live_time", "acceleration_voltage"):
        assert f"{name} is left out: the file has nan, which is no number" in dataset.warnings


def test_a_spectrum_that_was_cut_is_partial(tmp_path):
    path = stations.edax_spc(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == ("partial", (8,))
    assert "6 of its 8 channels" in found.reason


def test_a_map_has_the_scale_of_its_image_and_the_energies_of_its_spectrum(tmp_path):
    found = read(stations.edax_spd(tmp_path))
    assert (found.outcome, found.extractor.name) == ("extracted", "edax_spd"), found.reason
    (dataset,) = found.datasets
    assert (dataset.shape, dataset.dtype) == ((2, 3, 4), "uint16")
    assert [(axis.scale, axis.unit) for axis in dataset.axes] == [
        (0.25, "um"), (0.5, "um"), (0.005, "keV"),
    ]  # fmt: skip
    assert dataset.metadata["magnification"] == {"value": 2000.0, "unit": "x"}
    assert np.asarray(found.pixels())[1, 2, 3] == 23


def test_a_map_without_its_companions_counts_points_and_channels(tmp_path):
    path = stations.edax_spd(tmp_path)
    for name in ("map.spc", "image.ipr"):
        (tmp_path / name).unlink()
    found = read(path)
    assert found.outcome == "extracted"
    assert [(axis.scale, axis.unit) for axis in found.datasets[0].axes] == [(1.0, "")] * 3


def test_a_damaged_companion_is_said(tmp_path):
    path = stations.edax_spd(tmp_path)
    (tmp_path / "image.ipr").write_bytes(b"no picture")
    found = read(path)
    assert found.outcome == "partial"
    assert "image.ipr" in found.reason
