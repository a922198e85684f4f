"""Sound files that nobody reads: unsupported, never damaged and never extracted."""

import h5py
import numpy as np
import pytest

from nexuslims_formats import read


@pytest.mark.parametrize("name", ["patterns.h5", "a.hdf5", "a.emd", "a.hspy", "odd.xyz"])
def test_hdf5_of_a_layout_that_is_not_known(tmp_path, name):
    with h5py.File(tmp_path / name, "w") as file:
        file["Scan 1/EBSD/Data/Pattern"] = np.zeros((4, 6, 6), "uint8")
    found = read(tmp_path / name)
    assert (found.outcome, found.failure) == ("unsupported", "unsupported")
    assert "layout that no reader knows" in found.reason
    (dataset,) = found.datasets
    assert dataset.dataset_type == "Unknown"


def test_hdf5_that_is_cut_is_damaged(tmp_path):
    path = tmp_path / "cut.h5"
    with h5py.File(path, "w") as file:
        file["Experiments/one/data"] = np.zeros(10_000)
    path.write_bytes(path.read_bytes()[:5000])
    found = read(path)
    assert (found.outcome, found.datasets) == ("failed", ())
    assert "damaged" in found.reason


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.xyz", bytes(range(256)), "no reader knows this kind of file"),
        ("renamed.dm4", bytes(range(256)), "named .dm4, but the content is of no kind"),
        ("._image.dm4", b"\0\5\x16\7" + bytes(100), "a shadow file of macOS"),
    ],
)
def test_what_is_no_format_of_ours(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    found = read(tmp_path / name)
    assert (found.outcome, found.datasets[0].dataset_type) == ("unsupported", "Unknown")
    assert words in found.reason
