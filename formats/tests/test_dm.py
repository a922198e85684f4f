from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexuslims_formats import read
from nexuslims_formats.digitalmicrograph.dm import DigitalMicrographExtractor
from nexuslims_formats.digitalmicrograph.tags import ArrayRef, read_tags
from nexuslims_formats.errors import ExtractorError, LimitExceededError

READER = DigitalMicrographExtractor()


def image(pixels, tags, unit="nm", scale=0.5):
    rows, columns = pixels.shape
    calibration = {"Origin": (6, 0.0), "Scale": (6, scale), "Units": unit}
    return {
        "ImageData": {
            "Calibrations": {"Dimension": {"TagGroup0": calibration, "TagGroup1": calibration}},
            "Data": pixels.astype("<f4").tobytes(),
            "DataType": (5, 2),
            "Dimensions": {"a": (5, columns), "b": (5, rows)},
        },
        "ImageTags": tags,
        "Name": "made here",
    }


@pytest.fixture(params=[3, 4])
def written(request, tmp_path, dm_file):
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    tags = {
        "Microscope Info": {
            "Voltage": (7, 300000.0),
            "Stage Position": {"Stage Z": (7, 39.5)},
            "Illumination Mode": "TEM",
            "Imaging Mode": "IMAGING",
            "Operator": "Somebody",
        },
        "DataBar": {
            "Acquisition Date": "11/13/2018",
            "Acquisition Time": "12:49:45 PM",
            "Exposure Time (s)": (7, 0.25),
        },
        "Acquisition": {
            "Frame": {"Sequence": {"Acquisition Start Time (epoch)": (7, 1542131372000.0)}}
        },
    }
    tree = {
        "ImageList": {"a": image(np.zeros((2, 2)), {}), "b": image(pixels, tags)},
        "Thumbnails": {"a": {"ImageIndex": (5, 0)}},
    }
    path = tmp_path / f"made.dm{request.param}"
    path.write_bytes(dm_file(request.param).bytes(tree))
    return path, pixels


def test_tags_become_canonical_fields_in_the_right_units(written):
    path, pixels = written
    (signal,) = READER.open(path).signals
    assert signal.metadata["acceleration_voltage"] == (300000.0, "V")
    assert signal.metadata["stage_z"] == (39.5, "um")
    assert signal.metadata["exposure_time"] == (0.25, "s")
    assert signal.metadata["pixel_width"] == (0.5, "nm")
    assert (signal.shape, signal.dtype) == ((3, 4), "float32")
    assert (signal.dataset_type, signal.data_type) == ("Image", "TEM_Imaging")
    assert "operator" in signal.warnings
    np.testing.assert_array_equal(signal.pixels(), pixels)


def test_the_utc_tag_wins_and_the_local_date_gives_its_offset(written):
    (signal,) = READER.open(written[0]).signals
    assert signal.acquired.when.isoformat() == "2018-11-13T12:49:32-05:00"
    assert signal.acquired.when.utcoffset() == timedelta(hours=-5)


def test_pixels_stay_in_the_file(written):
    tags = read_tags(written[0])
    assert isinstance(tags["ImageList"]["b"]["ImageData"]["Data"], ArrayRef)


def test_zero_means_that_the_microscope_gave_no_value(tmp_path, dm_file):
    tags = {"Microscope Info": {"Voltage": (7, 0.0), "STEM Camera Length": (7, 0.0)}}
    path = tmp_path / "zero.dm3"
    path.write_bytes(dm_file(3).bytes({"ImageList": {"a": image(np.ones((2, 2)), tags)}}))
    (signal,) = READER.open(path).signals
    assert "acceleration_voltage" not in signal.metadata
    assert "camera_length" not in signal.metadata


@pytest.mark.parametrize(
    "name", ["saediment.dm3", "diffuse.dm3", "DP_600 steel.dm3", "sample diff 2 (difference).dm3"]
)
def test_only_whole_words_make_a_diffraction_pattern(tmp_path, dm_file, name):
    tree = {"ImageList": {"a": image(np.ones((2, 2)), {}, unit="")}}
    for stem, expected in ((name, "Image"), ("grain_saed_02.dm3", "Diffraction")):
        path = tmp_path / stem
        path.write_bytes(dm_file(3).bytes(tree))
        assert READER.open(path).signals[0].dataset_type == expected


def test_tags_nested_without_end_are_refused(tmp_path, dm_file):
    tree = {}
    for _ in range(100):
        tree = {"deeper": tree}
    path = tmp_path / "deep.dm3"
    path.write_bytes(dm_file(3).bytes(tree))
    with pytest.raises(LimitExceededError, match="nested"):
        read_tags(path)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 900), byte=st.integers(0, 255), cut=st.integers(0, 400))
def test_damage_is_refused_with_a_reason_or_survived(written, at, byte, cut):
    path = written[0].with_suffix(".damaged.dm3")
    raw = bytearray(written[0].read_bytes())
    raw[at % len(raw)] = byte
    path.write_bytes(raw[: max(1, len(raw) - cut)])
    with suppress(ExtractorError):
        assert READER.open(path).signals


STATUS = (
    "Microscope Titan 300 kV\u2028Gun FEG HT 300 Extr volt 4400 V Gun Lens 3 Emission 135.0uA\u2028"
    "Mode TEM uP SA Zoom Diffraction Defocus (um) -1.5 CL 0.245m\u2028Spot 2\u2028C2 42.041%\u2028"
    "Image shift 0.289/-0.235um\u2028C2 Aperture: 150 um\u2028OBJ Aperture: retracted\u2028"
    "Filter related settings:\u2028Mode: Spectroscopy\u2028Selected aperture: 3mm\u2028"
)


