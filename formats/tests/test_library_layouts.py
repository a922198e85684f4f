"""HDF5 layouts that rosettasciio reads, and what it leaves of them to us."""

import h5py
import numpy as np
import pytest

from nexuslims_formats import read
from nexuslims_formats.rosettasciio.topspin import with_angles
from nexuslims_formats.rosettasciio.vendor_fields import vendor_metadata

EMSA = {
    "BEAMKV": 120.0, "DATE": "01-OCT-1991", "TIME": "12:00", "EMISSION": 5.5, "LIVETIME": 100.0,
    "MAGCAM": 100.0, "PROBECUR": 12.3, "CONVANGLE": 1.5, "XTILTSTGE": 10.0, "NPOINTS": 20,
}  # fmt: skip


def hyperspy(path, version, names, metadata, original=EMSA):
    """A spectrum as versions of HyperSpy wrote it: ``names`` are those of the two trees."""
    with h5py.File(path, "w") as file:
        file.attrs.update(file_format="HyperSpy", file_format_version=version)
        group = file.create_group("Experiments/one")
        group["data"] = np.arange(20.0)
        group.create_group("axis-0").attrs.update(
            index_in_array=0, name="Energy Loss", navigate=False, offset=520.13, scale=3.1, size=20,
            units="eV",
        )  # fmt: skip
        for name, tree in zip(names, (metadata, original), strict=True):
            put(group.create_group(name), tree)
    return path


def put(group, tree):
    for key, value in tree.items():
        if isinstance(value, dict):
            put(group.create_group(key), value)
        else:
            group.attrs[key] = value


def only(path):
    reading = read(path)
    assert reading.outcome == "extracted"
    (dataset,) = reading.datasets
    return dataset


@pytest.mark.parametrize(
    ("version", "names", "metadata"),
    [
        ("1.0", ("mapped_parameters", "original_parameters"), {"name": "NiO", "signal": "EELS"}),
        ("2.2", ("metadata", "original_metadata"), {"General": {"title": "NiO"}}),
        ("3.1", ("metadata", "original_metadata"), {"General": {"title": "NiO"}}),
    ],
)
def test_what_hyperspy_kept_of_an_emsa_file_is_read(tmp_path, version, names, metadata):
    found = only(hyperspy(tmp_path / "a.hspy", version, names, metadata))
    assert (found.name, found.creation_time.isoformat()) == ("NiO", "1991-10-01T12:00:00+00:00")
    values = {name: found.metadata[name] for name in ("acceleration_voltage", "live_time")}
    assert values == {
        "acceleration_voltage": {"value": 120.0, "unit": "kV"},
        "live_time": {"value": 100.0, "unit": "s"},
    }


def test_what_people_corrected_in_hyperspy_counts_more_than_the_original(tmp_path):
    tree = {
        "General": {"title": "NiO", "date": "2020-01-02", "time": "03:04:05"},
        "Acquisition_instrument": {"TEM": {"beam_energy": 200.0}},
    }
    found = only(hyperspy(tmp_path / "a.hspy", "3.1", ("metadata", "original_metadata"), tree))
    assert found.metadata["acceleration_voltage"] == {"value": 200.0, "unit": "kV"}
    assert found.creation_time.isoformat() == "2020-01-02T03:04:05+00:00"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("UTC", "03:04:05+00:00"), ("+02:00", "03:04:05+02:00"), ("CEST", "03:04:05+00:00")],
)
def test_a_zone_that_is_a_name_only_makes_no_part_of_the_time(tmp_path, zone, expected):
    tree = {"General": {"date": "2020-01-02", "time": "03:04:05", "time_zone": zone}}
    found = only(hyperspy(tmp_path / "a.hspy", "3.1", ("metadata", "original_metadata"), tree, {}))
    assert found.creation_time.isoformat() == f"2020-01-02T{expected}"
    is_told = "no zone told" not in found.extensions["creation_time_source"]
    assert is_told == (zone != "CEST")


def test_the_detector_of_light_stands_beside_the_microscope(tmp_path):
    tree = {
        "Acquisition_instrument": {
            "SEM": {"beam_energy": 5.0},
            "Detector": {"detector_type": "CCD", "integration_time": 0.5},
            "Spectrometer": {"model": "iHR320"},
        }
    }
    names = ("metadata", "original_metadata")
    found = only(hyperspy(tmp_path / "a.hspy", "3.1", names, tree, {}))
    assert found.metadata["detector_type"] == "CCD"
    assert found.metadata["acquisition_time"] == {"value": 0.5, "unit": "s"}
    assert found.extensions["instrument_spectrometer_model"] == "iHR320"


def ncem(path, shape, names, *, units="[n_m]", microscope=None):
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/one")
        group.attrs["emd_group_type"] = 1
        group["data"] = np.arange(np.prod(shape)).reshape(shape)
        for number, (name, size) in enumerate(zip(names, shape, strict=True), 1):
            axis = group.create_dataset(f"dim{number}", data=np.arange(size) * 0.5)
            axis.attrs["name"], axis.attrs["units"] = name, units
        if microscope:
            file.create_group("microscope").attrs.update(microscope)
    return path


