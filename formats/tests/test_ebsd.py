"""EBSD: maps as text and HDF5, patterns alone; and the text of SerialEM."""

import math
import struct

import h5py
import numpy as np
import pytest

from nexuslims_formats import read

ANG = """\
# TEM_PIXperUM          1.000000
# x-star                0.513000
# WorkingDistance       15.000000
# SampleTiltAngle       70.000000
#
# Phase 1
# MaterialName  \tNickel
# LatticeConstants      3.560 3.560 3.560  90.000  90.000  90.000
#
# GRID: {grid}
# XSTEP: 0.500000
# YSTEP: 0.500000
# NCOLS_ODD: {odd}
# NCOLS_EVEN: {even}
# NROWS: {rows}
#
# OPERATOR: \tUser1
#
"""
CTF = """\
Channel Text File
Prj\tx.cpr
Author\tUser1
JobMode\tGrid
XCells\t4
YCells\t3
XStep\t0.5
YStep\t0.25
Euler angles refer to Sample Coordinate system (CS0)!\tMag\t500\tKV\t20\tTiltAngle\t70
Phases\t1
3.66;3.66;3.66\t90;90;90\tIron fcc\t11\t225
Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS
"""


def write_ang(path, lengths, *, grid="SqrGrid"):
    even = lengths[1] if len(lengths) > 1 else lengths[0]
    text = ANG.format(grid=grid, odd=lengths[0], even=even, rows=len(lengths))
    for row, length in enumerate(lengths):
        for column in range(length):
            x = column * 0.5 + (0.25 if grid != "SqrGrid" and row % 2 else 0)
            text += f"  1.1 0.5 0.7 {x:.5f} {row * 0.5:.5f} {10 * row + column:.1f} 0.85 1 1 1.2\n"
    path.write_text(text)
    return path


def write_ctf(path, *, points=12, comma=False):
    lines = [
        f"1\t{n % 4 * 0.5}\t{n // 4 * 0.25}\t8\t0\t120.1\t30.2\t45.0\t0.5\t{100 + n}\t150\n"
        for n in range(points)
    ]
    text = CTF + "".join(lines)
    path.write_text(text.replace(".", ",") if comma else text)
    return path


def only(path, outcome="extracted"):
    reading = read(path)
    assert reading.outcome == outcome, reading.reason
    (dataset,) = reading.datasets
    return dataset, reading


def test_an_ang_is_a_map_of_image_quality(tmp_path):
    dataset, reading = only(write_ang(tmp_path / "a.ang", [3, 3]))
    assert (dataset.data_type, dataset.shape) == ("SEM_EBSD", (2, 3))
    assert {(axis.scale, axis.unit) for axis in dataset.axes} == {(0.5, "um")}
    assert dataset.metadata["working_distance"] == {"value": 15.0, "unit": "mm"}
    assert dataset.metadata["stage_tilt"] == {"value": 70.0, "unit": "degree"}
    assert dataset.metadata["operator"] == "User1"
    assert dataset.extensions["ebsd_phases_1_material_name"] == "Nickel"
    assert reading.pixels(0).tolist() == [[0, 1, 2], [10, 11, 12]]
    assert reading.preview(0).startswith(b"\x89PNG")


def test_a_hexagonal_grid_has_rows_of_two_lengths(tmp_path):
    dataset, reading = only(write_ang(tmp_path / "h.ang", [3, 2, 3], grid="HexGrid"))
    assert dataset.shape == (3, 3)
    assert np.isnan(reading.pixels(0)[1, 2])
    assert reading.pixels(0)[2].tolist() == [20, 21, 22]


def test_a_ctf_is_a_map_of_band_contrast(tmp_path):
    dataset, reading = only(write_ctf(tmp_path / "m.ctf"))
    assert dataset.shape == (3, 4)
    assert [axis.scale for axis in dataset.axes] == [0.25, 0.5]
    assert dataset.metadata["acceleration_voltage"] == {"value": 20.0, "unit": "kV"}
    assert dataset.metadata["magnification"] == {"value": 500.0, "unit": "x"}
    assert dataset.metadata["stage_tilt"] == {"value": 70.0, "unit": "degree"}
    assert dataset.extensions["ebsd_phases_1_name"] == "Iron fcc"
    assert reading.pixels(0)[2].tolist() == [108, 109, 110, 111]


