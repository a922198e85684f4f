"""Data items of Nion Swift: zip or HDF5 with one JSON text."""

import pytest
from formats.tests.samples import nion

from nexuslims_formats import read


@pytest.mark.parametrize("name", ["item.ndata", "item.h5", "export.nhdf"])
def test_a_data_item_tells_what_it_is_of(tmp_path, name):
    found = read(nion(tmp_path, name))
    assert (found.outcome, found.extractor.name) == ("extracted", "nion"), found.reason
    (dataset,) = found.datasets
    assert (dataset.name, dataset.shape, dataset.dtype) == ("A map", (2, 3, 4), "float32")
    assert (dataset.dataset_type, dataset.data_type) == ("SpectrumImage", "STEM_EELS")
    assert [axis.navigate for axis in dataset.axes] == [True, True, False]
    energy = dataset.axes[-1]
    assert (energy.name, energy.scale, energy.offset, energy.unit) == (
        "energy_loss",
        0.5,
        -10.0,
        "eV",
    )
    assert dataset.creation_time.isoformat() == "2020-01-01T19:04:05-08:00"
    expected = {
        "acceleration_voltage": (60.0, "kV"), "exposure_time": (0.1, "s"), "stage_x": (1.0, "um"),
        "channel_size": (0.5, "eV"),
    }  # fmt: skip
    for field, (value, unit) in expected.items():
        assert dataset.metadata[field] == {"value": pytest.approx(value), "unit": unit}
    assert dataset.metadata["detector_type"] == "Spectrometer"
    assert found.pixels()[1, 2].tolist() == [20, 21, 22, 23]
    assert found.preview() is not None


@pytest.mark.parametrize(
    ("units", "datum", "kind", "navigate"),
    [
        (("s", "nm", "nm"), 2, "Image", [True, False, False]),
        (("s", "rad", "rad"), 2, "Diffraction", [True, False, False]),
    ],
)
def test_counts_of_dimensions_tell_positions_from_pictures(tmp_path, units, datum, kind, navigate):
    calibrations = [{"scale": 1e-3, "offset": 0.0, "units": unit} for unit in units]
    changes = {"datum_dimension_count": datum, "dimensional_calibrations": calibrations}
    (dataset,) = read(nion(tmp_path, **changes)).datasets
    assert dataset.dataset_type == kind
    assert [axis.navigate for axis in dataset.axes] == navigate


def test_properties_of_old_are_one_level_below(tmp_path):
    below = {"created": "2015-06-07T08:09:10", "metadata": {"hardware_source": {"exposure": 2.0}}}
    path = nion(tmp_path, created="", metadata=None, data_source=below)
    (dataset,) = read(path).datasets
    assert dataset.creation_time.date().isoformat() == "2015-06-07"
    assert dataset.metadata["exposure_time"] == {"value": 2.0, "unit": "s"}


def test_a_cut_item_is_damaged_and_no_other_kind(tmp_path):
    path = nion(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    found = read(path)
    assert (found.outcome, found.extractor.name) == ("failed", "nion")
