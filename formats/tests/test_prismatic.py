"""Simulations of Prismatic, whole and without what the library expects of them."""

import h5py
import numpy as np
import pytest

from nexuslims_formats import read

ROOT = "4DSTEM_simulation"
WHOLE = {"E": 100.0, "ns": 2, "s": 1.5, "zs": 0.0, "t": [1.0, 1.0, 2.0], "c": [3.0, 3.0, 3.0]}


def simulation(path, parameters=WHOLE, *, depths=2):
    """Write images of 2 detectors for 3 x 4 probes, columns first, and patterns of 5 x 6."""
    with h5py.File(path, "w") as file:
        file.create_group(ROOT).attrs.update(emd_group_type=2, version_major=0, version_minor=5)
        results = [("realslices/virtual_detector_depth", "realslice", (4, 3, 2))]
        results += [("datacubes/CBED_array_depth", "datacube", (4, 3, 6, 5))]
        for name, array, shape in results:
            for depth in range(depths):
                group = file.create_group(f"{ROOT}/data/{name}{depth:04}")
                group.attrs["emd_group_type"] = 1
                group[array] = np.full(shape, depth, "f4")
                for number, size in enumerate(shape, 1):
                    group[f"dim{number}"] = np.arange(size) * 0.25
                    unit = b"[n_m]" if number < 3 else b"[mrad]"
                    group[f"dim{number}"].attrs.update(name=f"R{number}".encode(), units=unit)
        place = file.create_group(f"{ROOT}/metadata/metadata_0/original")
        if parameters is not None:
            place.create_group("simulation_parameters").attrs.update(parameters)
    return path


WITHOUT_CELL = {name: value for name, value in WHOLE.items() if name not in ("t", "c")}


@pytest.mark.parametrize("parameters", [WHOLE, WITHOUT_CELL])
def test_depths_are_an_axis_with_the_parameters_of_the_cell_or_without(tmp_path, parameters):
    found = read(simulation(tmp_path / "a.emd", parameters))
    assert found.outcome == "extracted", found.reason
    shapes = {dataset.shape: dataset for dataset in found.datasets}
    assert set(shapes) == {(2, 2, 3, 4), (2, 4, 3, 6, 5)}
    images = shapes[2, 2, 3, 4]
    assert images.name == "virtual_detector"
    assert (images.axes[0].scale, images.axes[0].unit) == (3.0, "angstrom")
    assert [axis.navigate for axis in images.axes] == [True, True, False, False]
    assert [(axis.scale, axis.unit) for axis in images.axes[2:]] == [(0.25, "nm")] * 2
    pixels = np.asarray(found.pixels(found.datasets.index(images)))
    assert pixels[:, 0, 0, 0].tolist() == [0, 1]


@pytest.mark.parametrize("depths", [1, 2])
def test_a_simulation_without_its_parameters_keeps_its_results(tmp_path, depths):
    found = read(simulation(tmp_path / "a.emd", None, depths=depths))
    assert found.outcome == "extracted", found.reason
    shapes = [dataset.shape[-3:] for dataset in found.datasets]
    assert sorted(shapes) == [(2, 3, 4), (3, 6, 5)]
    if depths > 1:
        assert {dataset.axes[0].unit for dataset in found.datasets} == {""}
