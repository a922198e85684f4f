"""Velox files: images, spectra, and maps of spectra as streams of events."""

import json

import h5py
import numpy as np
import pytest
from formats.tests import stations

from nexuslims_formats import read

PART = {"left": "0.5", "top": "0.5", "right": "0.75", "bottom": "1"}
RASTER = {"Width": "8", "Height": "4"}


def datasets(path):
    found = read(path)
    assert (found.outcome, found.extractor.name) == ("extracted", "velox"), found.reason
    return found, found.datasets


def test_an_image_has_its_own_axes_beam_and_stage(tmp_path):
    _, (image,) = datasets(stations.velox(tmp_path / "a.emd"))
    assert [(axis.name, axis.size, axis.scale, axis.unit) for axis in image.axes] == [
        ("y", 4, pytest.approx(3.0), "nm"), ("x", 6, pytest.approx(2.0), "nm"),
    ]  # fmt: skip
    assert image.data_type == "STEM_Imaging"
    assert image.metadata["stage_y"] == {"value": -2.0, "unit": "um"}
    assert image.metadata["convergence_angle"] == {"value": 30.0, "unit": "mrad"}
    assert image.metadata["detector_type"] == "HAADF"
    assert image.creation_time.isoformat() == "2020-07-29T16:48:19+00:00"


def test_frames_are_a_stack_unless_they_are_beside_a_map(tmp_path):
    images = (((4, 6, 3), "HAADF"),)
    found, (stack,) = datasets(stations.velox(tmp_path / "stack.emd", images=images))
    assert stack.shape == (3, 4, 6)
    assert found.pixels().shape == (3, 4, 6)
    beside = stations.velox(
        tmp_path / "map.emd", images=images, streams=[[65535] * 24],
        raster={"Width": "6", "Height": "4"},
    )  # fmt: skip
    _, (image, _) = datasets(beside)
    assert (image.shape, image.metadata["frames"]) == ((4, 6), 3)


def test_a_map_covers_the_part_of_the_scan_that_was_selected(tmp_path):
    images = (((2, 2, 1), "HAADF"),)
    # two detectors, two frames of four points
    first = [1, 65535, 65535, 1, 2, 65535, 65535, 65535, 65535, 65535, 3, 65535]
    second = [65535, 5, 65535, 65535, 65535, 65535, 65535, 65535, 65535]
    path = stations.velox(
        tmp_path / "map.emd", images=images, streams=[first, second], raster=RASTER, area=PART
    )
    found, (_, whole) = datasets(path)
    assert whole.shape == (2, 2, 8)
    assert [(axis.scale, axis.unit) for axis in whole.axes[:2]] == [
        (pytest.approx(3.0), "nm"), (pytest.approx(2.0), "nm"),
    ]  # fmt: skip
    assert (whole.axes[2].scale, whole.axes[2].offset, whole.axes[2].unit) == (0.005, -0.25, "keV")
    assert whole.metadata["detector_type"] == "SuperX"
    assert "azimuthal_angle" not in whole.metadata
    cube = np.asarray(found.pixels(1))
    assert cube.sum(axis=2).round().tolist() == [[1, 1], [2, 1]]
    assert cube.sum(axis=(0, 1)).round().tolist() == [0, 2, 1, 1, 0, 1, 0, 0]


def test_where_no_image_is_of_the_size_told_the_points_decide(tmp_path):
    images = (((3, 5, 1), "HAADF"),)
    path = stations.velox(
        tmp_path / "map.emd", images=images, streams=[[65535] * 30], raster=RASTER
    )
    _, (_, whole) = datasets(path)
    assert whole.shape == (3, 5, 8)


def test_without_streams_there_is_no_map(tmp_path):
    path = stations.velox(tmp_path / "pruned.emd")
    with h5py.File(path, "a") as file:
        file["Data/SpectrumImage/ab/Metadata"] = stations.described("SuperX", 9)
        file.create_group("Data/SpectrumStream")
    _, found = datasets(path)
    assert [dataset.dataset_type for dataset in found] == ["Image"]


def test_energy_loss_spectra_are_told_for_each_range(tmp_path):
    path = stations.velox(tmp_path / "eels.emd")
    with h5py.File(path, "a") as file:
        file["Data/SpectrumImage/ab/Metadata"] = stations.described("BM-EELS", 9)
        group = file.create_group("Data/EelsSpectrumImage/cd")
        group["Data"] = np.arange(24, dtype="float32").reshape(2, 4, 3)
        text = b'{"Data": {"offset": 100, "dispersion": 0.5}}'
        group["AcquisitionMetadata"] = np.frombuffer(text, "uint8")[:, None]
    found, (_, loss) = datasets(path)
    assert (loss.shape, loss.data_type, loss.dtype) == ((2, 3, 4), "STEM_EELS", "float32")
    axis = loss.axes[2]
    assert (axis.scale, axis.offset, axis.unit) == (0.5, 100.0, "eV")
    assert found.pixels(1)[1, 2, 3] == 23.0


