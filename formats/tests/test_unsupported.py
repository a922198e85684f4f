"""Sound files that nobody reads: unsupported, never damaged and never extracted."""

import struct

import h5py
import numpy as np
import pytest

from nexuslims_formats import read

MRCZ = struct.pack("<4i", 4, 3, 2, 100_002).ljust(208, b"\0") + b"MAP " + bytes(2000)


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
        ("eels.nc", b"CDF\1" + bytes(100), "a netCDF file, which no reader takes"),
        ("volume.mrcz", MRCZ, "an MRCZ file, whose values are compressed"),
        ("renamed.dm4", bytes(range(256)), "named .dm4, but the content is of no kind"),
        ("._image.dm4", b"\0\5\x16\7" + bytes(100), "a shadow file of macOS"),
    ],
)
def test_what_is_no_format_of_ours(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    found = read(tmp_path / name)
    assert (found.outcome, found.datasets[0].dataset_type) == ("unsupported", "Unknown")
    assert words in found.reason


def test_an_array_of_numpy_has_a_shape_and_a_type(tmp_path):
    path = tmp_path / "values.npy"
    np.save(path, np.zeros((3, 4, 5), "f4"))
    found = read(path)
    (dataset,) = found.datasets
    assert (found.outcome, dataset.dataset_type) == ("extracted", "Misc")
    assert (dataset.shape, dataset.dtype) == ((3, 4, 5), "float32")
    path.write_bytes(path.read_bytes()[:-1])
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == ("partial", (3, 4, 5))
    assert "the values end at byte 368, but the file at 367" in found.reason


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@pytest.mark.parametrize(
    "values", [np.array([{}]), np.zeros(2, [("a", "f4")]), np.zeros(2, [("高", "f4")])]
)
def test_what_numpy_pickled_is_never_loaded(tmp_path, values):
    np.save(tmp_path / "values.npy", values)
    found = read(tmp_path / "values.npy")
    assert (found.outcome, "records" in found.reason) == ("unsupported", True)


def test_an_array_of_numpy_without_its_header_is_damaged(tmp_path):
    (tmp_path / "values.npy").write_bytes(b"\x93NUMPY\1\0\x76\0{'descr'")
    found = read(tmp_path / "values.npy")
    assert (found.outcome, "its header cannot be read" in found.reason) == ("failed", True)
