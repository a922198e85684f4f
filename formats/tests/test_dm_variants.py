"""Data that DigitalMicrograph and its plug-ins store in an order or a place of their own."""

import math

import h5py
import numpy as np
import pytest

from nexuslims_formats import read

NM, EV, INV = ("nm", 0.5, 0.0), ("eV", 0.25, -400.0), ("1/nm", 0.02, 4.0)
LOCAL = {"Date": "9/21/2020", "Start time": "5:04:19 PM"}


def dataset(tmp_path, dm_file, axes, tags):
    """Write an image of sizes and calibrations as DM lists them, the fastest first; read it."""
    sizes, units = [size for size, _ in axes], [unit for _, unit in axes]
    image = {
        "ImageData": {
            "Calibrations": {
                "Dimension": {
                    f"{at}": {"Origin": (6, origin), "Scale": (6, scale), "Units": unit}
                    for at, (unit, scale, origin) in enumerate(units)
                }
            },
            "Data": np.arange(math.prod(sizes), dtype="<f4").tobytes(),
            "DataType": (5, 2),
            "Dimensions": {f"{at}": (5, size) for at, size in enumerate(sizes)},
        },
        "ImageTags": tags,
    }
    path = tmp_path / "made.dm4"
    path.write_bytes(dm_file(4).bytes({"ImageList": {"a": image}}))
    (found,) = read(path).datasets
    return found


@pytest.mark.parametrize(
    ("axes", "names", "navigates"),
    [
        ([(6, NM), (5, NM), (9, EV)], ["energy_loss", "y", "x"], [False, True, True]),
        ([(9, EV), (6, NM), (5, NM)], ["y", "x", "energy_loss"], [True, True, False]),
        ([(9, EV), (6, NM)], ["x", "energy_loss"], [True, False]),
    ],
)
def test_the_energies_may_be_any_axis_of_spectra(tmp_path, dm_file, axes, names, navigates):
    tags = {"Meta Data": {"Format": "Spectrum image", "Signal": "EELS"}}
    found = dataset(tmp_path, dm_file, axes, tags)
    assert [axis.name for axis in found.axes] == names
    assert [axis.navigate for axis in found.axes] == navigates
    (energy,) = (axis for axis in found.axes if axis.unit == "eV")
    assert (energy.size, energy.scale, energy.offset) == (9, 0.25, 100.0)


@pytest.mark.parametrize("is_swapped", [False, True])
def test_patterns_of_a_scan_are_told_by_their_unit_in_either_order(tmp_path, dm_file, is_swapped):
    pattern, place = [(8, INV), (7, INV)], [(4, NM), (3, NM)]
    axes = [*place, *pattern] if is_swapped else [*pattern, *place]
    found = dataset(tmp_path, dm_file, axes, {"Meta Data": {"Format": "Diffraction image"}})
    assert found.dataset_type == "Diffraction"
    assert [axis.unit for axis in found.axes if not axis.navigate] == ["1/nm", "1/nm"]
    assert [axis.size for axis in found.axes if axis.navigate] == [3, 4]


def test_a_stack_of_the_stack_builder_has_the_tags_of_its_images(tmp_path, dm_file):
    own = {
        "Microscope Info": {"Voltage": (7, 200000.0), "Illumination Mode": "STEM"},
        "DigiScan": {"Sample Time": (7, 30000.0)},
        "DataBar": {"Acquisition Date": "5/17/2015", "Acquisition Time": "5:00:16 PM"},
    }
    found = dataset(tmp_path, dm_file, [(4, NM), (4, NM), (3, ("", 1.0, 0.0))],
                    {"source": {"Tags at creation": own}})  # fmt: skip
    assert found.data_type == "STEM_Imaging"
    assert found.metadata["acceleration_voltage"] == {"value": 200.0, "unit": "kV"}
    assert found.metadata["dwell_time"] == {"value": 30000.0, "unit": "us"}
    assert found.creation_time.isoformat().startswith("2015-05-17T17:00:16")


@pytest.mark.parametrize(
    ("tags", "data_type"),
    [
        ({"Acquisition": {"Monarc Spectrometer": {"Grating": "300"}}}, "SEM_CL"),
        ({"spim": {"eels": {"is": (5, 1)}}}, "TEM_EELS"),
    ],
)
def test_the_technique_may_be_told_by_a_spectrometer_only(tmp_path, dm_file, tags, data_type):
    found = dataset(tmp_path, dm_file, [(9, EV)], tags)
    assert found.data_type == data_type


@pytest.mark.parametrize("technique", ["EELS", "EDS", "CL"])
def test_a_spectrum_is_dated_by_its_own_acquisition(tmp_path, dm_file, technique):
    tags = {technique: {"Acquisition": LOCAL | {"Exposure (s)": (7, 30.0)}}}
    found = dataset(tmp_path, dm_file, [(9, EV)], tags)
    assert found.creation_time.isoformat().startswith("2020-09-21T17:04:19")


@pytest.mark.parametrize(
    "tags",
    [
        {"CL": {"Acquisition": {"Exposure (s)": (7, 0.5)}}},
        {"Acquisition": {"Parameters": {"Detector": {"exposure (s)": (7, 0.5)}}}},
    ],
)
def test_the_exposure_is_found_where_older_detectors_keep_it(tmp_path, dm_file, tags):
    found = dataset(tmp_path, dm_file, [(4, NM), (4, NM)], tags)
    assert found.metadata["exposure_time"] == {"value": 0.5, "unit": "s"}


def dm5(path, code, data, sizes):
    """Write a DM5 of one image, whose sizes are listed the fastest first."""
    with h5py.File(path, "w") as file:
        image = file.create_group("ImageList/[0]/ImageData")
        image.attrs["DataType"] = code
        dimensions = image.create_group("Dimensions")
        for at, size in enumerate(sizes):
            dimensions.attrs[f"[{at}]"] = size
        image["Data"] = data
    return read(path)


def test_colours_of_dm5_are_shown_as_such(tmp_path):
    blue = np.full((3, 4), 0xFF, "<u4")
    found = dm5(tmp_path / "a.dm5", 23, blue, (4, 3))
    assert (found.outcome, found.datasets[0].shape) == ("extracted", (3, 4, 4))
    assert np.asarray(found.pixels(0))[0, 0].tolist() == [0, 0, 255]


def test_data_of_dm5_that_are_fewer_than_the_tags_tell_are_named(tmp_path):
    found = dm5(tmp_path / "a.dm5", 10, np.zeros((2, 4), "u2"), (4, 3))
    assert (found.outcome, found.datasets[0].shape) == ("partial", (3, 4))
    assert "takes 12 values" in found.reason
    assert found.pixels(0) is None


def test_half_a_transform_of_dm5_has_its_whole_shape_and_no_picture(tmp_path):
    found = dm5(tmp_path / "a.dm5", 27, np.zeros((8, 5), "c8"), (8, 8))
    assert (found.outcome, found.datasets[0].shape) == ("extracted", (8, 8))
    assert found.pixels(0) is None
