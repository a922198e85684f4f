"""Berkeley's EMD files as programs write them: without a version, an axis, or with odd texts."""

import h5py
import numpy as np
import pytest

from nexuslims_formats import read

VALUES = np.arange(24, dtype="float32").reshape(2, 3, 4)


def written(path, axes, *, values=VALUES, version=True, place="data/one"):
    """Write an array with its axes: ``(name, units, values)``, or None for one that is left out."""
    with h5py.File(path, "w") as file:
        if version:
            file.attrs.update(version_major=0, version_minor=2)
        group = file.create_group(place)
        group.attrs["emd_group_type"] = 1
        group["data"] = values
        for number, axis in enumerate(axes, 1):
            if axis is not None:
                name, units, steps = axis
                group[f"dim{number}"] = steps
                group[f"dim{number}"].attrs.update(name=name, units=units)
        file.create_group("microscope").attrs["name"] = np.bytes_("TEAM")
    return path


def only(path):
    found = read(path)
    assert found.outcome == "extracted", found.reason
    (dataset,) = found.datasets
    return found, dataset


Y, X = ("y", "[n_m]", np.arange(3) * 0.5), ("x", "[n_m]", np.arange(4) * 0.25)


@pytest.mark.parametrize("ending", ["emd", "h5"])
@pytest.mark.parametrize(
    ("units", "unit"), [("[n_m]", "nm"), ("[n_m^-1]", "1/nm"), ("[]", ""), ("[rad]", "rad")]
)
def test_texts_may_be_arrays_and_the_version_may_be_absent(tmp_path, ending, units, unit):
    first = (np.array(["tilt"], dtype=object), np.array([units], dtype="S"), np.arange(2) * 3.0)
    found, dataset = only(written(tmp_path / f"a.{ending}", (first, Y, X), version=False))
    assert (dataset.name, dataset.shape, dataset.dtype) == ("one", (2, 3, 4), "float32")
    assert [(axis.name, axis.scale, axis.unit) for axis in dataset.axes] == [
        ("tilt", 3.0, unit), ("y", 0.5, "nm"), ("x", 0.25, "nm"),
    ]  # fmt: skip
    assert dataset.metadata["microscope"] == "TEAM"
    assert np.array_equal(found.pixels(), VALUES)


def test_axes_may_be_absent_or_names(tmp_path):
    names = ("detector", "", np.array([b"BF", b"DF"]))
    _, dataset = only(written(tmp_path / "a.emd", (names, None, X)))
    assert [(axis.name, axis.scale, axis.unit) for axis in dataset.axes] == [
        ("detector", 1.0, ""), ("", 1.0, ""), ("x", 0.25, "nm"),
    ]  # fmt: skip


def test_an_uneven_axis_is_named(tmp_path):
    uneven = ("tilt", "[deg]", np.array([0.0, 1.0, 5.0]))
    _, dataset = only(written(tmp_path / "a.emd", (uneven, X), values=VALUES[0]))
    assert (dataset.axes[0].scale, dataset.axes[0].unit) == (1.0, "")
    assert any("the axis tilt, 0 to 5" in words for words in dataset.warnings)


def test_columns_before_rows_are_turned(tmp_path):
    found, dataset = only(written(tmp_path / "a.emd", (X, Y), values=VALUES[0].T))
    assert [axis.name for axis in dataset.axes] == ["y", "x"]
    assert np.array_equal(found.pixels(), VALUES[0])
