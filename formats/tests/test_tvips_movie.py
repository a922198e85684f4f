"""Movies of TVIPS cameras."""

import numpy as np
import pytest
from formats.tests.desktops import tvips_movie

from nexuslims_formats import read


@pytest.mark.parametrize(("mode", "kind", "unit"), [(1, "Image", "nm"), (2, "Diffraction", "1/nm")])
def test_a_movie_has_the_time_of_its_frames_and_the_size_of_its_pixels(tmp_path, mode, kind, unit):
    found = read(tvips_movie(tmp_path / "film_000.tvips", mode=mode))
    (dataset,) = found.datasets
    assert (found.outcome, dataset.dataset_type, dataset.dtype) == ("extracted", kind, "uint16")
    assert [(axis.size, axis.scale, axis.offset, axis.unit) for axis in dataset.axes] == [
        (3, 0.005, 0.0, "s"), (5, 3.0, 0.0, unit), (4, 3.0, 0.0, unit)
    ]  # fmt: skip
    assert dataset.metadata["acceleration_voltage"] == {"value": 200.0, "unit": "kV"}
    assert dataset.metadata["binning"] == "2 x 2"
    assert dataset.metadata["stage_alpha"] == {"value": 10.0, "unit": "degree"}
    assert dataset.creation_time.isoformat() == "1993-06-18T10:34:56+00:00"
    about_camera_length = [words for words in dataset.warnings if "camera length" in words]
    assert len(about_camera_length) == (mode == 2)


def test_frames_of_the_first_version_have_a_number_and_a_time_only(tmp_path):
    (dataset,) = read(tvips_movie(tmp_path / "film.tvips", version=1)).datasets
    assert (dataset.shape, dataset.axes[0].scale) == ((3, 5, 4), 0.005)
    assert "stage_x" not in dataset.metadata


def test_a_movie_goes_on_in_further_files(tmp_path):
    path = tvips_movie(tmp_path / "film_000.tvips")
    further = tvips_movie(tmp_path / "film_001.tvips", first=3, frames=2, is_first=False)
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == ("extracted", (5, 5, 4))
    pixels = np.asarray(found.signals[0].pixels())
    assert pixels[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    alone = read(further)
    assert (alone.outcome, "film_000.tvips" in alone.reason) == ("unsupported", True)


@pytest.mark.parametrize("frames", [1, 3])
def test_a_clock_that_was_not_set_tells_no_time(tmp_path, frames):
    path = tvips_movie(tmp_path / "film_000.tvips", frames=frames, time=0, ms=0)
    found = read(path)
    (dataset,) = found.datasets
    assert (found.outcome, dataset.axes[0].name, dataset.axes[0].unit) == ("extracted", "frame", "")
    assert dataset.creation_time.year > 1993


def test_a_frame_that_was_cut_is_named(tmp_path):
    path = tvips_movie(tmp_path / "film_000.tvips")
    path.write_bytes(path.read_bytes()[:-7])
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == ("partial", (2, 5, 4))
    assert "film_000.tvips ends within its frame 3" in found.reason


def test_a_stage_elsewhere_than_at_zero_is_in_a_unit_that_nobody_tells(tmp_path):
    (dataset,) = read(tvips_movie(tmp_path / "film_000.tvips", x=0.5)).datasets
    assert dataset.metadata["stage_x"] == {"value": 500.0, "unit": "um"}
    assert any("does not tell its unit" in words for words in dataset.warnings)
