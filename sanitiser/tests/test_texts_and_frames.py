"""Sanitised spectra of Bruker, maps of orientations, frames of Merlin, bitmaps."""

import re

import numpy as np
import pytest
from formats.tests import desktops
from formats.tests.samples import SAMPLES
from PIL import Image

from nexuslims_formats import read
from nexuslims_formats.errors import ExtractorError
from nexuslims_sanitiser.check import extraction_of
from nexuslims_sanitiser.frames import _MERLIN_HEAD
from nexuslims_sanitiser.job import sanitise
from nexuslims_sanitiser.plan import SanitiseError

NOISE = np.random.default_rng(7).integers(32, 127, 4000, dtype="u1").tobytes()
"""An image whose grey levels can be printed."""


def bitmap(folder, mode="L"):
    path = folder / "image.bmp"
    pixels = np.random.default_rng(3).integers(0, 255, (24, 32), dtype="u1")
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def described_bitmap(folder):
    path = bitmap(folder)
    text = "$CM_FORMAT JEOL-SEM\n$CM_INSTRUMENT JSM-7600F\n$CM_ACCEL_VOLT 15.00\n$CM_MAG 20000\n"
    path.with_suffix(".txt").write_text(text)
    return path


def merlin(folder, kind="U16"):
    hdr = (
        "Time and Date Stamp (day, mnth, yr, hr, min, s):\t01/06/2021 14:00:01\nHumidity (%):\t0 \n"
    )
    return desktops.merlin(folder, kind=kind, hdr=hdr)


MADE = {
    "spx": SAMPLES["bruker_spx"],
    "ang": SAMPLES["ebsd_ang"],
    "ctf": SAMPLES["ebsd_ctf"],
    "mib": merlin,
    "raw.mib": lambda folder: merlin(folder, "R64"),
    "bmp": bitmap,
    "bmp with a text": described_bitmap,
    "rgb.bmp": lambda folder: bitmap(folder, "RGB"),
    "1.bmp": lambda folder: bitmap(folder, "1"),
}


@pytest.mark.parametrize("kind", MADE)
def test_the_data_go_and_all_that_is_told_stays(tmp_path, kind):
    source = MADE[kind](tmp_path)
    original = read(source)
    done = sanitise(source, tmp_path / "out")
    copy = next(path for path in done.written if path.suffix == source.suffix)
    assert copy.stat().st_size == source.stat().st_size
    zeroed = read(copy)
    assert (zeroed.outcome, zeroed.datasets[0].shape, zeroed.datasets[0].metadata) == (
        original.outcome,
        original.datasets[0].shape,
        original.datasets[0].metadata,
    )
    if (pixels := zeroed.pixels()) is not None:
        assert original.pixels().any()
        assert not np.nan_to_num(np.asarray(pixels)).any()
    # once more, there is nothing left to do
    again = sanitise(copy, tmp_path / "again")
    assert again.written[0].read_bytes() == done.written[0].read_bytes()
    assert extraction_of(source).keys() == extraction_of(copy).keys()


def test_a_quad_chip_has_a_head_of_more_than_a_hundred_fields():
    head = b"MQ1,000001,00768,04,0256,0256,U16,   2x2,0F,2021-05-07 18:51:10.905800,0.1,"
    head += b"4.000000E+1," * 8 + b"3RX," + b"511," * 120 + b"MQ1A,2021-05-07T16:51:10Z,1ns,12,"
    assert _MERLIN_HEAD.fullmatch(head.ljust(768, b"\0"))


def hidden(source, content, place):
    whole = source.read_bytes()
    at = {"front": 0, "middle": len(whole) // 2, "end": len(whole)}.get(place, place)
    source.write_bytes(whole[:at] + content + whole[at:])


@pytest.mark.parametrize("place", ["middle", "end", 300])
@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("form", ["8 bits", "16 bits", "float", "base64", "digits", "lines"])
def test_no_hidden_image_is_left(tmp_path, kind, form, place):
    """It goes, or the file is refused: what stays is what reads as metadata."""
    noise = np.random.default_rng(5).integers(0, 255, 4000)
    content = {
        "8 bits": noise.astype("u1").tobytes(),
        "16 bits": (noise * 250).astype("<u2").tobytes(),
        "float": noise.astype("<f4").tobytes(),
        "base64": b"QUJD" * 50 + NOISE.translate(bytes.maketrans(b"/ <>&\"'\\", b"abcdefgh")),
        "digits": b" ".join(b"%d" % one for one in noise),
        "lines": b"\n".join(NOISE[at : at + 60] for at in range(0, 4000, 60)),
    }[form]
    source = MADE[kind](tmp_path)
    hidden(source, content, place)
    try:
        done = sanitise(source, tmp_path / "out")
    except ExtractorError:
        assert not list((tmp_path / "out").glob("*"))
        return
    kept = b"".join(path.read_bytes() for path in done.written)
    runs = [content[at : at + 64] for at in range(0, len(content) - 64, 64)]
    left = [run for run in runs if run in kept and re.search(rb"[1-9A-Za-z\x80-\xff]", run)]
    assert not left, f"{len(left)} of {len(runs)} runs"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.bcf", b"AAMVHFSS" + bytes(600), "nothing can be zeroed"),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(600), "save it as TIFF"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(600), "save it as TIFF"),
        ("a.map.gz", b"\x1f\x8b" + bytes(600), "unpack it"),
        ("a.up1", bytes(range(1, 200)), "next to no metadata"),
    ],
)
def test_what_is_refused_says_why(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SanitiseError, match=reason):
        sanitise(tmp_path / name, tmp_path / "out")
