"""Stacks larger than a worker's memory: sparse files with a valid header and 8 GB of nothing."""

import os
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest
import tifffile

FRAMES, SIDE = 1024, 2048
MOST_MIB = 400

# metadata and preview of one file, then the most memory that the process ever held;
# the file is not hashed here: that reads every byte, and is bounded by its own buffer
READ_AND_DRAW = """
import sys
from pathlib import Path
from nexuslims_formats.registry import HEAD_BYTES, choose
from nexuslims_formats.previews import render_preview
path = Path(sys.argv[1])
with path.open("rb") as stream:
    head = stream.read(HEAD_BYTES)
signal = choose(path, head).open(path).signals[0]
picture = render_preview(signal)
# not ru_maxrss: a child begins with the peak of the process that started it
status = Path("/proc/self/status").read_text()
held = int(status.partition("VmHWM:")[2].split()[0]) // 1024
print(*signal.shape, len(picture), held)
"""


def write_mrc(path):
    header = bytearray(1024)
    signed_words = 1
    struct.pack_into("<4i", header, 0, SIDE, SIDE, FRAMES, signed_words)
    struct.pack_into("<3i", header, 28, SIDE, SIDE, FRAMES)
    struct.pack_into("<3f", header, 40, 10.0 * SIDE, 10.0 * SIDE, 10.0 * FRAMES)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:216] = b"MAP DD\0\0"
    path.write_bytes(header)
    os.truncate(path, len(header) + 2 * FRAMES * SIDE**2)


def write_dm5(path):
    """Packed chunks, of which one in a hundred is there."""
    with h5py.File(path, "w") as file:
        image = file.create_group("ImageList/[0]/ImageData")
        dimensions = image.create_group("Dimensions")
        for number, size in enumerate((SIDE, SIDE, FRAMES)):
            dimensions.attrs[f"[{number}]"] = size
        image.attrs["DataType"] = 2
        shape, chunks = (FRAMES, SIDE, SIDE), (8, 256, 256)
        data = image.create_dataset("Data", shape, "f4", chunks=chunks, compression="gzip")
        data[:: FRAMES // 8, :64, :64] = 7


def write_tiles(path):
    """One page of 24,000 x 24,000, packed: a gigabyte of the same few tiles."""
    tile = np.zeros((512, 512), "u2")
    tiles = (tile for _ in range(47 * 47))
    tifffile.imwrite(
        path, tiles, shape=(24_000, 24_000), dtype="u2", tile=(512, 512), compression="zlib"
    )


def write_tiff(path):
    tifffile.memmap(
        path, shape=(FRAMES, SIDE, SIDE), dtype="uint16", bigtiff=True, photometric="minisblack"
    )


@pytest.mark.parametrize(
    ("name", "write"),
    [("stack.mrc", write_mrc), ("stack.tif", write_tiff), ("stack.dm5", write_dm5)],
)
def test_a_stack_of_eight_gigabytes_is_read_in_bounded_memory(tmp_path, name, write):
    path = tmp_path / name
    write(path)
    if name != "stack.dm5":  # where the same is packed
        assert path.stat().st_size > 8 << 30
    if path.stat().st_blocks * 512 > 64 << 20:
        pytest.fail(f"{tmp_path} keeps no sparse files: set TMPDIR to a file system that does")
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_DRAW, str(path)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    *shape, drawn, held = map(int, done.stdout.split()[-5:])
    path.unlink()
    assert shape == [FRAMES, SIDE, SIDE]
    assert drawn > 0
    assert held <= MOST_MIB


def test_a_packed_page_of_a_gigabyte_is_drawn_in_bounded_memory(tmp_path):
    path = tmp_path / "tiles.tif"
    write_tiles(path)
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_DRAW, str(path)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    rows, columns, drawn, held = map(int, done.stdout.split()[-4:])
    assert (rows, columns) == (24_000, 24_000)
    assert drawn > 0
    assert held <= MOST_MIB
