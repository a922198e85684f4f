"""Files as programs of old wrote them, without the marks that newer ones have."""

import struct

import numpy as np
import pytest
import tifffile
from formats.tests.samples import fei_tia, tiff, write_mrc

from nexuslims_formats import read

PIXELS = np.zeros((2, 3, 4), "int16")
BLOCK = (10.0, 0.5, 1e-4, 2e-4, 3e-5, 0.0, 0.0, -5e-6, 1.0, 900.0, 84.0, 2e-9, 5e4, 3e5, 2.0)
TITLES = (
    b"SerialEM: Digitized on a Titan Krios            16-Dec-15  18:25:35",
    b"    Tilt axis angle = 84.1, binning = 2  spot = 7  camera = 1",
)


def with_titles(path, *titles):
    raw = bytearray(path.read_bytes())
    struct.pack_into("<i", raw, 220, len(titles))
    for index, title in enumerate(titles):
        raw[224 + 80 * index : 304 + 80 * index] = title[:80].ljust(80)
    path.write_bytes(raw)
    return path


def only(path):
    reading = read(path)
    assert reading.outcome == "extracted", reading.reason
    (dataset,) = reading.datasets
    return dataset


@pytest.mark.parametrize("in_um", [False, True])
def test_feis_extended_header_of_old(tmp_path, in_um):
    values = list(BLOCK)
    if in_um:
        values[2:5] = (value * 1e6 for value in values[2:5])
        values[7] *= 1e6
    second = [values[0] + 2, *values[1:]]
    extended = b"".join(struct.pack("<15f", *one).ljust(128, b"\0") for one in (values, second))
    found = only(write_mrc(tmp_path / "a.mrc", PIXELS, extended=extended.ljust(131_072, b"\0")))
    expected = {
        "stage_x": (100.0, "um"), "stage_z": (0.03, "mm"), "defocus": (-5.0, "um"),
        "acceleration_voltage": (300.0, "kV"), "magnification": (50_000.0, "x"),
        "exposure_time": (1.0, "s"),
    }  # fmt: skip
    for name, (value, unit) in expected.items():
        assert found.metadata[name] == {"value": pytest.approx(value, rel=1e-5), "unit": unit}
    assert found.metadata["binning"] == "2 x 2"
    assert (found.axes[0].scale, found.axes[0].offset, found.axes[0].unit) == (2.0, 10.0, "degree")


def test_an_extended_header_of_zeros_tells_nothing(tmp_path):
    found = only(write_mrc(tmp_path / "a.mrc", PIXELS, extended=bytes(131_072)))
    assert set(found.metadata) == {"pixel_width", "pixel_height", "data_dimensions"}


def test_the_titles_of_serialem_tell_when_and_how(tmp_path):
    numbers = b"".join(struct.pack("<h", tilt) for tilt in (-6000, -5700))
    path = write_mrc(tmp_path / "a.st", PIXELS, extended=numbers.ljust(1024, b"\0"), counts=(2, 1))
    found = only(with_titles(path, *TITLES))
    assert found.creation_time.isoformat() == "2015-12-16T18:25:35+00:00"
    assert (found.metadata["spot_size"], found.metadata["binning"]) == (7, "2 x 2")
    assert (found.axes[0].offset, found.axes[0].scale) == (-60.0, 3.0)


@pytest.mark.parametrize(("unit", "expected"), [("A", "angstrom"), ("1/A", "1/angstrom")])
def test_an_a_of_a_picture_is_an_angstrom(tmp_path, dm_file, unit, expected):
    axis = {"Origin": (6, 0.0), "Scale": (6, 0.5), "Units": unit}
    data = {
        "Calibrations": {"Dimension": {"a": axis, "b": axis}}, "Data": bytes(16),
        "DataType": (5, 2), "Dimensions": {"a": (5, 2), "b": (5, 2)},
    }  # fmt: skip
    path = tmp_path / "a.dm3"
    path.write_bytes(dm_file(3).bytes({"ImageList": {"a": {"ImageData": data, "ImageTags": {}}}}))
    assert {axis.unit for axis in only(path).axes} == {expected}


