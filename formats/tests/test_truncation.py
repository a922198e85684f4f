"""Containers that are cut say so, whatever their reader makes of them."""

import struct

import numpy as np
import pytest
import tifffile

from nexuslims_formats import read
from nexuslims_formats.truncation import what_is_missing


def missing(path, module):
    return list(what_is_missing(path, module))


def semper(path):
    records = (bytes(12), bytes(512), *(bytes(16) for _ in range(4)))
    path.write_bytes(
        b"".join(struct.pack("<I", len(one)) + one + struct.pack("<I", len(one)) for one in records)
    )


@pytest.mark.parametrize(
    ("module", "write"),
    [
        ("semper", semper),
    ],
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_cut_container(tmp_path, module, write, share):
    path = tmp_path / "data.bin"
    write(path)
    assert missing(path, module) == []
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: int(size * share)])
    (words,) = missing(path, module)
    assert f"but the file at {int(size * share)}" in words


def test_an_export_of_gatan_that_lost_directories(tmp_path):
    path = tmp_path / "stack.tif"
    tags = [(65003, "s", 0, "nm", True), (65006, "d", 1, 0.0, True), (65009, "d", 1, 0.5, True)]
    with tifffile.TiffWriter(path) as writer:
        for _ in range(2):
            writer.write(np.zeros((40, 40), "u1"), contiguous=False, extratags=tags, metadata=None)
    assert read(path).outcome == "extracted"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = read(path)
    assert (found.outcome, found.extractor.name) == ("partial", "gatan_tiff")
    assert "directories" in found.reason