def test_a_ctf_may_have_decimal_commas(tmp_path):
    dataset, reading = only(write_ctf(tmp_path / "m.ctf", comma=True))
    assert [axis.scale for axis in dataset.axes] == [0.25, 0.5]
    assert reading.pixels(0)[0].tolist() == [100, 101, 102, 103]


@pytest.mark.parametrize("cells", ["-5", "0", "999999999", "1e308", "nan", "many"])
def test_a_map_of_no_size_is_no_map(tmp_path, cells):
    path = write_ctf(tmp_path / "m.ctf")
    path.write_text(path.read_text().replace("YCells\t3", f"YCells\t{cells}"))
    dataset, reading = only(path, "partial")
    assert (dataset.shape, reading.preview()) == ((), None)
    assert "does not tell how many points" in reading.reason


def test_no_number_of_microsofts_library_is_one(tmp_path):
    path = write_ctf(tmp_path / "m.ctf")
    path.write_text(path.read_text().replace("\tKV\t20", "\tKV\t1.#QNAN"))
    dataset, reading = only(path, "partial")
    assert "acceleration_voltage" not in dataset.metadata
    assert "1.#QNAN" in reading.reason


@pytest.mark.parametrize("points", [0, 5, 11])
def test_a_map_that_ends_early_says_so(tmp_path, points):
    _, reading = only(write_ctf(tmp_path / "m.ctf", points=points), "partial")
    assert "ends" in reading.reason


def test_a_head_without_sizes_keeps_what_it_tells(tmp_path):
    path = tmp_path / "a.ang"
    path.write_text("# TEM_PIXperUM 1.0\n# WorkingDistance 15.0\n# XSTEP: 0.5\n")
    dataset, _ = only(path, "partial")
    assert dataset.metadata["working_distance"] == {"value": 15.0, "unit": "mm"}


def text(value):
    return np.array([value.encode()])


def write_oina(path, *, contrast=12):
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = text("Oxford Instruments")
        header = file.create_group("1/EBSD/Header")
        for name, value, unit in (
            ("Beam Voltage", 20.0, "kV"), ("Tilt Angle", 1.2217305, "rad"),
            ("Working Distance", 16.0, "mm"), ("X Step", 500.0, "nm"), ("Y Step", 0.5, "um"),
        ):  # fmt: skip
            header[name] = np.array([value], np.float32)
            header[name].attrs["Unit"] = text(unit)
        header["X Cells"], header["Y Cells"] = np.array([4]), np.array([3])
        header["Acquisition Date"] = text("2024-03-01T10:11:12")
        data = file.create_group("1/EBSD/Data")
        data["Band Contrast"] = np.arange(contrast, dtype=np.uint8)
        data["Processed Patterns"] = np.zeros((12, 6, 8), np.uint8)
    return path


def test_h5oina_gives_the_map_and_its_patterns(tmp_path):
    reading = read(write_oina(tmp_path / "s.h5oina"))
    assert reading.outcome == "extracted", reading.reason
    scan, patterns = reading.datasets
    assert (scan.shape, scan.dataset_type) == ((3, 4), "Image")
    assert {(axis.scale, axis.unit) for axis in scan.axes} == {(0.5, "um")}
    assert scan.metadata["stage_tilt"]["value"] == pytest.approx(70, abs=1e-4)
    assert scan.metadata["acceleration_voltage"] == {"value": 20.0, "unit": "kV"}
    assert scan.creation_time.isoformat() == "2024-03-01T10:11:12+00:00"
    assert (patterns.shape, patterns.dataset_type) == ((3, 4, 6, 8), "Diffraction")
    assert reading.pixels(0)[1].tolist() == [4, 5, 6, 7]
    assert np.asarray(reading.pixels(1)).shape == (3, 4, 6, 8)
    assert reading.preview(1).startswith(b"\x89PNG")


def test_a_scan_that_lacks_points_is_partial(tmp_path):
    reading = read(write_oina(tmp_path / "s.h5oina", contrast=7))
    assert reading.outcome == "partial"
    assert "7 of the 12 points" in reading.reason


