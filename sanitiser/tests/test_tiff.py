"""Sanitised TIFF: data zeroed in every shape of it, all else as it was."""

import base64
import os
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile

from nexuslims_formats.errors import ExtractorError
from nexuslims_sanitiser.job import sanitise
from nexuslims_sanitiser.plan import SanitiseError

PLACES = {273, 279, 324, 325, 330}
VENDOR = [
    (65000, "s", 0, "Operator=j.doe\r\nHV=5000", True),
    (65001, "d", 3, (1.5, 2.5, 3.5), True),
]


@pytest.fixture
def noise():
    return np.random.default_rng(4).integers(1, 255, (300, 257), "u1")


@pytest.fixture
def write(tmp_path):
    def writer(pages, name="image.tif", *, bigtiff=False, byteorder="<", **options):
        path = tmp_path / name
        with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as tiff:
            for page in pages:
                tiff.write(page, extratags=VENDOR, metadata=None, **options)
        return path

    return writer


def tags_of(path):
    """What tifffile reads of each page, in the order of the tags."""
    with tifffile.TiffFile(path) as file:
        return [
            [(tag.code, tag.dtype, tag.value) for tag in page.tags if tag.code not in PLACES]
            for page in file.pages
        ]


def assert_sanitised(source, copy):
    assert tags_of(copy) == tags_of(source)
    with tifffile.TiffFile(copy) as file, tifffile.TiffFile(source) as original:
        assert len(file.pages) == len(original.pages)
        for page, before in zip(file.pages, original.pages, strict=True):
            assert before.asarray().any()
            assert page.shape == before.shape
            assert not page.asarray().any()


@pytest.mark.parametrize("form", ["classic <", "classic >", "big <", "big >"])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 64}, {"tile": (64, 64)}], ids=str)
def test_every_shape_of_tiff(write, noise, tmp_path, form, *, compression, layout):
    bigtiff, byteorder = form.startswith("big"), form[-1]
    pages = [noise, noise[:100].astype("u2") * 9]
    source = write(pages, bigtiff=bigtiff, byteorder=byteorder, compression=compression, **layout)
    before = source.read_bytes()
    (copy,) = sanitise(source, tmp_path / "out").written
    assert copy.name == "image_dataZeroed.tif"
    assert_sanitised(source, copy)
    assert source.read_bytes() == before


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "lzw", "png"])
def test_colours(write, tmp_path, photometric, compression):
    if photometric == "ycbcr" and compression != "jpeg":
        photometric = "rgb"
    pixels = np.random.default_rng(1).integers(50, 255, (64, 96, 3), "u1")
    source = write([pixels], photometric=photometric, compression=compression)
    (copy,) = sanitise(source, tmp_path / "out").written
    assert tags_of(copy) == tags_of(source)
    assert tifffile.imread(copy).shape == pixels.shape
    assert tifffile.imread(copy).max() == 0


def test_floats_with_a_predictor(write, tmp_path):
    pixels = np.random.default_rng(1).random((64, 64), "f4")
    source = write([pixels], compression="zlib", predictor=True)
    assert_sanitised(source, sanitise(source, tmp_path / "out").written[0])


@pytest.mark.parametrize("rows", [1, 64, 1000, 1024])
def test_two_megabytes_of_lzw_end_below_20_kb(write, tmp_path, rows):
    pixels = np.random.default_rng(2).integers(0, 256, (1024, 1536), "u1")
    source = write([pixels], compression="lzw", rowsperstrip=rows)
    assert source.stat().st_size > 2_000_000
    (copy,) = sanitise(source, tmp_path / "out").written
    assert copy.stat().st_size <= 20_000
    assert_sanitised(source, copy)
    (twice,) = sanitise(copy, tmp_path / "twice").written
    assert twice.read_bytes() == copy.read_bytes()


