"""Detectors that write patterns: EMPAD, and those of DECTRIS."""

import pytest
from formats.tests import desktops

from nexuslims_formats import read

OLD_VIEW = (
    "<iom_measurements><optics.get_full_scan_field_of_view>(6e-07, 6e-07)"
    "</optics.get_full_scan_field_of_view><calibrated_pixelsize>2e-10</calibrated_pixelsize>"
    "</iom_measurements>"
)
NEW_VIEW = (
    "<iom_measurements><full_scan_field_of_view><x>4.32e-07</x>"
    "<scale_factor>0.72</scale_factor></full_scan_field_of_view></iom_measurements>"
)


@pytest.mark.parametrize(
    ("size", "view", "pitch"),
    [
        ("<pix_x>3</pix_x><pix_y>2</pix_y>", OLD_VIEW, [(300.0, "nm"), (200.0, "nm")]),
        ("", NEW_VIEW, [(200.0, "nm"), (200.0, "nm")]),
        ("", "", [(1.0, ""), (1.0, "")]),
    ],
)
def test_a_scan_of_empad_has_its_size_and_scale(tmp_path, size, view, pitch):
    found = read(desktops.empad(tmp_path, size=size, more=view))
    assert (found.outcome, found.extractor.name) == ("extracted", "empad"), found.reason
    (dataset,) = found.datasets
    assert dataset.shape == (2, 3, 128, 128)
    assert [(axis.scale, axis.unit) for axis in dataset.axes[:2]] == [
        (pytest.approx(scale), unit) for scale, unit in pitch
    ]
    assert dataset.metadata["exposure_time"] == {"value": pytest.approx(0.00186), "unit": "s"}
    assert dataset.creation_time.isoformat() == "2019-06-07T14:25:00+00:00"
    assert found.pixels().shape == (2, 3, 128, 128)


def test_empad_tells_of_the_column_that_it_is_on(tmp_path):
    column = (
        "<iom_measurements><spot_size_index>7</spot_size_index>"
        "<nominal_camera_length>0.369</nominal_camera_length>"
        "<high_voltage>300000.0</high_voltage></iom_measurements>"
    )
    (dataset,) = read(desktops.empad(tmp_path, more=column)).datasets
    assert dataset.metadata["acceleration_voltage"] == {"value": 300.0, "unit": "kV"}
    assert dataset.metadata["camera_length"] == {"value": 369.0, "unit": "mm"}
    assert dataset.metadata["spot_size"] == 7
    assert dataset.metadata["detector_type"] == "EMPAD"


def test_patterns_are_calibrated_where_the_xml_says_so(tmp_path):
    (dataset,) = read(desktops.empad(tmp_path, more=OLD_VIEW)).datasets
    axis = dataset.axes[3]
    assert (axis.scale, axis.offset, axis.unit) == (
        pytest.approx(0.2),
        pytest.approx(-12.8),
        "1/nm",
    )


def test_a_series_of_empad_may_be_told_by_the_name_of_its_file_only(tmp_path):
    path = desktops.empad(tmp_path, size="")
    path.write_text(path.read_text().replace("scan_x3_y2", "series_x6"))
    (tmp_path / "scan_x3_y2.raw").rename(tmp_path / "series_x6.raw")
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == ("extracted", (6, 128, 128))


def test_patterns_that_are_missing_are_said(tmp_path):
    found = read(desktops.empad(tmp_path, frames=4))
    assert found.outcome == "partial"
    assert "4 of its 6 patterns" in found.reason
    (tmp_path / "scan_x3_y2.raw").unlink()
    assert "is not there" in read(tmp_path / "scan.xml").reason


def test_a_master_file_counts_the_images_of_all_its_files(tmp_path):
    found = read(desktops.dectris(tmp_path))
    assert (found.outcome, found.extractor.name) == ("extracted", "dectris"), found.reason
    (dataset,) = found.datasets
    assert (dataset.shape, dataset.dtype) == ((6, 3, 5), "uint16")
    assert dataset.metadata["exposure_time"] == {"value": pytest.approx(0.001), "unit": "s"}
    assert dataset.metadata["detector_type"] == "DECTRIS ARINA"
    assert dataset.creation_time.isoformat() == "2023-11-02T10:11:12+00:00"


