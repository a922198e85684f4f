"""Readings as a notebook shows them, and as tables."""

import base64
import re
import sys

import numpy as np
import pytest

import nexuslims_formats
from nexuslims_formats import read
from nexuslims_formats.errors import MissingLibraryError

HOSTILE = "<script>alert(1)</script>\x1b[2J"


@pytest.fixture
def image(tmp_path, dm_file):
    """A DM3 file of 3 x 4 pixels at 200 kV, whose name is code."""
    data = {
        "Data": np.arange(12, dtype="<f4").tobytes(),
        "DataType": (5, 2),
        "Dimensions": {"a": (5, 4), "b": (5, 3)},
    }
    tags = {"Microscope Info": {"Voltage": (7, 200000.0), "Name": HOSTILE}}
    path = tmp_path / "<i>&.dm3"
    tree = {"ImageList": {"a": {"ImageData": data, "ImageTags": tags, "Name": HOSTILE}}}
    path.write_bytes(dm_file(3).bytes(tree))
    return path


def test_a_notebook_shows_a_table_and_a_picture(image):
    html = read(image)._repr_html_()
    assert "acceleration_voltage (kV)" in html
    assert "4 x 3" in html
    (picture,) = re.findall(r"base64,([^\"]+)", html)
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_nothing_in_a_file_becomes_markup(image):
    html = read(image)._repr_html_()
    assert "&lt;script&gt;" in html
    assert "&lt;i&gt;&amp;.dm3" in html
    assert "<script" not in html
    assert "<i>" not in html
    assert "\x1b" not in html


def test_what_is_wrong_is_part_of_it(tmp_path):
    (tmp_path / "<i>.dm3").write_bytes(b"")
    html = read(tmp_path / "<i>.dm3")._repr_html_()
    assert "failed" in html
    assert "the file is empty" in html
    assert "<i>" not in html


def test_a_picture_that_cannot_be_drawn_leaves_the_table(image):
    found = read(image)
    image.unlink()
    html = found._repr_html_()
    assert "No preview: " in html
    assert "acceleration_voltage (kV)" in html


def test_datasets_make_a_table(image):
    table = read(image).to_pandas()
    assert table["acceleration_voltage (kV)"].tolist() == [200.0]
    assert table["shape"].tolist() == ["4 x 3"]


def test_a_file_that_cannot_be_read_makes_an_empty_table(tmp_path):
    assert len(read(tmp_path / "gone.dm3").to_pandas()) == 0


def test_without_pandas_the_remedy_is_named(image, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingLibraryError, match=r"nexuslims-formats\[pandas\]"):
        read(image).to_pandas()


def test_the_incumbents_name_is_known():
    assert nexuslims_formats.get_full_meta is nexuslims_formats.read
