"""TIFF of cameras' programs: TVIPS, Olympus Soft Imaging Solutions, AxioVision."""

import struct

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexuslims_formats import read


def quantity(dataset, field):
    given = dataset.metadata[field]
    return pytest.approx(given["value"]), given["unit"]


def write_pointing(path, code, structure):
    """Write an image with a tag that holds the place of a structure at the end of the file."""

    def write(place):
        tags = [(code, "I", 1, place, True)]
        pixels = np.zeros((4, 6), np.uint16)
        tifffile.imwrite(path, pixels, extratags=tags, metadata=None, photometric="minisblack")
        return path.stat().st_size

    write(place := write(1))
    path.write_bytes(path.read_bytes() + structure(place))
    return path


@pytest.fixture
def tvips(tmp_path):
    """Write a TVIPS TIFF of the second version: ``tvips(TemMode=3, ...)``."""

    def write(**given):
        def structure(_place):
            first = np.zeros((), np.dtype(tifffile.TIFF.TVIPS_HEADER_V1))
            first["Version"] = 2
            second = np.zeros((), np.dtype(tifffile.TIFF.TVIPS_HEADER_V2))
            second["Magic"] = given.pop("Magic", 0xAAAAAAAA)
            for name, value in given.items():
                kind = second.dtype[name]
                text = isinstance(value, str)
                second[name] = (
                    value.encode("utf-16-le").ljust(kind.itemsize, b"\0") if text else value
                )
            return first.tobytes() + second.tobytes()

        return write_pointing(tmp_path / "tvips.tif", 37706, structure)

    return write


TVIPS = {
    "TemHighTension": 120000,
    "TemMagnification": 42000,
    "ExposureTime": 500,
    "PixelSizeX": 1.42,
    "PixelSizeY": 1.42,
    "TemStagePosition": (-1e-5, 2e-5, 3e-6, 0.5, -12.0),
    "BinningX": 4,
    "BinningY": 4,
    "CameraType": "TemCam-F416",
    "Date": 2016 << 16 | 9 << 8 | 21,
    "Time": 9 * 3600 + 77,
}


def test_tvips_tells_in_a_structure(tvips):
    done = read(tvips(**TVIPS))
    assert (done.outcome, done.extractor.name) == ("extracted", "tvips_tiff"), done.reason
    (found,) = done.datasets
    assert (found.data_type, found.dataset_type) == ("TEM_Imaging", "Image")
    assert found.creation_time.isoformat() == "2016-09-21T09:01:17+00:00"
    assert quantity(found, "acceleration_voltage") == (120, "kV")
    assert quantity(found, "magnification") == (42000, "x")
    assert quantity(found, "exposure_time") == (0.5, "s")
    assert quantity(found, "stage_x") == (-10, "um")
    assert quantity(found, "stage_z") == (0.003, "mm")
    assert quantity(found, "stage_beta") == (-12, "degree")
    assert found.metadata["binning"] == "4 x 4"
    assert found.metadata["acquisition_device"] == "TemCam-F416"
    assert [(axis.scale, axis.unit) for axis in found.axes] == [(pytest.approx(1.42), "nm")] * 2


def test_tvips_diffraction_has_no_pixel_size_on_the_specimen(tvips):
    done = read(tvips(**TVIPS, TemMode=3))
    (found,) = done.datasets
    assert (found.data_type, found.dataset_type) == ("TEM_Diffraction", "Diffraction")
    assert not {"magnification", "camera_length", "pixel_width"} & set(found.metadata)
    assert found.extensions["tvips_tem_magnification"] == 42000
    assert [axis.unit for axis in found.axes] == ["", ""]


@pytest.mark.parametrize("date", [0, 2016 << 16 | 13 << 8 | 21, -1])
def test_a_date_of_no_calendar_is_none(tvips, date):
    (found,) = read(tvips(**TVIPS | {"Date": date})).datasets
    assert found.extensions["creation_time_source"] == "file modification time"


def test_a_damaged_tvips_structure_does_not_cost_the_image(tvips):
    done = read(tvips(**TVIPS, Magic=1))
    assert done.outcome == "partial"
    assert "tvips metadata cannot be read" in done.reason
    assert done.datasets[0].shape == (4, 6)


def sis_structure(place, magic=b"SIS0"):
    head = struct.pack("<4s6xhhhhh6x32sH", magic, 30, 14, 5, 10, 118, b"image", 1)
    at = place + len(head) + 8
    general = struct.pack("<10xhdd8xd2x34s32s", -9, 0.5, 0.5, 20000.0, b"Morada", b"TEM")
    return head + struct.pack("<hhI", 1, 1, at) + general


def test_sis_tells_in_a_structure(tmp_path):
    path = write_pointing(tmp_path / "sis.tif", 33560, sis_structure)
    done = read(path)
    assert (done.outcome, done.extractor.name) == ("extracted", "sis_tiff"), done.reason
    (found,) = done.datasets
    assert found.creation_time.isoformat() == "2018-11-05T14:30:00+00:00"
    assert quantity(found, "magnification") == (20000, "x")
    assert quantity(found, "pixel_width") == (0.5, "nm")
    assert found.metadata["acquisition_device"] == "Morada"
    assert [(axis.scale, axis.unit) for axis in found.axes] == [(pytest.approx(0.5), "nm")] * 2