def test_four_axes_without_units_are_patterns_of_a_scan(tmp_path, dm_file):
    data = {
        "Data": bytes(4 * 2**4), "DataType": (5, 2),
        "Dimensions": dict.fromkeys("abcd", (5, 2)),
    }  # fmt: skip
    path = tmp_path / "a.dm4"
    path.write_bytes(dm_file(4).bytes({"ImageList": {"a": {"ImageData": data, "ImageTags": {}}}}))
    found = only(path)
    assert found.dataset_type == "Diffraction"
    assert [axis.navigate for axis in found.axes] == [True, True, False, False]


@pytest.mark.parametrize(
    ("camera", "field"),
    [("<CameraNamePath>BM-UltraScan</CameraNamePath>", "exposure_time"), ("", "dwell_time")],
)
def test_a_camera_of_tia_exposes_and_a_scan_dwells(tmp_path, camera, field):
    fei_tia(tmp_path)
    time = f"<DwellTimePath>0.5</DwellTimePath>{camera}"
    (tmp_path / "line.emi").write_text(
        "<ObjectInfo><AcquireDate>Mon Sep 10 11:12:13 2018</AcquireDate>"
        f"<AcquireInfo>{time}</AcquireInfo></ObjectInfo>"
    )
    metadata = only(tmp_path / "line_1.ser").metadata
    assert {"exposure_time", "dwell_time"} & set(metadata) == {field}


def test_a_zeiss_image_without_a_field_has_the_size_of_its_pixels(tmp_path):
    text = "AP_WD\r\nWD = 5,1 mm\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 74,4 nm\r\n"
    found = only(tiff(tmp_path / "a.tif", 34118, text))
    assert {(round(axis.scale, 6), axis.unit) for axis in found.axes} == {(74.4, "nm")}


def test_a_zeiss_image_without_either_has_the_pixel_of_its_display(tmp_path):
    numbers = "0\r\n0\r\n0\r\n5.0e-009\r\n5.0e+004\r\n"
    text = f"{numbers}AP_WD\r\nWD = 5,1 mm\r\nAP_PIXEL_SIZE\r\nPixel Size = 5,0 nm\r\n"
    found = only(tiff(tmp_path / "a.tif", 34118, text))
    (width,) = {axis.size for axis in found.axes if axis.name == "x"}
    metres = {round(axis.scale * {"nm": 1, "um": 1000}[axis.unit], 3) for axis in found.axes}
    assert metres == {round(5.0 * 1024 / width, 3)}


@pytest.mark.parametrize(
    ("options", "name", "scale", "unit"),
    [
        ({"axes": "ZYX", "unit": "nm", "spacing": 2.0}, "z", 2.0, "nm"),
        ({"axes": "TYX", "unit": "nm", "finterval": 0.5}, "time", 0.5, "s"),
        ({"axes": "TYX", "unit": "nm", "fps": 4.0}, "time", 0.25, "s"),
        ({"axes": "CYX", "unit": "nm"}, "c", 1.0, ""),
    ],
)
def test_a_stack_of_imagej_is_of_a_depth_a_time_or_channels(tmp_path, options, name, scale, unit):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, imagej=True, metadata=options)
    pages = only(path).axes[0]
    assert (pages.name, pages.scale, pages.unit) == (name, scale, unit)


@pytest.mark.parametrize(
    ("options", "name", "scale", "unit"),
    [
        ({"axes": "ZYX", "PhysicalSizeZ": 3.0, "PhysicalSizeZUnit": "nm"}, "z", 3.0, "nm"),
        ({"axes": "TYX", "TimeIncrement": 0.5, "TimeIncrementUnit": "ms"}, "time", 0.5, "ms"),
    ],
)
def test_a_stack_of_ome_is_of_a_depth_or_of_a_time(tmp_path, options, name, scale, unit):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, PIXELS, photometric="minisblack", metadata=options)
    pages = only(path).axes[0]
    assert (pages.name, pages.scale, pages.unit) == (name, scale, unit)