def test_pages_below_pages_are_zeroed_too(noise, tmp_path):
    source = tmp_path / "thumbs.tif"
    with tifffile.TiffWriter(source) as tiff:
        tiff.write(noise, subifds=1, compression="lzw", metadata=None)
        tiff.write(noise[::4, ::4], subfiletype=1, compression="lzw", metadata=None)
    (copy,) = sanitise(source, tmp_path / "out").written
    with tifffile.TiffFile(copy) as file:
        assert not file.pages[0].pages[0].asarray().any()


@pytest.mark.parametrize("codec", ["jpeg8", "png", "jpeg2k"])
def test_thumbnails_within_tags_are_zeroed(noise, tmp_path, codec):
    thumbnail = getattr(imagecodecs, f"{codec}_encode")(noise[:64, :64])
    secret = thumbnail[len(thumbnail) // 2 :][:64]
    source = tmp_path / "thumb.tif"
    chunk = struct.pack("<IH", len(thumbnail) + 2, 1) + thumbnail
    text = b"Device=MIRA3\r\nDate=2016-05-16\r\n"
    value = chunk + struct.pack("<IH", len(text) + 2, 2) + text
    tifffile.imwrite(source, noise, extratags=[(50431, 1, len(value), value, True)], metadata=None)
    assert secret in source.read_bytes()
    (copy,) = sanitise(source, tmp_path / "out").written
    assert secret not in copy.read_bytes()
    with tifffile.TiffFile(copy) as file:
        left = file.pages[0].tags[50431].value
    assert left.startswith(chunk[:10])
    assert left.endswith(text)
    assert len(left) == len(value)


PIXELS = np.random.default_rng(9).integers(128, 255, 4096, "u1").tobytes()
BITMAP = struct.pack("<2sIIII", b"BM", 4096 + 54, 0, 54, 40) + bytes(36) + PIXELS
GIF = b"GIF89a" + bytes(7) + PIXELS
JPEG = b"\xff\xd8\xff\xe0" + bytes(20) + b"\xff\xda" + PIXELS + b"\xff\xd9"


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (65003, (2, 0, base64.b64encode(JPEG).decode())),
        (65003, (2, 0, base64.b64encode(GIF).decode())),
        (65003, (1, 4096, PIXELS)),
        (65003, (1, 4096, bytes(byte >> 3 for byte in PIXELS))),
        (65003, (3, 2048, tuple(np.frombuffer(PIXELS, "u2").tolist()))),
        (65003, (1, len(BITMAP), BITMAP)),
        (65003, (7, len(GIF) + 20, b"preview".ljust(20) + GIF)),
        (65003, (1, len(BITMAP), (b"text " * 2000 + BITMAP)[-len(BITMAP) :])),
    ],
    ids=[
        "jpeg in words",
        "gif in words",
        "pixels",
        "dark pixels",
        "short pixels",
        "bmp",
        "gif",
        "bmp later",
    ],
)
def test_images_in_tags_of_any_kind_are_zeroed(noise, tmp_path, tag, value):
    source = tmp_path / "tag.tif"
    options = {"metadata": None, "extratags": [(tag, *value, True)]}
    tifffile.imwrite(source, noise, **options)
    secrets = [PIXELS[600:664], bytes(byte >> 3 for byte in PIXELS[600:664])]
    secrets += [base64.b64encode(form)[800:900] for form in (JPEG, GIF)]
    assert any(secret in source.read_bytes() for secret in secrets)
    (copy,) = sanitise(source, tmp_path / "out").written
    assert not any(secret in copy.read_bytes() for secret in secrets)
    with tifffile.TiffFile(copy) as file, tifffile.TiffFile(source) as before:
        assert file.pages[0].tags[tag].count == before.pages[0].tags[tag].count


@pytest.mark.parametrize(
    "text", ["Vergrößerung = 200\r\n" * 100, "倍率: 400\n" * 200, "BM of 12 and II*"]
)
def test_texts_in_tags_stay(noise, tmp_path, text):
    source = tmp_path / "tag.tif"
    raw = text.encode()
    options = {"metadata": None, "extratags": [(65003, 1, len(raw), raw, True)]}
    tifffile.imwrite(source, noise, **options)
    (copy,) = sanitise(source, tmp_path / "out").written
    assert raw in copy.read_bytes()


