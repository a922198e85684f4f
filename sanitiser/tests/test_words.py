"""What is kept outside of a TIFF's directories is metadata that can be parsed, and no image."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_sanitiser.job import sanitise
from nexuslims_sanitiser.words import words

INI = b"[User]\r\nDate=12/18/2017\r\nUserText=of a vendor\r\n\r\n[Beam]\r\nHV=30000\r\n"
XML = b'<?xml version="1.0"?>\n<Root><Label>Defocus</Label><Value>1 &#181;m</Value></Root>'
JSON = b'{"image": {"beam_type": "ELECTRON", "dwell_time": 1e-06}}'


def kept(content):
    return b"".join(content[span.offset : span.end] for span in words(content))


@pytest.mark.parametrize("text", [INI, INI.replace(b"\n", b""), XML, JSON, XML.partition(b"\n")[2]])
def test_a_text_that_can_be_parsed_is_kept_and_nothing_else(text):
    noise = bytes(range(200, 256)) * 4
    assert kept(noise + text + b"\0" + noise) == text


@pytest.mark.parametrize("start", [b"[User]\n", b"<ab>", b'{"x', b"<?xml version='1.0'?><a>"])
@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.uint16, np.float32]))
def test_pixels_behind_what_starts_a_text_are_no_text(start, seed, dtype):
    """Grey levels from 34 to 124 can be printed, and so are no proof of words."""
    noise = np.random.default_rng(seed)
    smooth = np.clip(np.cumsum(noise.normal(0, 2, (64, 80)), axis=1) + 79, 34, 124)
    pixels = (smooth if dtype is np.uint8 else smooth * 100).astype(dtype).tobytes()
    assert len(kept(start + pixels)) < len(start) + len(pixels) // 10


def test_a_page_that_no_directory_names_is_zeroed(tmp_path):
    rows = np.linspace(34, 124, 240 * 320).reshape(240, 320).astype(np.uint8)
    rows[3, :4] = np.frombuffer(b"<ab>", np.uint8)
    path = tmp_path / "unlinked.tif"
    tifffile.imwrite(path, np.stack([rows, rows]), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as file:
        place = file.pages.first.offset + 2 + 12 * len(file.pages.first.tags)
    content = bytearray(path.read_bytes())
    content[place : place + 4] = bytes(4)  # the first directory is the last one
    path.write_bytes(content)
    (copy,) = sanitise(path, tmp_path / "out").written
    assert sum(byte != 0 for byte in copy.read_bytes()) < 2000


def test_the_frames_behind_the_only_directory_of_imagej_are_zeroed(tmp_path):
    path = tmp_path / "stack.tif"
    frames = np.random.default_rng(1).integers(34, 124, (20, 64, 96), np.uint8)
    text = "ImageJ=1.53t\nimages=20\nslices=20\n"
    tifffile.imwrite(path, frames[0], description=text, metadata=None)
    with path.open("ab") as file:
        file.write(frames[1:].tobytes())
    (copy,) = sanitise(path, tmp_path / "out").written
    assert sum(byte != 0 for byte in copy.read_bytes()) < 1000
