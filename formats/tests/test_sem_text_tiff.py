"""TIFF whose metadata is a text of the microscope's: JEOL's and Hitachi's, beside it or in it."""

import os
from datetime import UTC, datetime

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexuslims_formats import read
from nexuslims_formats.tiff.jeol_sem import read_jeol
from nexuslims_formats.tiff.sem_sidecar import SemTextTiffExtractor

JEOL = """$SEM_DATA_VERSION 1
$CM_LABEL JEOL
$CM_TITLE
$CM_SIGNAL SEI
$CM_DETECTOR_NAME LED
$CM_ACCEL_VOLT 15.00
$CM_MAG 5000
$$SM_WD 10.74
$$SM_EMI_CURRENT 61.40
$$SM_PROBE_CURRENT 3.63e-009
$$SM_SCAN_ROTATION 12.00
$$SM_INTEG_NO 4
$CM_STAGE_POS 18.6234 -19.6264 12.7350 11.0 0.5 0
$CM_DATE 2019/09/30
$CM_TIME 09:59:24
$CM_OPERATOR somebody
$CM_INSTRUMENT JSM-7800F
$$SM_MICRON_BAR 160
$$SM_MICRON_MARKER 10um
$CM_FULL_SIZE 40 30
"""
HITACHI = """[SemImageFile]
InstructName=SU8000
SampleName=steel
Date=03/04/2020
Time=13:05:41
DataSize=40x30
PixelSize=24.8
SignalName=SE(UL)
AcceleratingVoltage=15000 Volt
DecelerationVoltage=0 Volt
Magnification=4000
WorkingDistance=8100 um
EmissionCurrent=10200 nA
StagePositionX=52345000
StagePositionY=47655000
StagePositionZ=8000000
StagePositionR=-1800
"""


@pytest.fixture
def image(tmp_path):
    """Write a plain TIFF and what is beside it: ``image(raw, name=..., shape=...)``."""

    def write(sidecar=None, *, name="image.txt", shape=(30, 40), **options):
        path = tmp_path / "image.tif"
        pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
        tifffile.imwrite(path, pixels, metadata=None, photometric="minisblack", **options)
        if sidecar is not None:
            (tmp_path / name).write_bytes(sidecar)
        return path

    return write


def quantity(dataset, field):
    found = dataset.metadata[field]
    return pytest.approx(found["value"]), found["unit"]


def only(path):
    done = read(path)
    assert done.outcome == "extracted", done.reason
    assert done.extractor.name == "sem_text_tiff"
    (dataset,) = done.datasets
    return dataset


def test_jeol_tells_in_commands(image):
    found = only(image(JEOL.encode() + bytes(2)))
    assert (found.data_type, found.dataset_type) == ("SEM_Imaging", "Image")
    assert found.creation_time.isoformat() == "2019-09-30T09:59:24+00:00"
    assert quantity(found, "acceleration_voltage") == (15, "kV")
    assert quantity(found, "working_distance") == (10.74, "mm")
    assert quantity(found, "emission_current") == (61.4, "uA")
    assert quantity(found, "probe_current") == (3630, "pA")
    assert quantity(found, "stage_x") == (18623.4, "um")
    assert quantity(found, "stage_z") == (12.735, "mm")
    assert quantity(found, "stage_rotation") == (11, "degree")
    assert quantity(found, "stage_tilt") == (0.5, "degree")
    assert quantity(found, "pixel_width") == (62.5, "nm")
    assert found.metadata["detector_type"] == "LED"
    assert found.metadata["frames"] == 4
    assert found.warnings == ("operator",)
    assert [(axis.scale, axis.unit) for axis in found.axes] == [(pytest.approx(62.5), "nm")] * 2
    assert found.extensions["jeol_cm_label"] == "JEOL"


def test_jeol_tells_the_field_in_newer_programs():
    found = read_jeol(
        "$CM_IMAGE_SIZE 1280 960\n$CM_FIELD_OF_VIEW 25.6µm 19.2 µm\n"
        "$$SM_MICRON_BAR 100\n$$SM_MICRON_MARKER 1um\n$$SM_DWELL_TIME 500ns\n"
    )
    assert found.size == (1280, 960)
    assert found.pixel_size == pytest.approx((2e-8, 2e-8))
    assert found.metadata["vertical_field_width"] == (19.2, "um")
    assert found.metadata["dwell_time"] == (500, "ns")
    assert read_jeol("$$SM_DWELL_TIME 500").metadata == {}


