import gzip
import struct

import numpy as np
import pytest
from formats.tests.samples import write_mrc

from nexuslims_formats import read

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
