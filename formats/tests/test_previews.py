import math
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import ExtractorError
from nexuslims_formats.model import Signal
from nexuslims_formats.previews import render_preview
from nexuslims_formats.previews.draw import axis_label, font, nice
from nexuslims_formats.previews.pixels import SAMPLES, grey, pixel_aspect, strides_within
from nexuslims_formats.previews.render import frames_to_draw
from nexuslims_formats.tiff.rasters import PREVIEW_PAGES


def signal(pixels, kind="Image", unit="", navigate=(), scale=1.0):
    axes = tuple(
        Axis(name="y", size=size, scale=scale, unit=unit, navigate=index in navigate)
        for index, size in enumerate(pixels.shape)
    )
    return Signal(
        name="s", dataset_type=kind, data_type=kind, axes=axes, shape=pixels.shape,
        pixels=lambda: pixels,
    )  # fmt: skip


def drawn(*args, **kwargs):
    return Image.open(BytesIO(render_preview(signal(*args, **kwargs))))


def ramp(rows, columns):
    return np.linspace(0, 1, rows * columns, dtype=np.float32).reshape(rows, columns)


def test_a_ramp_is_shown_as_a_ramp_with_its_aspect_ratio():
    picture = drawn(ramp(100, 200))
    assert picture.size == (500, 250)
    values = np.asarray(picture, float)
    expected = np.asarray(
        Image.fromarray(ramp(100, 200)).resize((500, 250), Image.Resampling.NEAREST)
    )
    assert np.abs(values / 255 - expected).max() < 0.02


def test_hot_pixels_do_not_darken_the_rest():
    pixels = ramp(100, 100)
    pixels[3, 3] = 1e9
    assert np.asarray(drawn(pixels)).mean() == pytest.approx(127, abs=10)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e30])
def test_constant_and_undefined_images_are_drawn(value):
    assert drawn(np.full((8, 8), value)).size == (500, 500)


def test_a_spectrum_image_of_four_channels_is_no_photograph():
    pixels = np.zeros((40, 50, 4), "u2")
    pixels[..., 2] = 100
    assert drawn(pixels, "SpectrumImage", navigate=(0, 1)).size == (500, 500)
    assert drawn(pixels, "Image").size == (500, 400)