def test_a_damaged_sis_structure_does_not_cost_the_image(tmp_path):
    path = tmp_path / "sis.tif"
    done = read(write_pointing(path, 33560, lambda place: sis_structure(place, b"none")))
    assert done.outcome == "partial"
    assert "sis metadata cannot be read" in done.reason
    assert done.datasets[0].shape == (4, 6)


@pytest.mark.parametrize("code", [37706, 33560])
@pytest.mark.parametrize("left", [0, 50, 2000])
def test_a_file_cut_off_within_its_structure_keeps_the_image(tmp_path, code, left):
    start = b"\2\0\0\0" if code == 37706 else b"SIS1"
    path = write_pointing(tmp_path / "cut.tif", code, lambda _place: (start + bytes(left))[:left])
    done = read(path)
    assert done.outcome == "partial"
    assert "metadata cannot be read" in done.reason
    assert done.datasets[0].shape == (4, 6)


@settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    maker=st.sampled_from(["tvips", "sis"]),
    at=st.floats(0, 1, exclude_max=True),
    noise=st.binary(min_size=1, max_size=16) | st.sampled_from([bytes(4), b"\xff" * 16]),
)
def test_no_structure_costs_the_image(tvips, tmp_path, maker, at, noise):
    if maker == "tvips":
        path = tvips(**TVIPS)
    else:
        path = write_pointing(tmp_path / "sis.tif", 33560, sis_structure)
    raw = bytearray(path.read_bytes())
    whole = len(raw)
    start = raw.index(b"SIS0") if maker == "sis" else whole - 6312
    place = start + int(at * (whole - start))
    raw[place : place + len(noise)] = noise
    path.write_bytes(raw[:whole])
    done = read(path)
    assert done.outcome in ("extracted", "partial"), done.reason
    assert done.datasets[0].shape == (4, 6)


@pytest.fixture
def axiovision(tmp_path):
    """Write an AxioVision TIFF and its XML: ``axiovision(xml)``."""

    def write(xml=None):
        path = tmp_path / "light.tif"
        model = (272, "s", 0, "AxioCamERc5s", True)
        pixels = np.zeros((4, 6, 3), np.uint8)
        tifffile.imwrite(path, pixels, extratags=[model], photometric="rgb", metadata=None,
                         datetime="2016:06:13 15:59:52")  # fmt: skip
        if xml is not None:
            path.with_name("light.tif_meta.xml").write_text(xml)
        return path

    return write


AXIOVISION = """<?xml version="1.0" encoding="UTF-8"?><ROOT><Tags><Count>5</Count>
<V0>10</V0><I0>2076</I0><A0>0</A0><V1>50.5</V1><I1>2564</I1><A1>0</A1><V2>-1200</V2><I2>2073</I2>
<A2>0</A2><V3>Axio Imager</V3><I3>2075</I3><A3>0</A3><V4>unknown</V4><I4>99999</I4><A4>0</A4></Tags>
<Scaling><Factor_0>0.645</Factor_0><Unit_0>76</Unit_0><Factor_1>0.645</Factor_1><Unit_1>76</Unit_1>
</Scaling><p0><Tags><Count>1</Count><V0>63</V0><I0>2076</I0><A0>0</A0></Tags></p0></ROOT>"""


def test_axiovision_tells_in_tags(axiovision):
    done = read(axiovision())
    assert (done.outcome, done.extractor.name) == ("extracted", "axiovision_tiff"), done.reason
    (found,) = done.datasets
    assert found.data_type == "Optical_Imaging"
    assert found.creation_time.isoformat() == "2016-06-13T15:59:52+00:00"
    assert found.metadata["acquisition_device"] == "AxioCamERc5s"
    assert found.axes[0].unit == ""


def test_axiovision_tells_more_in_xml(axiovision):
    done = read(axiovision(AXIOVISION))
    assert done.outcome == "extracted", done.reason
    (found,) = done.datasets
    assert quantity(found, "magnification") == (10, "x")
    assert quantity(found, "exposure_time") == (0.0505, "s")
    assert quantity(found, "stage_x") == (-1200, "um")
    assert quantity(found, "pixel_height") == (645, "nm")
    assert found.metadata["microscope"] == "Axio Imager"
    assert found.extensions["axiovision_tag_99999"] == "unknown"
    assert (found.axes[1].scale, found.axes[1].unit) == (pytest.approx(645), "nm")


@pytest.mark.parametrize("xml", ["<ROOT><Tags>", "", '<!DOCTYPE r [<!ENTITY e "x">]><r>&e;'])
def test_a_damaged_axiovision_xml_does_not_cost_the_image(axiovision, xml):
    done = read(axiovision(xml))
    assert done.outcome == "partial"
    assert "light.tif_meta.xml beside it" in done.reason
    assert done.datasets[0].shape == (4, 6, 3)
