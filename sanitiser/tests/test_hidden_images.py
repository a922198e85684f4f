"""Images of every depth, hidden in every place of a TIFF: none is in the copy, or there is no copy.

What is looked for is bytes, at every bit of the copy, and not what a reader finds.
"""

import struct
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_formats.testing import DmFile
from nexuslims_sanitiser import tiff
from nexuslims_sanitiser.byte_check import _different, check_bytes
from nexuslims_sanitiser.independent import OURS
from nexuslims_sanitiser.job import sanitise
from nexuslims_sanitiser.plan import SanitiseError

SIZE = 6144
BLOCK = 16
VISIBLE = np.random.default_rng(7).integers(1, 255, (48, 64), np.uint8)
DEPTHS = ["1", "8", "8 printable", "8 smooth", "16", "16 dark", "32", "32 float"]


def hidden(depth, seed):
    """Return an image of 6 KiB as it would be stored."""
    noise = np.random.default_rng(seed)
    if depth == "8 printable":
        return noise.integers(32, 127, SIZE, np.uint8).tobytes()
    if depth == "8 smooth":
        steps = np.cumsum(noise.normal(0, 2, (64, SIZE // 64)), axis=1)
        return np.clip(steps + 79, 32, 126).astype(np.uint8).tobytes()
    if depth == "16 dark":
        return noise.integers(300, 4096, SIZE // 2).astype(np.uint16).tobytes()
    if depth == "32 float":
        return noise.normal(1000, 50, SIZE // 4).astype(np.float32).tobytes()
    return noise.integers(0, 256, SIZE, np.uint8).tobytes()  # full scale, of 1, 8, 16, 32 bits


def in_tag(tag, kind):
    """Return a writer of a TIFF that has an image as the value of a tag."""
    width = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 11: 4, 12: 8}[kind]

    def write(path, image):
        value = image.replace(b"\0", b"\1") + b"\0" if kind == 2 else image
        extra = [(tag, kind, len(value) // width, value, True)]
        tifffile.imwrite(path, VISIBLE, metadata=None, extratags=extra)

    return write


def in_many_tags(path, image):
    extra = [
        (60000 + at // 48, 1, 48, image[at : at + 48], True) for at in range(0, len(image), 48)
    ]
    tifffile.imwrite(path, VISIBLE, metadata=None, extratags=extra)


def behind_the_end(path, image):
    tifffile.imwrite(path, VISIBLE, metadata=None)
    with path.open("ab") as file:
        file.write(b"[User]\r\nDate=1\r\n" + image)


def behind_a_mark_of_sis(path, image):
    tifffile.imwrite(path, VISIBLE, metadata=None)
    with path.open("ab") as file:
        file.write(b"".join(b"SIS0" + image[at : at + 1020] for at in range(0, SIZE, 1020)))


def between(path, image):
    tifffile.imwrite(path, [VISIBLE] * 2, metadata=None, compression="zlib")
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        (second,) = struct.unpack_from("<I", raw, _next(file.pages[0]))
        start = second
    # the second directory moves to the end of the file, behind the image
    struct.pack_into("<I", raw, _next(file.pages[0]), len(raw) + len(image))
    size = 2 + 12 * struct.unpack_from("<H", raw, start)[0] + 4
    path.write_bytes(bytes(raw) + image + bytes(raw[start : start + size]))


def unlinked(path, image):
    page = np.frombuffer(image, np.uint8).reshape(64, -1)
    tifffile.imwrite(path, VISIBLE, metadata=None)
    tifffile.imwrite(path, page, metadata=None, append=True)
    with tifffile.TiffFile(path) as file:
        place = _next(file.pages[0])
    raw = bytearray(path.read_bytes())
    raw[place : place + 4] = bytes(4)
    path.write_bytes(raw)


def in_more_strips(path, image):
    """Hide an image in strips below the last row, with less claimed than there is."""
    rows = np.frombuffer(image, np.uint8).reshape(-1, 64)
    tifffile.imwrite(path, np.concatenate([VISIBLE, rows]), metadata=None, rowsperstrip=16)
    _set(path, "ImageLength", len(VISIBLE))


def in_short_strips(path, image):
    """Hide an image in the bytes of strips behind those that their lengths claim."""
    rows = np.frombuffer(image, np.uint8).reshape(-1, 64)
    tifffile.imwrite(path, rows, metadata=None, rowsperstrip=16)
    _set_all(path, "StripByteCounts", 1008)


def in_lengths(path, image):
    """Hide an image in the list of lengths of strips that the picture does not have."""
    rows = np.zeros((len(image) // 4, 1), np.uint8) + 1
    tifffile.imwrite(path, rows, metadata=None, rowsperstrip=1)
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["StripByteCounts"]
        place, size = tag.valueoffset, tag.valuebytecount
    raw = bytearray(path.read_bytes())
    raw[place : place + size] = image[:size]
    path.write_bytes(raw)
    _set(path, "ImageLength", 1)


def _next(page):
    return page.offset + 2 + 12 * len(page.tags)


def _set(path, name, value):
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[name].overwrite(value)


def _set_all(path, name, value):
    with tifffile.TiffFile(path, mode="r+b") as file:
        tag = file.pages[0].tags[name]
        tag.overwrite((value,) * tag.count)


PLACES = {
    **{f"tag {tag} of kind {kind}": in_tag(tag, kind) for tag, kind in (
        (270, 2), (301, 3), (315, 2), (320, 3), (347, 7), (700, 1), (33723, 4), (34118, 1),
        (34377, 1), (34412, 1), (34675, 7), (34682, 2), (37500, 7), (50431, 1), (50839, 1),
        (65000, 1), (65000, 2), (65000, 3), (65000, 4), (65000, 7), (65000, 11), (65000, 12),
        (65027, 1),
    )},
    "many tags": in_many_tags, "behind the end": behind_the_end, "between": between,
    "behind marks of SIS": behind_a_mark_of_sis,
    "unlinked page": unlinked, "more strips": in_more_strips, "short strips": in_short_strips,
    "lengths": in_lengths,
}  # fmt: skip


def left_of(image, content):
    """Return how many blocks of an image are in a file, at any bit."""
    raw = np.frombuffer(content, np.uint8)
    wide = (raw[:-1].astype(np.uint16) << 8) | raw[1:]
    shifted = [content, *((wide >> bits).astype(np.uint8).tobytes() for bits in range(1, 8))]
    blocks = {image[at : at + BLOCK] for at in range(0, len(image) - BLOCK + 1, BLOCK)}
    return sum(any(block in form for form in shifted) for block in blocks if len({*block}) > 4)


def copy_of(write, name, image):
    """Return the bytes of a file with an image in it and of its copy; none where it is refused."""
    with tempfile.TemporaryDirectory() as text:
        path = Path(text) / name
        write(path, image)
        before = path.read_bytes()
        try:
            (copy,) = sanitise(path, Path(text) / "out").written
        except SanitiseError:
            assert not [*(Path(text) / "out").iterdir()]
            return before, b"\0"
        return before, copy.read_bytes()


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=5, deadline=None)
@given(depth=st.sampled_from(DEPTHS), seed=st.integers(0, 2**32 - 1))
def test_no_image_is_left_in_any_place_of_a_tiff(place, depth, seed):
    image = hidden(depth, seed)
    before, after = copy_of(PLACES[place], "image.tif", image)
    assert left_of(image, before) > SIZE // BLOCK // 8
    # 2 KiB of small values may stay, whatever they are: see docs/sanitising.md
    assert left_of(image, after) <= (2048 // BLOCK if place == "many tags" else 0)


def in_dm(path, image):
    path.write_bytes(DmFile().bytes({"ImageList": {"Hidden": image}}))


def in_dataset(path, image):
    with h5py.File(path, "w") as file:
        file["Metadata/image"] = np.frombuffer(image, np.uint8)
        file["image"] = np.frombuffer(image, np.uint8).reshape(64, -1)


DESCRIBED = b"<ObjectInfo><Uuid>1</Uuid>%s</ObjectInfo>"
END = b"\r\n`\0\5Normalp\0"


def emi(before=b"", within=b"", between=b"", end=END):
    """Return a writer of an ``.emi`` that has an image in the place of a mark."""

    def write(path, image):
        content = before + DESCRIBED % within + between + DESCRIBED % b"" + end
        path.write_bytes(content.replace(b"IMAGE", image.replace(b"\0", b"\1")))

    return write


def blockfile(place):
    """Return a writer of a blockfile with an image at a place, or behind its end."""

    def write(path, image):
        head = struct.pack("<6sHIIIHHHH", b"IMGBLO", 0x102, 8192, 16384, 0, 8, 0, 2, 2)
        frames = b"".join(struct.pack("<HI", 0x55AA, n) + bytes(64) for n in range(4))
        content = bytearray(head.ljust(16384, b"\0") + frames)
        at = len(content) if place is None else place
        content[at : at + len(image)] = image
        path.write_bytes(content)

    return write


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("image.emi", emi(before=b"IMAGE")),
        ("image.emi", emi(within=b"IMAGE")),
        ("image.emi", emi(within=b"<!--IMAGE-->")),
        ("image.emi", emi(within=b"<Uuid>IMAGE</Uuid>")),
        ("image.emi", emi(within=b"<![CDATA[IMAGE]]>")),
        ("image.emi", emi(between=b"IMAGE")),
        ("image.emi", emi(end=END + b"IMAGE")),
        *(("scan.blo", blockfile(place)) for place in (64, 240, 1024, 8196, 9000, None)),
    ],
)
@settings(max_examples=8, deadline=None)
@given(depth=st.sampled_from(DEPTHS), seed=st.integers(0, 2**32 - 1))
def test_no_image_is_left_in_any_place_of_an_emi_or_a_blockfile(name, write, depth, seed):
    image = hidden(depth, seed)
    before, after = copy_of(write, name, image)
    assert left_of(image.replace(b"\0", b"\1") if name == "image.emi" else image, before)
    assert not left_of(image, after)


def test_pixels_of_a_series_that_are_left_in_its_emi_are_found(tmp_path):
    """What is between descriptions are copies of the series beside: the check looks for those."""
    folder, copies = tmp_path / "session", tmp_path / "copies"
    folder.mkdir()
    copies.mkdir()
    pixels = np.random.default_rng(5).integers(1, 60000, (32, 32)).astype("<u2")
    (folder / "map_1.ser").write_bytes(series_of(pixels))
    emi()(folder / "map.emi", b"")
    (copies / "map.emi").write_bytes((folder / "map.emi").read_bytes())
    check_bytes(folder / "map.emi", copies / "map.emi", OURS)
    with (copies / "map.emi").open("ab") as file:
        file.write(pixels[:4].byteswap().tobytes())
    with pytest.raises(SanitiseError, match="still in the copy"):
        check_bytes(folder / "map.emi", copies / "map.emi", OURS)


def series_of(pixels):
    """Return a TIA series of one image."""
    head = b"II\x97\x01" + struct.pack("<HIIIII", 0x210, 0x4122, 0x4152, 1, 1, 30)
    start = 30 + 8  # no dimensions; the table of places
    full = struct.pack("<ddIddIHII", 0, 1, 0, 0, 1, 0, 2, *pixels.shape[::-1])
    tags = start + len(full) + pixels.nbytes
    return (
        head.ljust(30, b"\0") + struct.pack("<II", start, tags) + full + pixels.tobytes() + bytes(8)
    )


@pytest.mark.parametrize(("name", "write"), [("image.dm3", in_dm), ("image.h5", in_dataset)])
@settings(max_examples=10, deadline=None)
@given(depth=st.sampled_from(DEPTHS), seed=st.integers(0, 2**32 - 1))
def test_no_image_is_left_in_arrays_of_other_formats(name, write, depth, seed):
    image = hidden(depth, seed)
    before, after = copy_of(write, name, image)
    assert left_of(image, before)
    assert not left_of(image, after)


@pytest.mark.parametrize("form", ["raw", "swapped", "upper bytes", "wide", "shifted"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_check_finds_pixels_in_any_packing(tmp_path, form, dtype):
    pixels = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (64, 64)).astype(dtype)
    source, copy = tmp_path / "source.tif", tmp_path / "copy.tif"
    tifffile.imwrite(source, pixels, metadata=None)
    row = pixels[10:12].ravel()
    stored = {
        "raw": row.tobytes(),
        "swapped": row.byteswap().tobytes(),
        "upper bytes": row.view(np.uint8)[row.itemsize - 1 :: row.itemsize].tobytes(),
        "wide": row.astype(np.uint16).tobytes(),
        "shifted": (int.from_bytes(row.tobytes(), "big") << 3).to_bytes(row.nbytes + 1, "big"),
    }[form]
    copy.write_bytes(bytes(99) + stored + bytes(99))
    with pytest.raises(SanitiseError, match="bytes of the image are still in the copy"):
        check_bytes(source, copy, "tifffile")
    copy.write_bytes(bytes(99) + b"Operator=j.doe\r\nHV=5000\r\n" * 20)
    check_bytes(source, copy, "tifffile")


def test_a_copy_with_the_pixels_in_a_tag_is_refused_whatever_the_plan_says(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "kept_of", lambda tag, kind, value, *_: value)
    source = tmp_path / "image.tif"
    in_tag(65000, 1)(source, VISIBLE.tobytes())
    with pytest.raises(SanitiseError, match="bytes of the image are still in the copy"):
        sanitise(source, tmp_path / "out")
    assert not [*(tmp_path / "out").iterdir()]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=120), st.integers(1, 40))
def test_different_steps_are_counted_in_every_run(steps, length):
    runs = [steps[at : at + length] for at in range(len(steps) - length + 1)]
    counted = _different(np.array(steps, np.uint8), length) if runs else np.array([])
    assert counted.tolist() == [len(set(run)) for run in runs]