def test_a_structure_of_colours_is_a_photograph():
    pixels = np.zeros((40, 50), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    pixels["G"] = 200
    assert np.asarray(drawn(pixels))[5, 5].tolist() == [0, 200, 0]


@given(st.integers(1, 3000))
def test_frames_are_called_as_in_the_file(pages):
    """A stack of many pages is opened as a few of them."""
    opened = list(range(pages))[:: max(1, math.ceil(pages / PREVIEW_PAGES))]
    drawn = frames_to_draw(len(opened), pages)
    assert [number for _, number in drawn] == [opened[place] + 1 for place, _ in drawn]


def test_a_scale_bar_needs_a_calibration():
    plain = np.asarray(drawn(np.zeros((64, 64))))
    marked = np.asarray(drawn(np.zeros((64, 64)), unit="nm"))
    assert plain.max() == 0
    assert (marked == 255).sum() > 100


def test_pixels_that_are_not_square_are_shown_in_their_proportion():
    axes = (Axis(name="y", size=50, scale=2.0, unit="nm"), Axis(name="x", size=50, unit="nm"))
    tall = Signal(
        name="s", dataset_type="Image", data_type="Image", axes=axes, shape=(50, 50),
        pixels=lambda: ramp(50, 50),
    )  # fmt: skip
    picture = Image.open(BytesIO(render_preview(tall)))
    assert picture.size == (230, 500)  # with the scale bar below


@pytest.mark.parametrize(("rows", "columns", "expected"), [("nm", "um", 1.0), ("", "", 1.0)])
def test_axes_of_different_units_tell_no_proportion(rows, columns, expected):
    axes = Axis(size=9, scale=3.0, unit=rows), Axis(size=9, unit=columns)
    assert pixel_aspect(*axes) == expected


@pytest.mark.parametrize("letter", ["µ", "Å", "ß", "Δ", "λ", "°", "電", "顕"])
def test_the_font_has_the_letters_of_the_field(letter):
    def drawn_as(text):
        return font(20).getmask(text).getbbox(), bytes(font(20).getmask(text))

    nothing = drawn_as("\U000fffff")  # what the font draws for a letter that it does not have
    assert drawn_as(letter) not in (nothing, drawn_as("u"), drawn_as("A"))


def test_micrometres_are_written_with_a_micro_sign():
    assert axis_label(Axis(name="x", size=9, unit="um")) == "Position (µm)"


@pytest.mark.parametrize("name", ["", "x", "Energy"])
def test_what_is_measured_in_electronvolts_is_an_energy(name):
    assert axis_label(Axis(name=name, size=9, unit="keV")) == "Energy (keV)"


def test_a_scale_bar_covers_nothing_of_the_image():
    """The lowest rows may be a vendor's strip of words."""
    marked = np.asarray(drawn(ramp(64, 64), unit="nm"))
    plain = np.asarray(grey(ramp(64, 64), height=459))
    assert marked.shape == (500, 459)
    assert np.array_equal(marked[:459], plain)
    assert (marked[459:] == 255).any()


@pytest.mark.parametrize(("extent", "bar"), [(123.0, 100.0), (0.07, 0.05), (2.0, 2.0), (9.9, 5.0)])
def test_bars_have_round_lengths(extent, bar):
    assert nice(extent) == pytest.approx(bar)


def test_diffraction_is_logarithmic():
    pixels = np.ones((50, 50), np.float32)
    pixels[:25] = 1000.0
    pixels[:5] = 1000000.0
    linear, logarithmic = (np.asarray(drawn(pixels, kind=k)) for k in ("Image", "Diffraction"))
    assert linear[100, 250] < 10
    assert 100 < logarithmic[100, 250] < 200


def test_a_spectrum_is_a_line_on_white_with_labels():
    counts = np.exp(-(((np.arange(200) - 50) / 9.0) ** 2))
    picture = np.asarray(drawn(counts, kind="Spectrum", unit="eV").convert("L"), float)
    assert picture.shape == (500, 500)
    assert np.median(picture) == 255
    peak = np.argmin(picture[20:60, 70:480].min(axis=0)) + 70
    assert peak == pytest.approx(62 + 50 / 199 * (486 - 62), abs=6)


def test_a_spectrum_image_shows_map_and_spectrum():
    cube = np.zeros((20, 30, 64), np.uint16)
    cube[5:10, 5:10, 32] = 100
    picture = np.asarray(drawn(cube, "SpectrumImage", "eV", navigate=(0, 1)).convert("L"))
    assert picture[:250].max() == 255
    assert (picture[260:480, 70:480] < 200).any()


def test_a_stack_is_a_contact_sheet():
    stack = np.stack([np.full((10, 10), n, np.float32) + ramp(10, 10) for n in range(20)])
    assert drawn(stack, navigate=(0,)).size == (498, 498)


def test_a_scan_of_patterns_shows_both_spaces():
    scan = np.random.default_rng(0).poisson(3, (6, 5, 16, 16)).astype(np.uint16)
    assert drawn(scan, "Diffraction", navigate=(0, 1)).size == (500, 254)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_stay_colours(dtype):
    pixels = np.zeros((20, 20, 3), dtype)
    pixels[..., 0] = np.iinfo(dtype).max
    assert np.asarray(drawn(pixels))[250, 250].tolist() == [255, 0, 0]


def test_text_is_drawn_as_text():
    text = Signal(name="t", dataset_type="Misc", data_type="Text", text="first line\nsecond\x00")
    picture = np.asarray(Image.open(BytesIO(render_preview(text))).convert("L"))
    assert picture.shape == (500, 500)
    assert (picture[:60] < 100).sum() > 50
    assert (picture[80:] < 100).sum() == 0


def test_the_same_data_give_the_same_bytes():
    pixels = np.random.default_rng(1).normal(size=(300, 200)).astype(np.float32)
    assert render_preview(signal(pixels, unit="nm")) == render_preview(signal(pixels, unit="nm"))


def test_no_values_are_refused():
    with pytest.raises(ExtractorError, match="no values"):
        render_preview(signal(np.zeros((0, 5))))


@pytest.mark.parametrize("shape", [(1 << 20, 1 << 20), (70000, 300, 300), (3,)])
def test_reading_is_bounded(shape):
    steps = strides_within(shape)
    read = 1
    for size, step in zip(shape, steps, strict=True):
        read *= len(range(*step.indices(size)))
    assert 0 < read <= SAMPLES