def test_the_h5_of_edax_is_no_damaged_file_of_another(tmp_path):
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file[" Manufacturer"] = text("EDAX")
        header = file.create_group("Scan 1/EBSD/Header")
        for name, value in (("Step X", 1.5), ("Step Y", 1.5), ("Sample Tilt", 75.7)):
            header[name] = np.array([value], np.float32)
        header["nColumns"], header["nRows"] = np.array([3], np.int32), np.array([2], np.int32)
        header["Working Distance"] = np.array([24.7], np.float32)
        file["Scan 1/EBSD/Data/IQ"] = np.arange(6, dtype=np.float32)
    dataset, _ = only(path)
    assert (dataset.shape, dataset.axes[0].scale) == ((2, 3), 1.5)
    assert dataset.metadata["working_distance"] == {"value": 24.7, "unit": "mm"}
    assert dataset.metadata["stage_tilt"] == {"value": 75.7, "unit": "degree"}


@pytest.mark.parametrize(("suffix", "dtype"), [("up1", np.uint8), ("up2", np.uint16)])
def test_patterns_of_edax(tmp_path, suffix, dtype):
    path = tmp_path / f"p.{suffix}"
    patterns = np.arange(6 * 4 * 5, dtype=dtype).reshape(6, 4, 5)
    path.write_bytes(struct.pack("<4I", 1, 5, 4, 16) + patterns.tobytes())
    dataset, reading = only(path)
    assert (dataset.shape, dataset.dtype) == ((6, 4, 5), np.dtype(dtype).name)
    assert np.array_equal(reading.pixels(0), patterns)
    head = struct.pack("<4I", 3, 5, 4, 42) + struct.pack("<x2IB2d", 3, 2, 0, 0.5, 0.25)
    path.write_bytes(head.ljust(42, b"\0") + patterns.tobytes())
    dataset, _ = only(path)
    assert dataset.shape == (2, 3, 4, 5)
    assert [axis.scale for axis in dataset.axes[:2]] == [0.25, 0.5]
    path.write_bytes(path.read_bytes()[:-3])
    _, reading = only(path, "partial")
    assert "5 of its 6 patterns" in reading.reason


