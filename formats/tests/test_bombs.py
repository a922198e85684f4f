"""Small files that claim, or unpack to, what no memory holds, and files that lead to others."""

import gzip
import json
import os
import struct
import time
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from nexuslims_formats import read
from nexuslims_formats.tiff import tags

SECONDS, BYTES = 15.0, 512 << 20
ENTITIES = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
LAUGHS = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{ENTITIES}]><ROOT>&j;</ROOT>'
FOREIGN = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><ROOT>&a;</ROOT>'
)
DEEP = f"<ROOT>{'<a>' * 100_000}{'</a>' * 100_000}</ROOT>"


def judged(path):
    """Read a file and draw it, soon and within little memory: return what was read."""
    tracemalloc.start()
    before = time.process_time()
    try:
        reading = read(path)
        for index in range(min(len(reading.datasets), 2)):
            with suppress(Exception):  # the port allows any: the preview is left out
                reading.preview(index)
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()
    assert time.process_time() - before < SECONDS
    assert (reading.reason is None) == (reading.outcome == "extracted")
    return reading


def tiff_of(path, *entries, following=0, behind=b""):
    """Write a TIFF of one directory, of ``(code, kind, count, value)``."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    path.write_bytes(head + rows + struct.pack("<I", following) + behind)
    return path


def plain_tiff(columns, rows, *more, compression=1, at=8, size=16):
    changed = {code: (code, kind, count, value) for code, kind, count, value in more}
    given = {256: (256, 4, 1, columns), 257: (257, 4, 1, rows), 258: (258, 3, 1, 8),
             259: (259, 3, 1, compression), 262: (262, 3, 1, 1), 273: (273, 4, 1, at),
             277: (277, 3, 1, 1), 278: (278, 4, 1, rows), 279: (279, 4, 1, size)}  # fmt: skip
    return (given | changed).values()


@pytest.mark.parametrize("side", [10_000, 100_000])
def test_an_image_that_unpacks_to_more_than_memory_holds(tmp_path, side):
    packed = zlib.compress(bytes(16 << 20), 9)
    at = 8 + 2 + 9 * 12 + 4
    entries = plain_tiff(side, side, compression=8, at=at, size=len(packed))
    judged(tiff_of(tmp_path / "a.tif", *entries, behind=packed))


@pytest.mark.parametrize("compression", [4, 5, 7, 8, 32773, 34712, 34887, 34925, 50000, 50001, 9])
def test_claims_of_every_compression(tmp_path, compression):
    entries = plain_tiff(60_000, 60_000, compression=compression, at=122, size=100)
    found = judged(tiff_of(tmp_path / "a.tif", *entries, behind=bytes(100)))
    assert found.datasets[0].shape == (60_000, 60_000)


@pytest.mark.parametrize(
    "entry",
    [
        (330, 4, 1, 8), (34665, 4, 1, 8), (34682, 2, 0xFFFFFFFF, 8), (270, 2, 0x7FFFFFFF, 8),
        (273, 4, 0x3FFFFFFF, 8), (322, 4, 1, 0), (277, 3, 1, 65535), (258, 3, 1, 65535),
        (278, 4, 1, 0), (50000, 99, 10, 8), (320, 3, 0x10000000, 8), (256, 9, 1, 0xFFFFFFFF),
        (37706, 4, 1, 8), (33560, 4, 1, 0xFFFFFFF0), (33629, 5, 0xFFFFFFFF, 8),
    ],
)  # fmt: skip
def test_tags_that_lie(tmp_path, entry):
    judged(tiff_of(tmp_path / "a.tif", *plain_tiff(4, 4, entry)))


def test_more_directories_than_any_file_has(tmp_path, monkeypatch):
    monkeypatch.setattr(tags, "MAX_PAGES", 500)
    entries = tuple(plain_tiff(4, 4))
    rows = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *entry) for entry in sorted(entries)
    )
    size, count = len(rows) + 4, 505
    chain = (rows + struct.pack("<I", 8 + size * (n + 1)) for n in range(count))
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0\x08\0\0\0" + b"".join(chain))
    found = judged(path)
    assert (found.outcome, found.datasets[0].shape) == ("partial", (500, 4, 4))


def test_what_unpacks_to_gibibytes(tmp_path):
    header = bytearray(1024)
    struct.pack_into("<10i", header, 0, 4096, 4096, 1, 2, 0, 0, 0, 4096, 4096, 1)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:216] = b"MAP DD\0\0"
    path = tmp_path / "a.mrc.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes(header) + bytes(64 << 20))
    judged(path)


@pytest.mark.parametrize("text", [LAUGHS, FOREIGN, DEEP])
@pytest.mark.parametrize(
    ("code", "root"), [(65000, "ImageTags"), (34683, "FeiImage"), (34682, "Root")]
)
def test_xml_that_grows_or_reads_other_files(tmp_path, code, root, text):
    raw = text.replace("ROOT", root).encode()
    path = tmp_path / "a.tif"
    tags = [(code, "B", len(raw), raw, True)]
    tifffile.imwrite(path, np.zeros((8, 8), "u1"), metadata=None, extratags=tags)
    assert "root:" not in json.dumps([one.model_dump(mode="json") for one in judged(path).datasets])


@pytest.mark.parametrize(
    "text", ['{"pixel_size":' + "[" * 100_000 + ',"microscope_state":1',
             '{"pixel_size":{"x":1e999,"y":NaN},"microscope_state":{"timestamp":1e308}}']
)  # fmt: skip
def test_json_that_is_deep_or_infinite(tmp_path, text):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 8), "u1"), metadata=None, description=text)
    judged(path)


def leading_to_itself(file):
    file["Data"] = h5py.SoftLink("/Data")
    file["Experiments"] = file["/"]


def leading_elsewhere(file):
    file["Data"] = h5py.ExternalLink("/etc/passwd", "/x")


def with_bytes_of_another_file(file):
    group = file.create_group("data/a")
    group.attrs["emd_group_type"] = 1
    group.create_dataset("data", shape=(10, 10), dtype="u1", external=[("/etc/passwd", 0, 100)])


def nested_deeply(file):
    for _ in range(200):
        file = file.create_group("a")


@pytest.mark.parametrize(
    "fill",
    [leading_to_itself, leading_elsewhere, with_bytes_of_another_file, nested_deeply],
)
@pytest.mark.parametrize("ending", ["emd", "h5", "hspy", "nxs"])
def test_hdf5_that_leads_astray(tmp_path, ending, fill):
    path = tmp_path / f"a.{ending}"
    with h5py.File(path, "w") as file:
        file.attrs.update(version_major=0, version_minor=2)
        fill(file)
    assert judged(path).outcome in ("failed", "unsupported", "partial")


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.dm3")
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "zero.mrc").symlink_to("/dev/zero")
    (tmp_path / "loop.tif").symlink_to("loop.tif")
    (tmp_path / "gone.tif").symlink_to("nowhere")
    for path in tmp_path.iterdir():
        assert judged(path).outcome == "failed"


@pytest.mark.parametrize("name", ["a.tif", "a.dm3", "a.txt", "a.bin", "a.mib"])
def test_a_file_of_a_hundred_gigabytes_without_content(tmp_path, name):
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(b"II*\0" if name == "a.tif" else b"x")
        file.truncate(100 << 30)
    judged(path)


def test_a_name_that_a_terminal_would_obey(tmp_path):
    path = tmp_path / "a\n\x1b[2J\udcff.tif"
    Path(path).write_bytes(b"II*\0")
    assert "\x1b" not in (judged(path).reason or "")