def test_jeol_names_the_axes_of_the_stage_in_older_programs():
    found = read_jeol("$CM_STAGE_POSITION X=-1.5, Y=2.25,R=30.0, Z=8.0,T=0.5\n")
    assert found.metadata == {
        "stage_x": (-1.5, "mm"),
        "stage_y": (2.25, "mm"),
        "stage_rotation": (30.0, "degree"),
        "stage_z": (8.0, "mm"),
        "stage_tilt": (0.5, "degree"),
    }


@pytest.mark.parametrize(("signal", "kind"), [("TEM", "TEM_Imaging"), ("DFI", "STEM_Imaging")])
def test_jeol_transmission_microscopes_write_the_same(signal, kind):
    found = read_jeol(f"$CM_FORMAT \n$CM_INSTRUMENT JEM-2200FS\n$CM_SIGNAL {signal}  \n")
    assert found.data_type == kind


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_jeol_tells_in_a_tag_too(image, encoding):
    text = "\t".join("=".join(line.split(" ", 1)) for line in JEOL.splitlines())
    note = b"UNICODE\0" + text.encode(encoding)
    found = only(image(extratags=[(37500, 7, len(note), note, True)]))
    assert quantity(found, "working_distance") == (10.74, "mm")
    assert quantity(found, "stage_y") == (-19626.4, "um")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_hitachi_tells_in_one_section(image, encoding):
    found = only(image(HITACHI.replace("\n", "\r\n").encode(encoding), name="image.TXT"))
    assert found.data_type == "SEM_Imaging"
    assert quantity(found, "acceleration_voltage") == (15, "kV")
    assert quantity(found, "working_distance") == (8.1, "mm")
    assert quantity(found, "emission_current") == (10.2, "uA")
    assert quantity(found, "stage_x") == (52345, "um")
    assert quantity(found, "stage_z") == (8, "mm")
    assert "stage_rotation" not in found.metadata
    assert found.extensions["hitachi_stage_position_r"] == "-1800"
    assert found.metadata["specimen"] == "steel"
    assert [axis.scale for axis in found.axes] == pytest.approx([24.8, 24.8])


def test_hitachi_may_tell_in_the_description(image):
    found = only(image(description=HITACHI.replace("Sem", "Tem")))
    assert found.data_type == "TEM_Imaging"
    assert quantity(found, "pixel_height") == (24.8, "nm")


def test_without_a_date_in_the_text_the_tag_tells_the_time(image):
    text = HITACHI.replace("Date=03/04/2020\n", "")
    found = only(image(text.encode(), datetime="2021:02:03 04:05:06"))
    assert found.creation_time.isoformat() == "2021-02-03T04:05:06+00:00"


@pytest.mark.parametrize(("written", "found"), [("2020-03-05", "03-04"), ("2020-04-04", "04-03")])
def test_a_date_of_two_readings_is_the_one_nearer_to_the_file(image, written, found):
    path = image(HITACHI.encode())
    when = datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()
    os.utime(path, (when, when))
    assert only(path).creation_time.date().isoformat() == f"2020-{found}"


def test_a_strip_of_words_below_the_image_is_not_drawn(image):
    path = image(JEOL.encode(), shape=(34, 40))
    (signal,) = SemTextTiffExtractor().open(path).signals
    assert signal.shape == (34, 40)
    assert signal.pixels().shape == (30, 40)


def test_an_unknown_unit_is_reported_and_kept(image):
    text = HITACHI.replace("8100 um", "8100 steps")
    done = read(image(text.encode()))
    assert done.outcome == "partial"
    assert "working_distance" in done.reason
    (found,) = done.datasets
    assert "working_distance" not in found.metadata
    assert found.extensions["hitachi_working_distance"] == "8100 steps"


