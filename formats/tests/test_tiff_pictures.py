"""TIFF of all photometric kinds, of ImageJ, and with gaps: what is told, and what is drawn."""

from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image

from nexuslims_contracts.datasets import Axis
from nexuslims_formats import read
from nexuslims_formats.model import Signal
from nexuslims_formats.previews import render_preview

RAMP = np.linspace(20, 220, 64 * 96).reshape(64, 96).astype(np.uint8)
COLOURS = np.stack([RAMP, 255 - RAMP, np.full_like(RAMP, 40)], axis=-1)


def drawn(path):
    """Return the preview of the first dataset as an array."""
    return picture(read(path).preview())


def picture(png):
    return np.asarray(Image.open(BytesIO(png))).astype(int)


def written(path, data, **options):
    tifffile.imwrite(path, data, **options)
    return path


def test_white_is_zero_is_drawn_as_it_looks(tmp_path):
    black = written(tmp_path / "black.tif", RAMP, photometric="minisblack")
    white = written(tmp_path / "white.tif", 255 - RAMP, photometric="miniswhite")
    assert np.array_equal(drawn(white), drawn(black))


def test_bits_may_be_white_where_they_are_zero(tmp_path):
    half = np.zeros((64, 96), bool)
    half[:, 48:] = True
    white = drawn(written(tmp_path / "bits.tif", half, photometric="miniswhite"))
    assert white[:, 0].mean() > white[:, -1].mean()


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_colours_in_planes_are_one_picture(tmp_path, compression):
    whole = written(tmp_path / "whole.tif", COLOURS, photometric="rgb")
    planes = written(
        tmp_path / "planes.tif",
        np.moveaxis(COLOURS, -1, 0),
        photometric="rgb",
        planarconfig="separate",
        compression=compression,
    )
    assert read(planes).datasets[0].shape == (64, 96, 3)
    assert np.array_equal(drawn(planes), drawn(whole))


def test_pages_of_colours_are_a_sheet_of_colours(tmp_path):
    path = written(tmp_path / "pages.tif", np.stack([COLOURS] * 4), photometric="rgb")
    assert read(path).datasets[0].shape == (4, 64, 96, 3)
    sheet = drawn(path)
    assert sheet.shape[-1] == 3
    corner, opposite = sheet[20:60, 5:40].mean(axis=(0, 1)), sheet[120:160, 200:240].mean((0, 1))
    assert corner[1] > corner[0]
    assert opposite[0] > opposite[1]


def test_a_palette_gives_its_colours(tmp_path):
    red = np.zeros((3, 256), np.uint16)
    red[0] = np.arange(256) * 257
    path = written(tmp_path / "red.tif", RAMP, photometric="palette", colormap=red)
    seen = drawn(path)
    assert seen[..., 0].max() > 200
    assert seen[..., 1:].max() == 0


def test_inks_are_mixed(tmp_path):
    inks = np.zeros((64, 96, 4), np.uint8)
    inks[..., 0] = 255  # cyan takes the red
    inks[32:, :, 3] = 255  # black takes all
    seen = drawn(written(tmp_path / "inks.tif", inks, photometric="separated"))
    assert seen[5, 5].tolist() == [0, 255, 255]
    assert seen[-5, 5].tolist() == [0, 0, 0]


