"""What fuzzing found in our own parsers, each as small as it can be."""

import struct

import numpy as np
import pytest
import tifffile

from nexuslims_formats.digitalmicrograph.tags import read_tags
from nexuslims_formats.errors import ExtractorError
from nexuslims_formats.quantities import readable_length
from nexuslims_formats.tiff.rasters import rasters
from nexuslims_formats.tiff.tags import read_tiff


def dm3_tag(*info):
    """Return a DM3 file of one tag that describes its value by these numbers."""
    described = struct.pack(f">I{len(info)}I", len(info), *info)
    tag = b"\x15\0\1a%%%%" + described
    return struct.pack(">III", 3, 0, 1) + b"\1\0" + struct.pack(">I", 1) + tag + bytes(64)


@pytest.mark.parametrize(
    "info",
    [
        (20, 15, 0, 0, 0xFFFFFFFF),  # an array of four milliard structs without members
        (20, 20, 2, 0xFFFFFFFF, 0xFFFFFFFF),  # an array of arrays longer than memory
        (18,),  # a text without a length
        (20,),
        (99,),
    ],
)
def test_dm_values_that_describe_themselves_wrongly(tmp_path, info):
    path = tmp_path / "made.dm3"
    path.write_bytes(dm3_tag(*info))
    with pytest.raises(ExtractorError, match=r"tag|ends within"):
        read_tags(path)


@pytest.mark.parametrize("images", [5, {"a": (5, 1)}, {"a": {"ImageData": (5, 1)}},
                                    {"a": {"ImageData": {"DataType": (5, 2)}}}])  # fmt: skip
def test_dm_images_that_are_none(judged, dm_file, tmp_path, images):
    path = tmp_path / "made.dm3"
    images = (5, 1) if images == 5 else images
    path.write_bytes(dm_file(3).bytes({"ImageList": images}))
    assert judged(path, ours=True).outcome == "failed"


def test_a_tiff_header_without_its_offset(judged, tmp_path):
    path = tmp_path / "made.tif"
    for header in (b"II*\0\x08", b"II+\0\x08\0\0\0\x10"):
        path.write_bytes(header)
        assert "ends within its TIFF header" in judged(path, ours=True).reason


def test_a_tiff_value_beyond_what_a_file_can_seek(judged, whole, tmp_path):
    path = tmp_path / "made.tif"
    wrong = struct.pack("<HHQQ", 34682, 2, 100, (1 << 64) - 1)
    entry = whole["fei_big.tif"].index(struct.pack("<H", 34682))
    data = bytearray(whole["fei_big.tif"])
    data[entry : entry + 20] = wrong
    path.write_bytes(data)
    assert judged(path, ours=True).datasets


def test_a_tiff_of_not_a_number_columns(judged, tiff, tmp_path):
    path = tmp_path / "made.tif"
    path.write_bytes(tiff((256, 11, 1, 0x7FC00000), (257, 3, 1, 4)))
    assert judged(path, ours=True).outcome == "partial"


def test_tiff_samples_of_18761_bits(judged, tiff, tmp_path):
    path = tmp_path / "made.tif"
    path.write_bytes(tiff((256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 1, 18761)))
    assert "18761 bits" in judged(path, ours=True).reason


def test_tiff_strips_that_are_not_listed(judged, tmp_path):
    """Decoding the millions that were claimed took seconds."""
    path = tmp_path / "made.tif"
    tifffile.imwrite(path, np.zeros((8, 8), "u1"), compression="lzw", metadata=None)
    data = bytearray(path.read_bytes())
    rows = data.index(struct.pack("<HHI", 257, 4, 1))
    data[rows : rows + 12] = struct.pack("<HHII", 257, 4, 1, 1 << 23)
    path.write_bytes(data)
    (raster,) = rasters(read_tiff(path))
    assert raster.problem == "the TIFF file lists 1 of the 1048576 pieces of its image"
    done = judged(path, artifacts_root=tmp_path / "data", previews=True, ours=True)
    assert done.outcome == "partial"


def test_a_plain_tiff_of_bits_that_claims_more_than_it_holds(judged, tiff, tmp_path):
    """Its preview took as many bytes as there were pixels."""
    path = tmp_path / "made.tif"
    entries = (
        (256, 4, 1, 6),
        (257, 4, 1, 2_160_001_024),
        (258, 3, 1, 1),
        (273, 4, 1, 8),
        (279, 4, 1, 48),
    )
    path.write_bytes(tiff(*entries))
    done = judged(path, artifacts_root=tmp_path / "data", previews=True, ours=True)
    assert done.outcome == "partial"
    assert "its image takes 2160001024 bytes, but the file has" in done.reason


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
@pytest.mark.parametrize("spectra", [True, False])
def test_a_series_without_a_finite_scale(judged, tia_series, tmp_path, spectra, scale):
    path = tmp_path / "made.ser"
    path.write_bytes(tia_series(spectra=spectra, scale=scale))
    done = judged(path, artifacts_root=tmp_path / "data", previews=True, ours=True)
    assert done.outcome == "partial"
    assert "is not finite" in done.reason
    assert done.previews


def test_a_series_that_claims_a_plane_of_planes(judged, whole, tmp_path):
    path = tmp_path / "made.ser"
    data = bytearray(whole["images.ser"])
    at = data.index(struct.pack("<IddI", 2, 0.0, 1e-9, 0))
    data[at : at + 4] = b"\xff\xff\xff\xff"
    first = struct.unpack_from("<I", data, struct.unpack_from("<I", data, 22)[0])[0]
    data[first + 42 : first + 50] = struct.pack("<II", 60000, 60000)
    path.write_bytes(data)
    assert judged(path, ours=True).outcome == "failed"


def test_a_length_that_is_no_number_has_a_unit_too():
    assert readable_length(float("nan"))[1] == "mm"