@pytest.mark.parametrize(
    ("text", "scale"),
    [(JEOL.replace("10um", "10,000um"), "97.7"), (HITACHI.replace("=24.8", "=24803.5"), "31.2")],
)
def test_a_scale_that_the_magnification_contradicts_is_named(image, text, scale):
    found = only(image(text.encode()))
    assert f"its scale is {scale} times that which its magnification" in " ".join(found.warnings)


@pytest.mark.parametrize("marker", ["10?m", "10steps"])
def test_a_scale_of_jeol_that_cannot_be_read_is_named(image, marker):
    found = only(image(JEOL.replace("10um", marker).encode()))
    assert f"SM_MICRON_MARKER is {marker!r}, which is no length" in " ".join(found.warnings)
    assert quantity(found, "pixel_width") == (640, "nm")  # that of the magnification


@pytest.mark.parametrize("size", ["24.8 steps", "24,803", "wide"])
def test_a_scale_of_hitachi_that_cannot_be_read_is_named(image, size):
    text = HITACHI.replace("24.8", size).replace("8100 um", "8100")
    found = only(image(text.encode()))
    assert f"PixelSize is {size!r}, which is no length" in " ".join(found.warnings)


def test_lengths_of_jeol_may_have_decimal_commas(image):
    text = JEOL.replace("10.74", "10,740").replace("61.40", "61,40").replace("15.00", "15,00")
    text = text.replace("18.6234 -19.6264", "X=18,623,Y=-19,626").replace("12.7350 11.0 0.5 0", "")
    text = text.replace("3.63e-009", "3,63e-009").replace("12.00", "12,00")
    found = only(image(text.replace("10um", "10,000um").encode()))
    assert quantity(found, "working_distance") == (10.74, "mm")
    assert [quantity(found, f"stage_{one}") for one in "xy"] == [(18623, "um"), (-19626, "um")]
    assert quantity(found, "pixel_width") == (62.5, "nm")


def test_an_abbreviated_magnification_gives_the_scale(image):
    text = HITACHI.replace("PixelSize=24.8", "PixelSize=").replace("=4000", "=4k")
    found = only(image(text.encode()))
    assert quantity(found, "magnification") == (4000, "x")
    assert quantity(found, "pixel_width") == (793.75, "nm")


def test_the_text_of_another_image_gives_no_pixel_size(image):
    done = read(image(HITACHI.encode(), shape=(15, 20)))
    assert done.outcome == "partial"
    assert "40 x 30 pixels, but it has 20 x 15" in done.reason
    (found,) = done.datasets
    assert quantity(found, "acceleration_voltage") == (15, "kV")
    assert "pixel_width" not in found.metadata
    assert [axis.unit for axis in found.axes] == ["", ""]


@pytest.mark.parametrize("damaged", [bytes(100), b"$CM_MAG 1\n\0\0\0$$SM_WD 1"])
def test_a_damaged_text_does_not_cost_the_image(image, damaged):
    done = read(image(damaged))
    assert done.outcome == "partial"
    assert "image.txt beside it is damaged" in done.reason
    assert done.datasets[0].shape == (30, 40)


def test_an_unreadable_text_does_not_cost_the_image(image, monkeypatch):
    path = image(JEOL.encode())
    beside = path.with_suffix(".txt")

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(beside), "read_bytes", refuse)
    done = read(path)
    assert done.outcome == "partial"
    assert "image.txt beside it cannot be read: Permission denied" in done.reason
    assert done.datasets[0].shape == (30, 40)


@pytest.mark.parametrize("text", [None, b"", b"notes of the day\n", b"caf\xe9 $CM_MAG 5"])
def test_any_other_text_beside_an_image_is_not_its_own(image, text):
    done = read(image(text))
    assert (done.outcome, done.extractor.name) == ("extracted", "plain_tiff")


@settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    text=st.sampled_from([JEOL, HITACHI]),
    at=st.integers(0, 400),
    noise=st.binary(max_size=12) | st.text("0123456789=.-eE$[]xX \n", max_size=12).map(str.encode),
)
def test_no_text_costs_the_image(image, text, at, noise):
    raw = text.encode()
    done = read(image(raw[:at] + noise + raw[at + len(noise) :]))
    assert done.outcome in ("extracted", "partial"), done.reason
    assert done.datasets[0].shape == (30, 40)
