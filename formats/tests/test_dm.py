from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


def test_zero_means_that_the_microscope_told_nothing(tmp_path, dm_file):
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