def write_ebsp(path, *, packed=0, cut=0):
    count, sides = 6, (4, 5)
    table, body = [], b""
    start = 8 + 8 * count
    for number in range(count):
        table.append(start + len(body))
        body += struct.pack("<4i", packed, *sides, 20) + bytes([number] * 20)
        body += struct.pack("<?d?d", True, number % 3 * 1.5, True, number // 3 * 1.5)
    content = struct.pack("<q", -2) + struct.pack(f"<{count}q", *table) + body
    path.write_bytes(content[: len(content) - cut])
    return path


def test_patterns_of_oxford(tmp_path):
    dataset, reading = only(write_ebsp(tmp_path / "p.ebsp"))
    assert dataset.shape == (2, 3, 4, 5)
    assert [axis.scale for axis in dataset.axes[:2]] == [1.5, 1.5]
    assert np.asarray(reading.pixels(0)).reshape(6, -1)[:, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_patterns_of_oxford_that_are_lost_or_packed_are_reported(tmp_path):
    dataset, reading = only(write_ebsp(tmp_path / "cut.ebsp", cut=60), "partial")
    assert dataset.shape == (5, 4, 5)
    assert "1 of its 6 patterns" in reading.reason
    assert read(write_ebsp(tmp_path / "packed.ebsp", packed=1)).outcome == "unsupported"


MDOC = """\
PixelSpacing = 3.649
Voltage = 300
ImageFile = tilt.mrc

[ZValue = 0]
TiltAngle = -40.0
Magnification = 28500
ExposureTime = 1.678
DateTime = 15-May-24  16:50:54

[ZValue = 1]
TiltAngle = 10.0
Magnification = 28500
"""


def test_the_text_of_serialem_is_read(tmp_path):
    path = tmp_path / "tilt.mrc.mdoc"
    path.write_text(MDOC)
    dataset, _ = only(path)
    assert dataset.metadata["acceleration_voltage"] == {"value": 300.0, "unit": "kV"}
    assert dataset.metadata["magnification"] == {"value": 28500.0, "unit": "x"}
    assert dataset.metadata["exposure_time"] == {"value": 1.678, "unit": "s"}
    assert dataset.extensions["serialem_images"] == 2
    assert dataset.extensions["serialem_tilts_degree"] == "-40 to 10"
    assert dataset.creation_time.isoformat() == "2024-05-15T16:50:54+00:00"


def test_what_kikuchipy_wrote_is_a_scan_with_its_patterns(tmp_path):
    path = tmp_path / "patterns.h5"
    with h5py.File(path, "w") as file:
        file["manufacturer"] = text("kikuchipy")
        header = file.create_group("Scan 1/EBSD/Header")
        for name, value in (
            ("n_rows", 2), ("n_columns", 3), ("step_x", 1.5), ("step_y", 1.5), ("beam_energy", 20),
        ):  # fmt: skip
            header[name] = value
        file["Scan 1/EBSD/Data/patterns"] = np.zeros((6, 4, 4), np.uint8)
    reading = read(path)
    assert (reading.outcome, reading.extractor.name) == ("extracted", "ebsd_hdf5")
    scan, patterns = reading.datasets
    assert scan.metadata["acceleration_voltage"] == {"value": 20.0, "unit": "kV"}
    assert (patterns.shape, patterns.dataset_type) == ((2, 3, 4, 4), "Diffraction")


def write_oxford_maps(path, *, spectra=True, rows=2):
    """An ``.h5oina`` without EBSD: an electron image, and X-rays at 2 x 3 or 1 x 3 points."""
    points = rows * 3
    common = (("Beam Voltage", 15.0), ("Magnification", 2000.0), ("Scan Rotation", math.pi / 2))
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = text("Oxford Instruments")
        for name, size, own in (
            ("Electron Image", (4, 5), (("Dwell Time", 3.0),)),
            ("EDS", (rows, 3), (("Channel Width", 10.0), ("Start Channel", -200.0),
                                ("Detector Elevation", math.radians(35)))),
        ):  # fmt: skip
            header = file.create_group(f"1/{name}/Header")
            header["Y Cells"], header["X Cells"] = np.array([size[0]]), np.array([size[1]])
            for key, value in (*common, *own, ("X Step", 0.5), ("Y Step", 0.5)):
                header[key] = np.array([value], np.float32)
            header["Stage Position/X"] = np.array([12.5], np.float32)
        file["1/Electron Image/Data/SE/Electron Image 1"] = np.arange(20, dtype=np.uint8)
        data = file.create_group("1/EDS/Data")
        data["Window Integral/Fe Ka1"] = np.arange(points, dtype=np.float32)
        if spectra:
            data["Spectrum"] = np.arange(points * 8, dtype=np.int32).reshape(points, 8)
    return path


@pytest.mark.parametrize(("rows", "shape"), [(2, (2, 3, 8)), (1, (3, 8))])
def test_electron_images_and_x_rays_of_oxford_are_read_without_ebsd(tmp_path, rows, shape):
    reading = read(write_oxford_maps(tmp_path / "s.h5oina", rows=rows))
    assert reading.outcome == "extracted", reading.reason
    spectra, image = sorted(reading.datasets, key=lambda one: one.dataset_type, reverse=True)
    assert (spectra.dataset_type, spectra.data_type) == ("SpectrumImage", "SEM_EDS")
    assert (spectra.shape, spectra.axes[-1].offset) == (shape, -200.0)
    assert spectra.metadata["channel_size"] == {"value": 10.0, "unit": "eV"}
    assert spectra.metadata["elevation_angle"]["value"] == pytest.approx(35, abs=1e-4)
    assert (image.shape, image.metadata["detector_type"]) == ((4, 5), "SE")
    assert image.metadata["dwell_time"] == {"value": 3.0, "unit": "us"}
    assert image.metadata["scan_rotation"]["value"] == pytest.approx(90, abs=1e-4)
    assert image.metadata["stage_x"] == {"value": 12_500.0, "unit": "um"}
    assert np.asarray(reading.pixels(spectra.index)).shape == shape


def test_without_spectra_oxfords_maps_of_elements_are_images(tmp_path):
    reading = read(write_oxford_maps(tmp_path / "s.h5oina", spectra=False))
    elements, image = reading.datasets
    assert (elements.name, elements.shape) == ("s 1 EDS Fe Ka1", (2, 3))
    assert elements.data_type == "SEM_EDS"
    assert "detector_type" not in elements.metadata
    assert image.data_type == "SEM_Imaging"