def test_a_master_file_alone_tells_what_was_asked_for(tmp_path):
    path = desktops.dectris(tmp_path)
    for data in tmp_path.glob("*_data_*"):
        data.unlink()
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == ("partial", (6, 3, 5))
    assert "scan_data_000001.h5" in found.reason


def test_what_the_microscope_leaves_beside_a_master_file_tells_the_step_of_a_scan(tmp_path):
    found = read(desktops.dectris(tmp_path, frames=(5, 4), pixel=0.25))
    assert found.outcome == "extracted", found.reason
    (dataset,) = found.datasets
    assert (dataset.shape, dataset.data_type) == ((3, 3, 3, 5), "STEM_Diffraction")
    assert [(axis.name, axis.scale, axis.unit) for axis in dataset.axes[:2]] == [
        ("scan_y", 0.25, "nm"), ("scan_x", 0.25, "nm"),
    ]  # fmt: skip
    assert any("taken for a square scan" in words for words in dataset.warnings)


def test_images_that_make_no_square_are_a_series(tmp_path):
    (dataset,) = read(desktops.dectris(tmp_path, pixel=0.25)).datasets
    assert dataset.shape == (6, 3, 5)


@pytest.mark.parametrize("name", ["scan.h5", "scan_data_000001.h5"])
def test_parts_of_a_measurement_are_named_as_such(tmp_path, name):
    desktops.dectris(tmp_path, pixel=0.25)
    found = read(tmp_path / name)
    assert found.outcome == "unsupported"
    assert "NAME_master.h5" in found.reason


@pytest.mark.parametrize(
    ("hdr", "shape"),
    [
        ("", (2, 3, 4, 8)),
        ("Frames in Acquisition (Number):\t6\nFrames per Trigger (Number):\t1\n", (2, 3, 4, 8)),
        ("Frames in Acquisition (Number):\t6\nFrames per Trigger (Number):\t2\n", (3, 2, 4, 8)),
    ],
)
def test_lines_of_a_merlin_are_told_by_the_trigger_or_by_when_frames_came(tmp_path, hdr, shape):
    found = read(desktops.merlin(tmp_path, hdr=hdr))
    assert (found.outcome, found.extractor.name) == ("extracted", "merlin"), found.reason
    (dataset,) = found.datasets
    assert (dataset.shape, dataset.dtype) == (shape, "uint16")
    assert [axis.navigate for axis in dataset.axes] == [True, True, False, False]
    assert dataset.metadata["exposure_time"] == {"value": pytest.approx(0.001), "unit": "s"}
    assert dataset.creation_time.isoformat() == "2021-06-01T12:00:01+00:00"
    assert found.pixels().shape == shape


def test_frames_that_come_unevenly_are_a_series(tmp_path):
    found = read(desktops.merlin(tmp_path, lines=4, length=5, jitter=60_000))
    assert found.datasets[0].shape == (20, 4, 8)
    assert read(desktops.merlin(tmp_path, count=1)).datasets[0].shape == (4, 8)


def test_raw_frames_of_a_merlin_have_their_shape_and_no_picture(tmp_path):
    found = read(desktops.merlin(tmp_path, kind="R64"))
    assert (found.outcome, found.datasets[0].shape) == ("extracted", (2, 3, 4, 8))
    assert (found.datasets[0].dtype, found.preview()) == ("uint16", None)


@pytest.mark.parametrize("with_hdr", [True, False])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_frames_of_a_merlin_that_are_missing_are_counted(tmp_path, with_hdr, share):
    hdr = "Frames in Acquisition (Number):\t6\n" if with_hdr else ""
    path = desktops.merlin(tmp_path, hdr=hdr)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: int(size * share)])
    found = read(path)
    assert found.outcome == "partial"
    assert f"holds {int(6 * share)} of its" in found.reason


@pytest.mark.parametrize(
    ("old", "new"), [(b",U16,", b",U17,"), (b",0008,", b",9e99,"), (b",00384,", b",00000,")]
)
def test_a_damaged_header_of_a_merlin_is_named(tmp_path, old, new):
    path = desktops.merlin(tmp_path)
    path.write_bytes(path.read_bytes().replace(old, new))
    found = read(path)
    assert found.outcome == "failed"
    assert "first frame" in found.reason
