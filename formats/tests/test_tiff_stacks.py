"""Stacks in TIFF files along depth, time and channels, and files of several images."""

from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image

from nexuslims_formats import read

PAGES = np.arange(2 * 2 * 2 * 8 * 10, dtype=np.uint16).reshape(2, 2, 2, 8, 10)
"""Times, depths, channels, rows, columns."""


def only(path):
    found = read(path)
    assert found.outcome == "extracted", found.reason
    (dataset,) = found.datasets
    return found, dataset


def axes_of(dataset):
    return [(axis.name, axis.size, axis.scale, axis.unit, axis.navigate) for axis in dataset.axes]


PLACES = [("time", 2, 1.5, "s", True), ("z", 2, 40.0, "nm", True), ("c", 2, 1.0, "", True)]


def test_a_hyperstack_of_imagej_has_its_axes(tmp_path):
    path = tmp_path / "hyper.tif"
    metadata = {"axes": "TZCYX", "spacing": 40, "unit": "nm", "finterval": 1.5}
    tifffile.imwrite(path, PAGES, imagej=True, metadata=metadata, resolution=(2, 2))
    found, dataset = only(path)
    assert dataset.shape == (2, 2, 2, 8, 10)
    assert axes_of(dataset) == [
        *PLACES, ("y", 8, 0.5, "nm", False), ("x", 10, 0.5, "nm", False),
    ]  # fmt: skip
    assert np.array_equal(found.pixels(), PAGES)
    sheet = np.asarray(Image.open(BytesIO(found.preview())))
    assert sheet.shape[0] == sheet.shape[1]  # nine of the pages, not a scan of patterns


@pytest.mark.parametrize("order", ["TZCYX", "CTZYX", "ZCTYX"])
def test_pages_of_ome_are_in_the_order_of_its_dimensions(tmp_path, order):
    path = tmp_path / "cell.ome.tif"
    places = ["TZC".index(letter) for letter in order[:3]]
    metadata = {
        "axes": order, "PhysicalSizeZ": 40, "PhysicalSizeZUnit": "nm", "TimeIncrement": 1.5,
    }  # fmt: skip
    data = PAGES.transpose(*places, 3, 4)
    tifffile.imwrite(path, data, ome=True, photometric="minisblack", metadata=metadata)
    found, dataset = only(path)
    assert axes_of(dataset)[:3] == [PLACES[place] for place in places]
    assert np.array_equal(found.pixels(), data)


def test_pages_of_ome_that_lie_in_no_such_order_are_only_counted(tmp_path):
    path = tmp_path / "cell.ome.tif"
    planes = "".join(
        f'<TiffData IFD="{page}" FirstZ="{page % 2}" FirstT="{page // 2}" PlaneCount="1"/>'
        for page in range(4)
    )
    text = (
        '<OME><Image ID="0"><Pixels DimensionOrder="XYTZC" SizeX="10" SizeY="8" SizeZ="2"'
        f' SizeT="2" SizeC="1" Type="uint16">{planes}</Pixels></Image></OME>'
    )
    pages = PAGES.reshape(-1, 8, 10)[:4]
    tifffile.imwrite(path, pages, photometric="minisblack", description=text, metadata=None)
    _, dataset = only(path)
    assert axes_of(dataset)[0] == ("page", 4, 1.0, "", True)


def test_each_image_of_ome_is_a_dataset_with_its_own_scale(tmp_path):
    path = tmp_path / "detectors.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for name, size, data in (("SE", 2.0, PAGES[0, 0, 0]), ("BSE", 3.0, PAGES[0, 0])):
            metadata = {
                "Name": name, "axes": "ZYX"[-data.ndim :],
                "PhysicalSizeX": size, "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": size, "PhysicalSizeYUnit": "nm",
            }  # fmt: skip
            writer.write(data, photometric="minisblack", metadata=metadata)
    found = read(path)
    assert found.outcome == "extracted", found.reason
    assert [(one.name, one.shape, one.axes[-1].scale) for one in found.datasets] == [
        ("SE", (8, 10), 2.0), ("BSE", (2, 8, 10), 3.0),
    ]  # fmt: skip
    assert np.array_equal(found.pixels(1), PAGES[0, 0])


def test_an_array_that_tifffile_wrote_whole_has_its_shape(tmp_path):
    path = tmp_path / "array.tif"
    tifffile.imwrite(path, PAGES[0], photometric="minisblack", metadata={"axes": "ZCYX"})
    found, dataset = only(path)
    assert axes_of(dataset)[:2] == [("z", 2, 1.0, "", True), ("c", 2, 1.0, "", True)]
    assert np.array_equal(found.pixels(), PAGES[0])


def test_counts_that_are_not_those_of_the_pages_are_not_taken(tmp_path):
    path = tmp_path / "stack.tif"
    text = "ImageJ=1.53t\nimages=6\nslices=3\nchannels=4\nhyperstack=true\n"
    pages = PAGES.reshape(-1, 8, 10)[:6]
    tifffile.imwrite(path, pages, photometric="minisblack", description=text, metadata=None)
    _, dataset = only(path)
    assert axes_of(dataset)[0] == ("page", 6, 1.0, "", True)


@pytest.mark.parametrize("distances", [("5.1", "5.1"), ("5.1", "5.2")])
def test_slices_of_zeiss_with_parameters_of_their_own_are_named(tmp_path, distances):
    path = tmp_path / "slices.tif"
    with tifffile.TiffWriter(path) as writer:
        for distance in distances:
            text = f"AP_WD\r\nWD = {distance} mm\r\nAP_MAG\r\nMag = 1000 X\r\n".encode()
            tag = (34118, "s", 0, text, True)
            writer.write(PAGES[0, 0, 0], extratags=[tag], metadata=None)
    _, dataset = only(path)
    assert dataset.metadata["working_distance"] == {"value": 5.1, "unit": "mm"}
    named = [words for words in dataset.warnings if "parameters of their own" in words]
    assert bool(named) == (len(set(distances)) > 1)