def an_image(path, dm_file, tags, *, code=2, pixels=bytes(16), side=2):
    """Write a DM3 of ``side`` x ``side`` pixels of 0.05 nm, and read it."""
    axis = {"Origin": (6, 0.0), "Scale": (6, 0.05), "Units": "nm"}
    image = {
        "ImageData": {
            "Data": pixels,
            "DataType": (5, code),
            "Dimensions": {"a": (5, side), "b": (5, side)},
            "Calibrations": {"Dimension": {"a": axis, "b": axis}},
        },
        "ImageTags": tags,
    }
    path.write_bytes(dm_file(3).bytes({"ImageList": {"a": image}}))
    return read(path)


def test_the_status_of_the_microscope_is_taken_apart(tmp_path, dm_file):
    tags = {"Tecnai": {"Microscope Info": STATUS}}
    (dataset,) = an_image(tmp_path / "a.dm3", dm_file, tags).datasets
    expected = {
        "extraction_voltage": {"value": 4.4, "unit": "kV"},
        "emission_current": {"value": 135.0, "unit": "uA"},
        "condenser_aperture": {"value": 150.0, "unit": "um"},
        "camera_length": {"value": 245.0, "unit": "mm"},
        "defocus": {"value": -1.5, "unit": "um"},
        "spot_size": 2,
        "electron_source": "FEG",
    }
    assert {name: dataset.metadata[name] for name in expected} == expected
    extensions = dataset.extensions
    assert extensions["tecnai_mode"] == "TEM uP SA Zoom Diffraction"
    assert extensions["tecnai_filter_mode"] == "Spectroscopy"
    assert extensions["tecnai_c2_lens"] == {"value": 42.041, "unit": "%"}
    assert extensions["tecnai_gun_lens"] == 3
    assert extensions["tecnai_image_shift_y"] == {"value": -0.235, "unit": "um"}
    assert extensions["tecnai_obj_aperture"] == "retracted"
    assert "\nGun FEG" in extensions["gatan_tecnai_microscope_info"]


@pytest.mark.parametrize(
    "case",
    [
        ("TEM", "DIFFRACTION", None, 970),
        ("TEM", "EFTEM DIFFRACTION", None, 970),
        ("TEM", "IMAGING", 970, 5),
        ("STEM", "DIFFRACTION", 970, 5),
    ],
)
def test_the_magnification_of_a_diffraction_pattern_is_its_camera_length(tmp_path, dm_file, case):
    illumination, imaging, magnification, length = case
    info = {
        "Illumination Mode": illumination, "Imaging Mode": imaging,
        "Indicated Magnification": (7, 970.0), "STEM Camera Length": (7, 5.0),
    }  # fmt: skip
    (dataset,) = an_image(tmp_path / "a.dm3", dm_file, {"Microscope Info": info}).datasets
    times = dataset.metadata.get("magnification")
    assert (times and times["value"]) == magnification
    assert dataset.metadata["camera_length"] == {"value": length, "unit": "mm"}


def test_a_colour_image_has_two_sizes_of_a_pixel(tmp_path, dm_file):
    (dataset,) = an_image(tmp_path / "a.dm3", dm_file, {}, code=23).datasets
    assert dataset.shape == (2, 2, 4)
    assert dataset.metadata["pixel_width"] == dataset.metadata["pixel_height"]
    assert dataset.metadata["pixel_width"]["value"] == pytest.approx(0.05)


@pytest.mark.parametrize("scale", [0.0, float("nan")])
def test_a_scale_that_is_none_is_not_one(tmp_path, dm_file, scale):
    calibration = {"Origin": (6, 0.0), "Scale": (6, scale), "Units": "nm"}
    data = {
        "Calibrations": {"Dimension": {"a": calibration, "b": calibration}},
        "Data": b"\0" * 16, "DataType": (5, 2), "Dimensions": {"a": (5, 2), "b": (5, 2)},
    }  # fmt: skip
    path = tmp_path / "a.dm3"
    path.write_bytes(dm_file(3).bytes({"ImageList": {"a": {"ImageData": data}}}))
    (dataset,) = read(path).datasets
    assert [axis.unit for axis in dataset.axes] == ["", ""]
    assert "pixel_width" not in dataset.metadata
    assert any("the scale of axis 'x'" in words for words in dataset.warnings)


@pytest.mark.parametrize(
    ("code", "shape", "dtype"),
    [(8, (3, 4, 4), "uint8"), (23, (3, 4, 4), "uint8"), (5, (3, 4), "complex64")],
)
def test_colours_and_packed_transforms_of_old_files(tmp_path, dm_file, code, shape, dtype):
    made = image(np.zeros((3, 4)), {})
    made["ImageData"]["DataType"] = (5, code)
    path = tmp_path / "old.dm3"
    path.write_bytes(dm_file(3).bytes({"ImageList": {"a": made}, "Thumbnails": {}}))
    found = read(path)
    (dataset,) = found.datasets
    assert (found.outcome, dataset.shape, dataset.dtype) == ("extracted", shape, dtype)
    assert (found.preview() is None) == (code == 5)


def test_an_image_in_one_colour_of_the_light_is_an_image(tmp_path, dm_file):
    made = image(np.zeros((3, 4)), {"Meta Data": {"Signal": "CL"}})
    path = tmp_path / "light.dm4"
    path.write_bytes(dm_file(4).bytes({"ImageList": {"a": made}, "Thumbnails": {}}))
    (dataset,) = read(path).datasets
    assert (dataset.dataset_type, dataset.data_type) == ("Image", "SEM_CL")