@pytest.mark.parametrize("names", [("ky", "kx"), ("Q", "Q"), ("", "")])
def test_axes_of_any_name_stay_as_the_file_has_them(tmp_path, names):
    path = ncem(tmp_path / "a.emd", (2, 3), names)
    assert only(path).shape == (2, 3)
    assert np.asarray(read(path).pixels()).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_axis_of_one_place_has_no_step(tmp_path):
    first, second = only(ncem(tmp_path / "a.emd", (1, 3), ("y", "x"))).axes
    assert (first.size, first.scale, second.scale, second.unit) == (1, 1.0, 0.5, "nm")


def test_empty_brackets_are_no_unit(tmp_path):
    axes = only(ncem(tmp_path / "a.emd", (2, 3), ("y", "x"), units="[]")).axes
    assert {axis.unit for axis in axes} == {""}


def test_positions_of_py4dstem_without_a_calibration_are_positions(tmp_path):
    names = ("R_x", "R_y", "Q_x", "Q_y")
    found = only(ncem(tmp_path / "a.h5", (2, 3, 4, 5), names, units="pixels"))
    assert (found.shape, found.data_type) == ((2, 3, 4, 5), "STEM_Diffraction")
    assert found.dataset_type == "Diffraction"
    assert [axis.name for axis in found.axes if axis.navigate] == ["R_x", "R_y"]


def test_units_stand_beside_the_values_of_ncem(tmp_path):
    microscope = {
        "name": np.bytes_("Titan"), "high tension": np.float64(300_000),
        "camera length": 110.0, "camera length_units": "mm", "dwell time": np.float32(1e-5),
    }  # fmt: skip
    found = only(ncem(tmp_path / "a.emd", (2, 3), ("y", "x"), microscope=microscope)).metadata
    assert found["microscope"] == "Titan"
    assert found["acceleration_voltage"] == {"value": 300.0, "unit": "kV"}
    assert found["camera_length"] == {"value": 110.0, "unit": "mm"}
    assert found["dwell_time"]["value"] == pytest.approx(10.0)


def test_places_that_nexus_lists_are_no_map(tmp_path):
    path = tmp_path / "a.nxs"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        data = entry.create_group("map")
        data.attrs.update(NX_class="NXdata", signal="data", axes=["y", "x"])
        data["data"] = np.ones((4, 6))
        data["data"].attrs["interpretation"] = "image"
        for name, size in (("y", 4), ("x", 6)):
            data[name] = np.arange(size) * 2.0
            data[name].attrs["units"] = "nm"
        entry["start_time"] = "2019-03-04T05:06:07+01:00"
    image, *listed = read(path).datasets
    assert image.creation_time.isoformat() == "2019-03-04T05:06:07+01:00"
    assert (image.dataset_type, image.shape) == ("Image", (4, 6))
    assert [(one.dataset_type, one.axes[0].unit) for one in listed] == [("Misc", "")] * 2


def test_angles_of_topspin_are_no_lengths():
    calibrations = {
        "SaturationImage": {"Scale": 1.1e-4, "Offset": -0.03, "Text": "Angle"},
        "VirtualStemImageResult": {"Scale": 5e-9, "Offset": 0.0, "Text": "Position"},
    }
    part = {
        "axes": [{"name": name, "units": "nm", "scale": 1.1e5, "offset": -3e7} for name in "yx"],
        "metadata": {"Signal": {"signal_type": ""}},
        "original_metadata": {"ProcedureData": calibrations},
    }
    found = with_angles(part)
    assert [(axis["name"], axis["units"]) for axis in found["axes"]] == [
        ("ky", "rad"),
        ("kx", "rad"),
    ]
    assert found["axes"][0]["scale"] == pytest.approx(1.1e-4)
    assert found["metadata"]["Signal"]["signal_type"] == "diffraction"
    image = {**part, "axes": [{**axis, "scale": 5.0, "offset": 0.0} for axis in part["axes"]]}
    assert with_angles(image)["axes"] == image["axes"]


def test_delmic_names_its_devices_as_the_facility_likes():
    beam = {"dwellTime": [0.1, "s"], "accelVoltage": [5000.0, "V"], "probeCurrent": [1e-9, "A"]}
    settings = {"Microscope": {"Name": ["SPARC", None]}, "Beam of ours": beam}
    found = dict(vendor_metadata("delmic", {"ExtraSettings": settings, "IntegrationTime": 2.0}))
    assert found == {
        "acceleration_voltage": (5000.0, "V"),
        "beam_current": (1e-9, "A"),
        "dwell_time": (0.1, "s"),
        "exposure_time": (2.0, "s"),
        "microscope": "SPARC",
    }


def test_the_channels_of_a_grating_are_read_whole(tmp_path):
    path = tmp_path / "a.hspy"
    hyperspy(path, "3.1", ("metadata", "original_metadata"), {"General": {"title": "light"}}, {})
    with h5py.File(path, "a") as file:
        axis = file["Experiments/one/axis-0"]
        for name in ("scale", "offset", "size"):
            del axis.attrs[name]
        axis.attrs.update(_type="DataAxis", name="Wavelength", units="nm")
        axis["axis"] = np.arange(20.0) ** 2 + 400
    found = only(path)
    assert (found.axes[0].scale, found.axes[0].unit) == (1.0, "")
    assert "the axis Wavelength, 400 to 761 nm, is not evenly spaced" in found.warnings[0]