def test_gaps_are_black_and_cost_no_contrast():
    values = np.linspace(9990, 10010, 64 * 96, dtype=np.float32).reshape(64, 96)
    values[10:20, 10:20] = np.nan
    values[0, 0] = np.inf
    signal = Signal(
        name="map",
        dataset_type="Image",
        data_type="Image",
        shape=values.shape,
        dtype="float32",
        axes=(Axis(name="y", size=64), Axis(name="x", size=96)),
        pixels=lambda: values,
    )
    seen = picture(render_preview(signal))
    assert seen[-1, -1] > 250
    assert 100 < seen[seen.shape[0] // 2].mean() < 155
    assert seen[seen.shape[0] * 15 // 64, seen.shape[1] * 15 // 96] == 0


@pytest.mark.parametrize("unit", ["micron", "\\u00B5m", "um"])
def test_the_scale_of_imagej_is_read(tmp_path, unit):
    path = written(
        tmp_path / "fiji.tif",
        RAMP,
        resolution=(1 / 0.0123, 1 / 0.0246),
        description=f"ImageJ=1.53t\nunit={unit}\nmin=0.0\n",
        metadata=None,
    )
    (dataset,) = read(path).datasets
    y, x = dataset.axes
    assert (round(x.scale, 3), x.unit, round(y.scale, 3), y.unit) == (12.3, "nm", 24.6, "nm")
    assert dataset.metadata["pixel_width"] == {"value": pytest.approx(12.3, rel=1e-4), "unit": "nm"}


def test_the_xml_of_ome_that_cannot_be_read_is_reported(tmp_path):
    text = '<?xml version="1.0"?><OME><Image><Pixels PhysicalSizeX="0.1"'
    path = written(tmp_path / "a.ome.tif", RAMP, description=text, metadata=None)
    found = read(path)
    assert found.outcome == "partial"
    assert "of OME: the XML metadata is damaged" in found.reason


def test_imagej_may_have_another_unit_for_rows(tmp_path):
    description = "ImageJ=1.53t\nunit=nm\nyunit=micron\n"
    path = written(tmp_path / "fiji.tif", RAMP, resolution=(2, 4), description=description,
                   metadata=None)  # fmt: skip
    y, x = read(path).datasets[0].axes
    assert ((x.scale, x.unit), (y.scale, y.unit)) == ((0.5, "nm"), (250, "nm"))


@pytest.mark.parametrize("unit", ["pixel", "sec", ""])
def test_a_unit_of_imagej_that_is_no_length_is_no_scale(tmp_path, unit):
    path = written(
        tmp_path / "fiji.tif",
        RAMP,
        resolution=(2, 2),
        description=f"ImageJ=1.53t\nunit={unit}\n",
        metadata=None,
    )
    (dataset,) = read(path).datasets
    assert {axis.unit for axis in dataset.axes} == {""}


def stack_with_one_directory(path, *, claimed, there):
    frames = np.stack([np.roll(RAMP, 5 * number, axis=1) for number in range(there)])
    text = f"ImageJ=1.53t\nimages={claimed}\nslices={claimed}\nunit=nm\n"
    tifffile.imwrite(path, frames[0], description=text, metadata=None, resolution=(10, 10))
    with path.open("ab") as file:
        file.write(frames[1:].tobytes())
    return frames


def test_a_stack_with_one_directory_has_all_its_frames(tmp_path):
    path = tmp_path / "stack.tif"
    frames = stack_with_one_directory(path, claimed=20, there=20)
    reading = read(path)
    (dataset,) = reading.datasets
    assert (reading.outcome, dataset.shape) == ("extracted", (20, 64, 96))
    assert np.array_equal(reading.pixels(0), frames)
    assert dataset.axes[-1].scale == pytest.approx(0.1)


def test_a_stack_with_one_directory_that_ends_early_says_so(tmp_path):
    path = tmp_path / "stack.tif"
    stack_with_one_directory(path, claimed=20, there=7)
    reading = read(path)
    assert (reading.outcome, reading.datasets[0].shape) == ("partial", (7, 64, 96))
    assert "7 of its 20 frames" in reading.reason


@pytest.mark.parametrize(
    ("unit", "size"), [("nm", 12.3), ("µm", 0.0123), ("Å", 123.0), (None, 0.0123)]
)
def test_the_scale_of_ome_is_read(tmp_path, unit, size):
    path = tmp_path / "cell.ome.tif"
    metadata = {"axes": "ZYX", "PhysicalSizeX": size, "PhysicalSizeY": 2 * size}
    if unit:
        metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(path, np.stack([RAMP] * 3), ome=True, metadata=metadata)
    (dataset,) = read(path).datasets
    _, y, x = dataset.axes
    assert dataset.shape == (3, 64, 96)
    assert (round(x.scale, 6), x.unit, round(y.scale, 6), y.unit) == (12.3, "nm", 24.6, "nm")


def test_a_stack_of_five_thousand_pages_has_them_all(tmp_path):
    path = tmp_path / "long.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in range(5000):
            writer.write(np.full((2, 3), page % 250, np.uint8), metadata=None)
    (dataset,) = read(path).datasets
    assert dataset.shape == (5000, 2, 3)


BANDS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def bands(values, kind):
    return np.repeat(np.array(values, kind), 16, axis=0)[:, np.newaxis].repeat(64, axis=1)


@pytest.mark.parametrize(
    ("values", "kind", "photometric"),
    [
        (((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)), "f4", "rgb"),
        (((500.0, 0, 0), (0, 500.0, 0), (0, np.nan, 500.0)), "f4", "rgb"),
        (((138, 81, 70), (224, 177, 81), (75, 68, 144)), "u1", "cielab"),
        (((76, 85, 255), (150, 44, 21), (29, 255, 107)), "u1", "ycbcr"),
    ],
)
def test_colours_of_every_kind_are_seen(tmp_path, values, kind, photometric):
    options = {"subsampling": (1, 1)} if photometric == "ycbcr" else {}
    path = written(
        tmp_path / "a.tif", bands(values, kind), photometric=photometric, metadata=None, **options
    )
    (signal,) = read(path).signals
    seen = picture(render_preview(signal))
    for number, wanted in enumerate(BANDS):
        row = seen[(2 * number + 1) * seen.shape[0] // 6, seen.shape[1] // 2]
        assert np.abs(row - wanted).max() < 30  # a byte of L*a*b* is coarse