def test_data_that_no_directory_tells_of_is_zeroed_and_words_stay(write, noise, tmp_path):
    source = write([noise])
    words = b"[User]\r\nDate=12/18/2017\r\nUserText=of a vendor\r\n"
    with source.open("ab") as file:
        file.write(noise.tobytes() + words)
    (copy,) = sanitise(source, tmp_path / "out").written
    content = copy.read_bytes()
    assert content.endswith(words)
    assert noise[5].tobytes() not in content
    assert len(content) == len(source.read_bytes())


def test_a_stack_cut_short_is_still_shareable(write, noise, tmp_path):
    source = write([noise] * 3)
    source.write_bytes(source.read_bytes()[:-1000])
    (copy,) = sanitise(source, tmp_path / "out").written
    assert noise[5].tobytes() not in copy.read_bytes()


@pytest.mark.parametrize(
    "name", [b"bad\xff", b"\xff", "電 顕".encode(), b"a\nb", b"_1", b"x.y", b".x"]
)
@pytest.mark.parametrize("archive", [False, True])
def test_names_of_any_bytes(write, noise, tmp_path, name, *, archive):
    stem = os.fsdecode(name)
    source = write([noise], "image.tif").rename(tmp_path / f"{stem}.tif")
    (made,) = sanitise(source, tmp_path / "out", archive=archive).written
    assert made.name == f"{stem.lstrip('.')}_dataZeroed{'.tar.gz' if archive else '.tif'}"


def test_stacks_of_imagej_are_zeroed_whole(tmp_path):
    stack = np.random.default_rng(3).integers(1, 255, (5, 40, 40), "u1")
    source = tmp_path / "stack.tif"
    tifffile.imwrite(source, stack, imagej=True)
    (copy,) = sanitise(source, tmp_path / "out").written
    assert tifffile.imread(copy).shape == stack.shape
    assert not tifffile.imread(copy).any()


def test_a_copy_sanitised_again_is_the_same(write, noise, tmp_path):
    source = write([noise], compression="lzw", rowsperstrip=32)
    (once,) = sanitise(source, tmp_path / "once").written
    (twice,) = sanitise(once, tmp_path / "twice").written
    assert twice.name == once.name
    assert twice.read_bytes() == once.read_bytes()


def test_a_packing_that_cannot_be_written_leaves_nothing(write, noise, tmp_path):
    source = write([noise], compression="lzw")
    raw = source.read_bytes()
    # compression 5 becomes 6, which nobody writes any more
    entry = raw.index(b"\x03\x01\x03\x00\x01\x00\x00\x00\x05\x00")
    source.write_bytes(raw[: entry + 8] + b"\x06\x00" + raw[entry + 10 :])
    with pytest.raises(SanitiseError, match="compression 6"):
        sanitise(source, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_damaged_files_are_refused_or_copied_but_never_half(write, noise, tmp_path):
    source = write([noise, noise], compression="lzw", rowsperstrip=100)
    whole = source.read_bytes()
    out = tmp_path / "out"
    for cut in range(0, len(whole), len(whole) // 12):
        source.write_bytes(whole[:cut])
        try:
            (copy,) = sanitise(source, out).written
        except ExtractorError:
            assert not list(out.glob("*")) + list(out.glob(".*"))
        else:
            copy.unlink()


def test_a_header_named_after_the_format_is_still_found_beside_the_copy(write, noise, tmp_path):
    source = write([noise])
    (tmp_path / "image-tif.hdr").write_text("[MAIN]\nDevice=MIRA3\n\n[SEM]\nHV=5000\n")
    written = sanitise(source, tmp_path / "out").written
    assert [path.name for path in written] == ["image_dataZeroed.tif", "image_dataZeroed-tif.hdr"]
