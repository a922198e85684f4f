import gzip
import struct

import numpy as np
import pytest
from formats.tests.samples import write_mrc

from nexuslims_formats import read
from nexuslims_formats.mrc import reader as mrc_reader

STACK = np.arange(24, dtype="int16").reshape(2, 3, 4)


def only(path):
    found = read(path)
    assert (found.outcome, found.extractor.name) == ("extracted", "mrc"), found.reason
    (dataset,) = found.datasets
    return dataset


@pytest.mark.parametrize("name", ["a.mrc", "a.mrcs", "a.st", "a.rec", "a.ali", "a.map", "a.xyz"])
def test_the_content_tells_whatever_the_name(tmp_path, name):
    dataset = only(write_mrc(tmp_path / name, STACK))
    assert (dataset.shape, dataset.dtype) == ((2, 3, 4), "int16")
    assert [(axis.scale, axis.unit) for axis in dataset.axes] == [(1, ""), (1, "nm"), (1, "nm")]
    assert dataset.metadata["pixel_width"] == {"value": 1, "unit": "nm"}


def test_a_compressed_volume(tmp_path):
    plain = write_mrc(tmp_path / "plain.map", STACK, group=1)
    path = tmp_path / "volume.map.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    dataset = only(path)
    assert dataset.axes[0].unit == "nm"
    np.testing.assert_array_equal(read(path).pixels(), STACK)


def test_a_compressed_volume_that_is_too_large_to_draw_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(mrc_reader, "_UNPACKED_BYTES", 1 << 20)
    plain = write_mrc(tmp_path / "plain.map", np.zeros((1, 1024, 1025), "i2"))
    path = tmp_path / "volume.map.gz"
    path.write_bytes(gzip.compress(plain.read_bytes(), 1))
    (signal,) = read(path).signals
    assert signal.pixels is None
    assert "of 2 MiB" in signal.undrawn
    assert "unpack the file" in signal.undrawn


@pytest.mark.parametrize("cut", [1, 8, 30])
def test_a_compressed_volume_that_was_cut_is_partial(tmp_path, cut):
    plain = write_mrc(tmp_path / "plain.map", np.arange(9000, dtype="i2").reshape(10, 30, 30))
    path = tmp_path / "volume.map.gz"
    path.write_bytes(gzip.compress(plain.read_bytes())[:-cut])
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == ("partial", (10, 30, 30))
    assert "does not end" in found.reason


@pytest.mark.parametrize(
    ("stamp", "flags", "greatest", "dtype"),
    [(0, 0, 1.0, "int8"), (0, 0, 200.0, "uint8"), (1146047817, 0, 1.0, "uint8"),
     (1146047817, 1, 1.0, "int8")],
)  # fmt: skip
def test_bytes_are_signed_unless_imod_or_the_values_say_otherwise(
    tmp_path, stamp, flags, greatest, dtype
):
    path = write_mrc(tmp_path / "bytes.mrc", STACK.astype("int8"), mode=0)
    content = bytearray(path.read_bytes())
    struct.pack_into("<2i", content, 152, stamp, flags)
    struct.pack_into("<f", content, 80, greatest)
    path.write_bytes(content)
    assert only(path).dtype == dtype
    assert str(read(path).pixels().dtype) == dtype


def test_epu_writes_an_extended_header(tmp_path):
    block = bytearray(888)
    struct.pack_into("<2i", block, 0, 888, 2)
    struct.pack_into("<d", block, 12, 45427.7054)
    block[20:25], block[52:55] = b"KRIOS", b"EPU"
    for offset, value in ((84, 3e5), (100, 12.5), (116, -2.7e-4), (220, -2.1e-6), (289, 105e3),
                          (419, 1.2)):  # fmt: skip
        struct.pack_into("<d", block, offset, value)
    path = write_mrc(tmp_path / "epu.mrc", STACK[:1], kind=b"FEI2", extended=bytes(block))
    dataset = only(path)
    assert dataset.shape == (3, 4)
    expected = {
        "acceleration_voltage": (300, "kV"),
        "stage_alpha": (12.5, "degree"),
        "stage_x": (-270, "um"),
        "defocus": (-2.1, "um"),
        "magnification": (105000, "x"),
        "exposure_time": (1.2, "s"),
    }
    found = {name: tuple(dataset.metadata[name].values()) for name in expected}
    assert found == {name: (pytest.approx(value), unit) for name, (value, unit) in expected.items()}
    assert dataset.metadata["microscope"] == "KRIOS"
    assert dataset.creation_time.isoformat() == "2024-05-15T16:55:46+00:00"


MDOC = """PixelSpacing = 10
Voltage = 300
Version = SerialEM Version 4.1.6

[T = SerialEM: a facility]

[ZValue = 0]
TiltAngle = -40.0
StagePosition = -271.217 827.754
Magnification = 28500
ExposureTime = 1.678
DateTime = 15-May-24  16:50:54

[ZValue = 1]
TiltAngle = -30.0
DateTime = 15-May-24  16:51:54
"""