def test_the_maps_of_two_acquisitions_keep_their_own_pixels(tmp_path):
    path = stations.velox(tmp_path / "two.emd", images=(((4, 6, 1), "a"),), streams=[[65535] * 24])
    with h5py.File(path, "a") as file:
        loss = bytes(stations.described("BM-EELS", 9)[:, 0]).replace(b"2e-09", b"7e-09")
        loss = loss.split(b"\0", 1)[0].replace(
            b'"BinaryResult"',
            b'"Scan": {"ScanSize": {"width": "3", "height": "2"}}, "BinaryResult"',
        )
        file["Data/SpectrumImage/00/Metadata"] = np.frombuffer(loss, "uint8")[:, None]
        group = file.create_group("Data/EelsSpectrumImage/cd")
        group["Data"] = np.zeros((2, 4, 3), "float32")
        text = b'{"Data": {"offset": 100, "dispersion": 0.5}}'
        group["AcquisitionMetadata"] = np.frombuffer(text, "uint8")[:, None]
    _, (_, losses, rays) = datasets(path)
    assert (losses.shape, losses.axes[1].scale) == ((2, 3, 4), pytest.approx(7.0))
    assert (rays.shape, rays.axes[1].scale) == ((4, 6, 8), pytest.approx(2.0))
    assert rays.metadata["detector_type"] == "SuperX"


def test_the_energies_of_a_sum_are_those_of_its_detectors(tmp_path):
    path = stations.velox(tmp_path / "sum.emd", images=(), spectra=1)
    with h5py.File(path, "a") as file:
        group = next(iter(file["Data/Spectrum"].values()))
        text = bytes(group["Metadata"][:, 0]).replace(
            b'"Detector": "SuperXG11"', b'"Detector": "SuperXG1"'
        )
        text = text.replace(b'"DetectorIndex": "1", ', b"")
        del group["Metadata"]
        group["Metadata"] = np.frombuffer(text, "uint8")[:, None]
    _, (spectrum,) = datasets(path)
    assert (spectrum.axes[0].scale, spectrum.axes[0].unit) == (0.005, "keV")
    assert "live_time" not in spectrum.metadata


@pytest.mark.parametrize(
    ("operation", "tree", "name"),
    [
        ("DpcOperation", {}, "DPC"),
        ("MathematicsOperation", {"outputs": [{"inputIndex": "1"}]}, "B-D"),
        ("SurfaceReconstructionOperation", {"integrationMode": "true"}, "iDPC"),
        ("SurfaceReconstructionOperation", {"enableFilter": "true"}, "Filtered dDPC"),
    ],
)
def test_computed_images_are_named_by_what_made_them(tmp_path, operation, tree, name):
    path = stations.velox(tmp_path / "dpc.emd")
    with h5py.File(path, "a") as file:
        (key,) = file["Data/Image"]
        text = json.dumps({"dataPath": f"/Data/Image/{key}", **tree})
        file.create_dataset(f"Operations/{operation}/a", data=[text], dtype=h5py.string_dtype())
    _, (image,) = datasets(path)
    assert image.name == name


def test_damaged_metadata_cost_themselves_only(tmp_path):
    path = stations.velox(tmp_path / "damaged.emd")
    with h5py.File(path, "a") as file:
        group = next(iter(file["Data/Image"].values()))
        group["Metadata"][:4] = np.frombuffer(b"?!?!", "uint8")[:, None]
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == ("partial", (4, 6))
    assert "metadata of Velox are damaged" in found.reason


@pytest.mark.parametrize("written", ["NaN", "-nan(ind)", "Infinity", "-inf"])
def test_what_is_no_number_is_left_out_and_named(tmp_path, written):
    path = stations.velox(tmp_path / "a.emd")
    with h5py.File(path, "a") as file:
        group = next(iter(file["Data/Image"].values()))
        text = bytes(group["Metadata"][:, 0]).replace(b'"300000"', f'"{written}"'.encode())
        del group["Metadata"]
        group["Metadata"] = np.frombuffer(text, "uint8")[:, None]
    _, (image,) = datasets(path)
    assert "acceleration_voltage" not in image.metadata
    assert f"acceleration_voltage is left out: the file has {written}, which is no number" in (
        image.warnings
    )
