"""Folders that are one dataset, logs of holders, and the library's rarer kinds of files."""

import json
import struct

import h5py
import numpy as np
import pytest
from rsciio.dens import _api as dens_api

from nexuslims_formats import read


def store(folder, *, separator="."):
    """A zarr store in a folder, as HyperSpy writes it: two chunks of one array."""
    header = {
        "zarr_format": 2, "shape": [4, 6], "chunks": [2, 6], "dtype": "<i2", "fill_value": 0,
        "filters": None, "order": "C", "compressor": None, "dimension_separator": separator,
    }  # fmt: skip
    files = {
        ".zattrs": {"file_format": "ZSpy", "file_format_version": "3.1"},
        "Experiments/one/data/.zarray": header,
        "Experiments/one/axis-0/.zattrs": {"name": "x", "navigate": True, "scale": 2.0},
        "Experiments/one/axis-1/.zattrs": {"name": "Energy", "navigate": False, "units": "eV"},
        "Experiments/one/metadata/General/.zattrs": {"title": "A line", "date": "2025-06-27"},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    for row in range(2):
        chunk = folder / "Experiments/one/data" / f"{row}{separator}0"
        chunk.parent.mkdir(exist_ok=True)
        chunk.write_bytes(np.arange(12, dtype="<i2").tobytes())
    return folder


@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("given", ["", ".zattrs"])
def test_a_zspy_in_a_folder_is_one_dataset(tmp_path, separator, given):
    found = read(store(tmp_path / "line.zspy", separator=separator) / given)
    assert (found.outcome, len(found.datasets)) == ("extracted", 1)
    (dataset,) = found.datasets
    assert (dataset.name, dataset.shape, dataset.dataset_type) == (
        "A line",
        (4, 6),
        "SpectrumImage",
    )
    assert found.pixels()[3].tolist() == list(range(6, 12))


def test_a_picture_in_colour_in_a_store(tmp_path):
    folder = store(tmp_path / "picture.zspy")
    header = folder / "Experiments/one/data/.zarray"
    colours = [[name, "<u2"] for name in "RGB"]
    header.write_text(
        json.dumps({**json.loads(header.read_text()), "dtype": colours, "shape": [2, 2],
                    "chunks": [1, 2], "fill_value": "AAAAAAAA"})
    )  # fmt: skip
    found = read(folder)
    assert (found.outcome, found.datasets[0].shape) == ("extracted", (2, 2))
    assert found.datasets[0].dtype == "uint16"
    assert found.pixels()["G"].tolist() == [[1, 4], [1, 4]]


def test_a_link_in_a_store_is_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\1" * 24)
    folder = store(tmp_path / "line.zspy")
    chunk = folder / "Experiments/one/data/1.0"
    chunk.unlink()
    chunk.symlink_to(secret)
    assert not read(folder).pixels()[2:].any()


def test_another_folder_is_no_file(tmp_path):
    found = read(tmp_path)
    assert (found.outcome, found.reason.endswith("not a regular file")) == ("failed", True)


PROTOCHIPS = """Time, Notes, Channel A Temperature, Channel A Power
0, Temperature units = Celsius, ,
0, Power units = Milliwatt, ,
0, Calibration file = C:\\a.cal, ,
0, Date (yyyy.mm.dd) = 2016.03.01, ,
0, Time (hh:mm:ss.ms) = 12:00:01.123, ,
0, Time units = Milliseconds, ,
0, User = someone, ,
0, , 20.0, 1.0
100, , 21.0, 1.1
200, a note, 22.0, 1.2
300, , 23.0, 1.3
"""
DIGIHEATER = """13/04/'16 17:15\tDigiheater 3.1
R0=1.0\ta=1\tb=2\tc=3
delta_t
sample\ttime\tTset[C]\tTmeas[C]\tRheat[ohm]\tVheat[V]\tIheat[mA]\tPheat [mW]\tc
1\t0.1\t20\t20.1\t1\t1\t1\t1\t1
2\t0.2\t20\t21.1\t1\t1\t1\t1\t1
3\t0.3\t20\t22.1\t1\t1\t1\t1\t1
"""
IMPULSE = """TimeStamp,Experiment time,Temperature Setpoint (C)
12:00:00.1,0.1,20.0
12:00:00.2,0.2,21.0
12:00:00.3,0.3,22.0
12:00:00.4,0.4,22.0
"""


@pytest.mark.parametrize(
    ("name", "text", "quantities", "when"),
    [
        ("heating.csv", PROTOCHIPS, 2, "2016-03-01T12:00:01+00:00"),
        ("heating.dens", DIGIHEATER, 1, "2016-04-13T17:15:00+00:00"),
        ("Heating_Synchronized data.csv", IMPULSE, 1, "2021-01-02T12:00:00+00:00"),
    ],
)
def test_logs_of_holders_are_quantities_over_time(tmp_path, name, text, quantities, when):
    (tmp_path / name).write_text(text)
    (tmp_path / "Heating_Metadata.log").write_text(
        "Experiment date,2021-01-02\nExperiment time,12:00:00\nLive notes,a\n"
    )
    found = read(tmp_path / name)
    assert (found.outcome, len(found.datasets)) == ("extracted", quantities)
    first = found.datasets[0]
    assert (first.dataset_type, first.data_type) == ("Misc", "Log")
    assert first.creation_time.isoformat() == when
    assert (first.axes[0].name, first.axes[0].unit) == ("Time", "s")
    assert first.axes[0].scale == pytest.approx(0.1)
    assert str(first.extensions["quantity"]).startswith("Temperature")
    assert found.preview() is not None


@pytest.mark.parametrize(
    ("user", "encoding"),
    [("Jörg", "cp1252"), ("Jörg", "utf-8-sig"), ("試料を作る人です", "cp932")],
)
def test_logs_are_in_the_encoding_of_their_computer(tmp_path, user, encoding):
    text = PROTOCHIPS.replace("someone", user)
    (tmp_path / "heating.csv").write_bytes(text.encode(encoding))
    found = read(tmp_path / "heating.csv")
    assert (found.outcome, len(found.datasets)) == ("extracted", 2)
    assert found.native["signals"][0]["Protochips_header"]["User"] == user


def test_decimal_commas_of_digiheater(tmp_path):
    path = tmp_path / "heating.dens"
    head, rest = DIGIHEATER.split("\n", 1)
    path.write_text(f"{head}\n{rest.replace('.', ',')}")
    found = read(path)
    (dataset,) = found.datasets
    assert (found.outcome, dataset.axes[0].scale) == ("extracted", pytest.approx(0.1))
    assert "open" not in vars(dens_api), "others may use the library beside us"
    assert list(found.pixels()) == [20.1, 21.1, 22.1]


def test_times_of_a_log_are_in_its_unit_and_a_pause_is_named(tmp_path):
    text = PROTOCHIPS.replace("Milliseconds", "Minutes").replace(
        "300, ,", "900, , 23.0, 1.2\n950, ,"
    )
    (tmp_path / "heating.csv").write_text(text)
    first = read(tmp_path / "heating.csv").datasets[0]
    assert first.axes[0].unit == "min"
    assert "the axis Time has steps of 50 to 700 min: their mean is shown" in first.warnings


@pytest.mark.parametrize("name", ["gas.sac", "gas.sbc"])
def test_mass_spectra_of_quadstar(tmp_path, name):
    clock = bytes((45, 30, 10, 15, 3, 124))
    head = (bytes(8) + clock).ljust(0x64, b"\0") + struct.pack("<ihi", 2, 1, 76)
    head = head.ljust(0xC2, b"\0") + bytes(6)
    if name.endswith("sac"):
        traces = struct.pack("<Bii", 0x11, 209, 352)
        info = struct.pack("<2x13s13sx13s13s67xfHB8x", b"Current", b"A", b"Mass", b"amu", 1.0, 4, 4)
        scans = (struct.pack("<I6xh", at, -5) + bytes(64) for at in (0, 12))
    else:
        traces, info = struct.pack("<3xH", 15), bytes(100)
        masses = np.stack([np.arange(1, 17), np.zeros(16)], axis=1).astype("<f4").tobytes()
        scans = (struct.pack("<I9x", at) + masses for at in (0, 12))
    (tmp_path / name).write_bytes(head + traces + info + b"".join(scans))
    found = read(tmp_path / name)
    (dataset,) = found.datasets
    assert (found.outcome, dataset.shape, dataset.data_type) == ("extracted", (2, 16), "MS")
    assert (dataset.dataset_type, dataset.axes[0].scale) == ("SpectrumImage", 12.0)
    assert dataset.axes[1].unit == ("amu" if name.endswith("sac") else "m/z")
    assert dataset.creation_time.isoformat() == "2024-03-15T10:30:45+00:00"


@pytest.mark.parametrize(
    ("name", "text"),
    [("Heating_Synchronized data.csv", IMPULSE), ("a.csv", "Time,Notes of mine\n")],
)
def test_any_other_csv_is_a_text(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read(tmp_path / name).extractor.name == "text"


def test_a_log_that_lacks_its_head_is_kept_as_a_text(tmp_path):
    (tmp_path / "a.csv").write_text("Time, Notes, Channel A Temperature\n0, , 20.0\n100, , 21.0\n")
    found = read(tmp_path / "a.csv")
    (dataset,) = found.datasets
    assert (found.outcome, dataset.data_type) == ("partial", "Text")
    assert "a log, but" in found.reason


RIPPLE = """key\tvalue
width\t3
height\t2
depth\t4
offset\t0
data-length\t2
data-type\tunsigned
byte-order\tlittle-endian
record-by\tvector
depth-units\teV
depth-scale\t10.0
beam-energy\t200.0
date\t2021-03-04
title\tA map
"""


def test_ripple_is_read_with_the_raw_file_beside_it(tmp_path):
    (tmp_path / "map.rpl").write_text(RIPPLE)
    (tmp_path / "map.raw").write_bytes(np.arange(24, dtype="<u2").tobytes())
    found = read(tmp_path / "map.rpl")
    (dataset,) = found.datasets
    assert (found.outcome, dataset.dataset_type) == ("extracted", "SpectrumImage")
    assert (dataset.shape, dataset.dtype) == ((2, 3, 4), "uint16")
    assert dataset.metadata["acceleration_voltage"] == {"value": 200.0, "unit": "kV"}
    (tmp_path / "map.raw").unlink()
    assert read(tmp_path / "map.rpl").outcome == "failed"


def emd(path, units, names="pqrs"):
    """An NCEM file, which does not say which axes are those of a scan."""
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/one")
        group.attrs["emd_group_type"] = 1
        shape = tuple(range(2, 2 + len(units)))
        group["data"] = np.zeros(shape, "float32")
        for number, unit in enumerate(units, 1):
            axis = group.create_dataset(f"dim{number}", data=np.arange(shape[number - 1]) * 0.5)
            axis.attrs["name"], axis.attrs["units"] = names[number - 1], unit


@pytest.mark.parametrize(
    ("units", "dataset_type", "scanned"),
    [
        (("nm", "nm", "eV"), "SpectrumImage", {"nm"}),
        (("nm", "nm", "1/nm", "1/nm"), "Diffraction", {"nm"}),
        (("eV",), "Spectrum", set()),
        (("nm", "nm"), "Image", set()),
    ],
)
def test_the_units_tell_what_a_file_without_a_scan_is_of(tmp_path, units, dataset_type, scanned):
    emd(tmp_path / "one.emd", units)
    (dataset,) = read(tmp_path / "one.emd").datasets
    assert dataset.dataset_type == dataset_type
    assert {axis.unit for axis in dataset.axes if axis.navigate} == scanned


@pytest.mark.parametrize("names", ["yx", "xy"])
def test_rows_come_before_columns_however_a_file_has_them(tmp_path, names):
    emd(tmp_path / "one.emd", ("nm", "nm"), names)
    found = read(tmp_path / "one.emd")
    (dataset,) = found.datasets
    assert [axis.name for axis in dataset.axes] == ["y", "x"]
    expected = (2, 3) if names == "yx" else (3, 2)
    assert (dataset.shape, found.pixels().shape) == (expected, expected)


def test_the_positions_of_py4dstem_come_before_its_patterns(tmp_path):
    names = ("R_x", "R_y", "Q_x", "Q_y")
    emd(tmp_path / "one.h5", ("nm", "nm", "A^-1", "A^-1"), names)
    (dataset,) = read(tmp_path / "one.h5").datasets
    assert (dataset.shape, dataset.dataset_type) == ((2, 3, 4, 5), "Diffraction")
    assert [axis.name for axis in dataset.axes if axis.navigate] == ["R_x", "R_y"]


def test_panta_rhei_of_old_keeps_metadata_in_a_pickle_and_values_compressed(tmp_path):
    meta = {"type": "2D", "electron_gun.voltage": 200_000.0, "acquisition.date": "2021-03-04"}
    values = np.random.default_rng(1).random((4, 6))
    with (tmp_path / "old.prz").open("wb") as file:
        np.savez_compressed(
            file, data=values, meta_data=np.array([meta], object), file_format_version=2
        )
    found = read(tmp_path / "old.prz")
    (dataset,) = found.datasets
    assert found.outcome == "extracted"
    assert dataset.metadata["acceleration_voltage"] == {"value": 200.0, "unit": "kV"}
    np.testing.assert_array_equal(np.asarray(found.pixels()), values)