@pytest.mark.parametrize("beside", [True, False])
def test_serialem_tells_tilts_in_its_header_and_beside_it(tmp_path, beside):
    numbers = b"".join(
        struct.pack("<3hh", round(tilt * 100), -6780, 20693, 285) for tilt in (-40, -30)
    )
    path = write_mrc(
        tmp_path / "tilt.mrc", STACK, kind=b"SERI", extended=numbers, counts=(8, 1 | 4 | 8)
    )
    if beside:
        path.with_name("tilt.mrc.mdoc").write_text(MDOC)
    dataset = only(path)
    axis = dataset.axes[0]
    assert (axis.name, axis.scale, axis.offset, axis.unit) == ("tilt", 10, -40, "degree")
    assert dataset.metadata["magnification"] == {"value": 28500, "unit": "x"}
    assert dataset.metadata["stage_x"]["value"] == pytest.approx(-271.2, abs=0.1)
    if beside:
        assert dataset.metadata["exposure_time"] == {"value": 1.678, "unit": "s"}
        assert dataset.creation_time.isoformat() == "2024-05-15T16:50:54+00:00"


def test_a_truncated_stack_is_partial(tmp_path):
    path = write_mrc(tmp_path / "cut.mrc", STACK)
    path.write_bytes(path.read_bytes()[:-8])
    found = read(path)
    assert (found.outcome, found.pixels()) == ("partial", None)
    assert "the data ends at byte 1072, but the file at 1064" in found.reason


@pytest.mark.parametrize(
    ("mode", "bits", "shape", "dtype"),
    [
        (3, 32, (2, 3, 4), "complex64"),
        (16, 24, (2, 3, 4, 3), "uint8"),
        (101, 4, (2, 3, 4), "uint8"),
    ],
)
def test_pixels_of_odd_types_have_their_shape(tmp_path, mode, bits, shape, dtype):
    path = write_mrc(tmp_path / "odd.mrc", STACK, mode=mode)
    path.write_bytes(path.read_bytes()[:1024] + bytes(24 * bits // 8))
    dataset = only(path)
    assert (dataset.shape, dataset.dtype) == (shape, dtype)
    assert (read(path).preview() is None) == (mode != 16)
    path.write_bytes(path.read_bytes()[:-1])
    assert read(path).outcome == "partial"


DE_INFO = """Server Software Version                         = 2.7.4.10190
Timestamp (seconds since Epoch)                 = 1729539410
Local time                                      = Mon Oct 21 14:36:50 2024
Camera Name                                     = Celeritas
Diffraction Pixel Size X                        = 0.1
Diffraction Pixel Size Y                        = -1
Frame Exposure Time (nanoseconds)               = 1427500
Frame Time (nanoseconds)                        = 1428500
Instrument Accelerating Voltage (V)             = 300000
Instrument Project Camera Length (centimeters)  = 10
Instrument Project Magnification                = -1
Scan - Dwell Time (microseconds)                = 1428.5
Scan - Enable                                   = {enable}
Scan - ROI Enable                               = Disable
Scan - Size X                                   = 3
Scan - Size Y                                   = 2
Scan - Type                                     = Raster
Specimen Pixel Size X (nanometers)              = 2
Specimen Pixel Size Y (nanometers)              = 4
"""


def direct_electron(folder, frames=6, enable="Enable"):
    (folder / "20241021_00405_info.txt").write_text(DE_INFO.format(enable=enable))
    data = np.arange(frames * 20, dtype="int16").reshape(frames, 4, 5)
    return write_mrc(folder / "20241021_00405_movie.mrc", data)


def test_a_movie_of_direct_electron_is_read_with_what_its_server_wrote(tmp_path):
    path = direct_electron(tmp_path)
    dataset = only(path)
    assert (dataset.shape, dataset.dataset_type) == ((2, 3, 4, 5), "Diffraction")
    assert dataset.creation_time.isoformat() == "2024-10-21T14:36:50-05:00"
    expected = {
        "acceleration_voltage": (300, "kV"), "camera_length": (100, "mm"),
        "dwell_time": (1428.5, "us"), "exposure_time": (0.0014275, "s"),
    }  # fmt: skip
    found = {name: tuple(dataset.metadata[name].values()) for name in expected}
    assert found == {name: (pytest.approx(value), unit) for name, (value, unit) in expected.items()}
    assert dataset.metadata["detector_type"] == "Celeritas"
    assert "magnification" not in dataset.metadata
    assert [(axis.name, axis.scale, axis.unit, axis.navigate) for axis in dataset.axes] == [
        ("y", 4, "nm", True), ("x", 2, "nm", True), ("ky", 1, "", False), ("kx", 0.1, "1/nm", False)
    ]  # fmt: skip
    assert read(path).pixels().shape == dataset.shape


@pytest.mark.parametrize(
    ("frames", "enable", "shape"),
    [(12, "Enable", (2, 2, 3, 4, 5)), (7, "Enable", (7, 4, 5)), (6, "Disable", (6, 4, 5))],
)
def test_frames_that_are_no_whole_scan_are_a_series(tmp_path, frames, enable, shape):
    assert only(direct_electron(tmp_path, frames, enable)).shape == shape


@pytest.mark.parametrize(
    "name", ["20241021_00405_final.mrc", "20241021_00405_1_Virt #1_total_sum.mrc"]
)
def test_images_made_of_a_movie_have_what_its_server_wrote(tmp_path, name):
    direct_electron(tmp_path)
    dataset = only(write_mrc(tmp_path / name, STACK[:1]))
    assert dataset.shape == (3, 4)
    assert dataset.metadata["acceleration_voltage"] == {"value": 300.0, "unit": "kV"}
