"""Patterns among TIA's series: of a scan with a camera, and of series without their .emi."""

import struct

import numpy as np
import pytest

from nexuslims_formats import read

EMI = (
    "<ObjectInfo><AcquireDate>Tue Nov 13 12:49:32 2018</AcquireDate><ExperimentalDescription><Root>"
    "<Data><Label>Mode</Label><Value>{mode}</Value></Data>"
    "<Data><Label>Magnification</Label><Value>20000</Value></Data>"
    "</Root></ExperimentalDescription></ObjectInfo>"
)


def series(path, step, *, scan=(3, 2), rows=4, columns=5):
    """Write a scan of images with a step of their pixels."""
    count = int(np.prod(scan))
    image = struct.pack("<ddIddIHII", 0, step, 0, 0, step, 0, 2, columns, rows)
    image += np.zeros(rows * columns, "<u2").tobytes()
    head = b"II\x97\x01" + struct.pack("<HIIII", 0x210, 0x4122, 0x4142, count, count)
    axes = b"".join(
        struct.pack("<IddII4sI6s", size, 0.0, 2e-9, 0, 4, b"Scan", 6, b"meters") for size in scan
    )
    table = len(head) + 8 + len(axes)
    first = table + 8 * count
    tags = first + count * len(image)
    places = [first + index * len(image) for index in range(count)]
    places += [tags + index * 24 for index in range(count)]
    stamps = b"".join(
        struct.pack("<HHIdd", 0x4142, 0, 1542131372, index % scan[0] * 2e-9, index // scan[0])
        for index in range(count)
    )
    path.write_bytes(
        head + struct.pack("<II", table, len(scan)) + axes + struct.pack(f"<{2 * count}I", *places)
        + image * count + stamps
    )  # fmt: skip
    return path


@pytest.mark.parametrize("mode", ["STEM nP SA Zoom Diffraction", None])
@pytest.mark.parametrize(
    ("step", "kind", "axis"),
    [(1.7435e8, "Diffraction", (0.17435, "1/nm")), (2e-9, "Image", (2.0, "nm"))],
)
def test_a_step_of_more_than_a_metre_is_that_of_a_pattern(tmp_path, mode, step, kind, axis):
    path = series(tmp_path / "scan_1.ser", step)
    if mode:
        (tmp_path / "scan.emi").write_text(EMI.format(mode=mode))
    found = read(path)
    assert found.outcome == "extracted", found.reason
    (dataset,) = found.datasets
    assert (dataset.dataset_type, dataset.shape) == (kind, (2, 3, 4, 5))
    assert (dataset.axes[-1].scale, dataset.axes[-1].unit) == (pytest.approx(axis[0]), axis[1])
    assert dataset.data_type.startswith("STEM" if mode else "TEM")
    assert (dataset.axes[0].scale, dataset.axes[0].unit) == (pytest.approx(2.0), "nm")


@pytest.mark.parametrize(("place", "outcome"), [(4, "extracted"), (0x7FFF0000, "partial")])
def test_tags_that_are_not_where_the_header_says_cost_times_and_places_only(
    tmp_path, place, outcome
):
    path = series(tmp_path / "five_1.ser", 2e-9, scan=(5,))
    content = bytearray(path.read_bytes())
    (table,) = struct.unpack_from("<I", content, 22)
    struct.pack_into("<5I", content, table + 20, *[place] * 5)
    path.write_bytes(bytes(content))
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == (outcome, (5, 4, 5))
    words = " ".join((found.reason or "", *found.datasets[0].warnings))
    assert "times and places" in words
    assert "file modification time" in found.datasets[0].extensions["creation_time_source"]
