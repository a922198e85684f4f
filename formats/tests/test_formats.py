"""Formats that come from few vendors' programs: small files made here, and real ones where kept."""

import json
import struct
import zipfile

import h5py
import numpy as np
import pytest
import tifffile

from nexuslims_contracts.datasets import Axis
from nexuslims_formats import read
from nexuslims_formats.rosettasciio.axes import axes_of, uneven, unit_of
from nexuslims_formats.rosettasciio.reader import (
    _dataset_type,
    _metadata,
)
from nexuslims_formats.rosettasciio.vendor_fields import vendor_metadata


def only(path):
    done = read(path)
    assert done.outcome == "extracted", done.reason
    (dataset,) = done.datasets
    return dataset


def quantity(dataset, field):
    value = dataset.metadata[field]
    return value["value"], value["unit"]


REPORTER = """<?xml version="1.0"?><TemReporter><Instruments>JEM-ARM200F</Instruments>
<DateTime>2019-11-27T16:11:26.6205405+09:00</DateTime><Operator>JEOL</Operator>
<ElectronGun><AccelerationVoltage>200000</AccelerationVoltage></ElectronGun>
<Eos><EosMode>{mode}</EosMode></Eos><ImageFormingSystem><SelectorValue>{value}</SelectorValue>
<SelectorUnitString>{unit}</SelectorUnitString></ImageFormingSystem>
<GonioStage><StagePosition><MX>-1196.3</MX><TX>0.1</TX></StagePosition></GonioStage>
<JemBaumerCamera><Parameter><ImageDataInformation><PixelsPerMeter><Horizontal>4000</Horizontal>
<Vertical>4000</Vertical></PixelsPerMeter></ImageDataInformation></Parameter></JemBaumerCamera>
<Measurement><Text>no metadata</Text></Measurement></TemReporter>"""


@pytest.mark.parametrize(
    ("mode", "value", "unit", "kinds"),
    [
        ("eosTEM", 100000, "X", ("TEM_Imaging", "Image")),
        ("eosASID", 100000, "X", ("STEM_Imaging", "Image")),
        ("eosTEM", 80, "cm", ("TEM_Diffraction", "Diffraction")),
    ],
)
def test_jeol_tells_in_xml_what_the_microscope_did(tmp_path, mode, value, unit, kinds):
    path = tmp_path / "jeol.tif"
    text = REPORTER.format(mode=mode, value=value, unit=unit)
    pixels = np.zeros((4, 6), "uint16")
    tifffile.imwrite(path, pixels, description=text, photometric="minisblack", metadata=None)
    found = only(path)
    assert (found.data_type, found.dataset_type) == kinds
    assert found.creation_time.isoformat() == "2019-11-27T16:11:26+09:00"
    assert quantity(found, "acceleration_voltage") == (200, "kV")
    assert quantity(found, "stage_x") == (-1196.3, "um")
    assert quantity(found, "stage_alpha") == (0.1, "degree")
    assert found.metadata["microscope"] == "JEM-ARM200F"
    assert not any("no metadata" in str(value) for value in found.extensions.values())
    if unit == "X":
        assert quantity(found, "magnification") == (100000, "x")
        assert [axis.scale for axis in found.axes] == pytest.approx([2.5, 2.5])
        assert {axis.unit for axis in found.axes} == {"nm"}
    else:
        assert quantity(found, "camera_length") == (800, "mm")
        # 0.25 mm on the camera, over 0.8 m and 2.508 pm
        assert [axis.scale for axis in found.axes] == pytest.approx([0.1246, 0.1246], rel=1e-3)
        assert {axis.unit for axis in found.axes} == {"1/nm"}
        assert "magnification" not in found.metadata


def test_what_a_camera_of_jeol_records_of_a_scan_has_no_scale_of_the_scan(tmp_path):
    text = REPORTER.format(mode="eosASID", value=100000, unit="X")
    detector = "<ImageSourceDetector>screenCamera</ImageSourceDetector></TemReporter>"
    path, pixels = tmp_path / "jeol.tif", np.zeros((4, 6), "uint16")
    tifffile.imwrite(path, pixels, description=text.replace("</TemReporter>", detector),
                     photometric="minisblack", metadata=None)  # fmt: skip
    found = only(path)
    assert ([axis.unit for axis in found.axes], found.data_type) == (["", ""], "STEM_Imaging")
    assert any("no scale" in one for one in found.warnings)


def test_jeol_without_pixels_per_metre_has_those_of_the_tiff_tags(tmp_path):
    text = REPORTER.format(mode="eosTEM", value=100000, unit="X")
    text = text.replace("PixelsPerMeter", "Other")
    path, pixels = tmp_path / "jeol.tif", np.zeros((4, 6), "uint16")
    tifffile.imwrite(path, pixels, description=text, photometric="minisblack", metadata=None,
                     resolution=(40, 40), resolutionunit="CENTIMETER")  # fmt: skip
    assert [(axis.scale, axis.unit) for axis in only(path).axes] == [(2.5, "nm")] * 2


def test_digitalmicrograph_exports_its_calibration(tmp_path):
    path = tmp_path / "stack.tif"
    units = {65003: "µm", 65004: "µm", 65005: "s"}
    tags = [(code, "s", 0, unit.encode(), True) for code, unit in units.items()]
    numbers = {65006: 2.0, 65007: 0.0, 65008: 0.0, 65009: 0.25, 65010: 0.5, 65011: 2.5}
    tags += [(code, "d", 1, value, True) for code, value in numbers.items()]
    pixels = np.zeros((2, 4, 6), "float32")
    tifffile.imwrite(path, pixels, photometric="minisblack", extratags=tags, metadata=None)
    found = only(path)
    assert found.shape == (2, 4, 6)
    value = [(axis.name, axis.scale, axis.unit, axis.navigate) for axis in found.axes]
    assert value == [("z", 2.5, "s", True), ("y", 0.5, "um", False), ("x", 0.25, "um", False)]
    assert found.axes[2].offset == -0.5


def test_dm5_is_read_as_dm3_is(tmp_path):
    path = tmp_path / "si.dm5"
    with h5py.File(path, "w") as file:
        for number, shape in enumerate([(8, 8), (2, 1, 3)]):
            image = file.create_group(f"ImageList/[{number}]")
            image.attrs["Name"] = np.bytes_(f"image {number}")
            data = image.create_group("ImageData")
            data.attrs["DataType"] = 2
            data["Data"] = np.ones(shape, "float32")
            dimensions = data.create_group("Dimensions")
            for place, size in enumerate(reversed(shape)):
                dimensions.attrs[f"[{place}]"] = size
                axis = data.create_group(f"Calibrations/Dimension/[{place}]")
                axis.attrs.update(Origin=0.0, Scale=2.0, Units=np.bytes_("nm"))
        tags = file["ImageList/[1]"].create_group("ImageTags")
        tags.attrs["Timestamp"] = np.bytes_("2026-04-13T15:40:51.854849")
        tags.attrs["TimezoneOffset"] = np.bytes_("+0100")
        tags.create_group("Meta Data").attrs["Signal"] = np.bytes_("EELS")
        file.create_group("Thumbnails/[0]").attrs["ImageIndex"] = 0
    found = only(path)
    assert (found.name, found.shape, found.dtype) == ("image 1", (2, 1, 3), "float32")
    assert found.data_type.endswith("EELS")
    assert found.creation_time.isoformat() == "2026-04-13T15:40:51+01:00"
    assert read(path).preview() is not None


@pytest.mark.parametrize("kept", ["whole", "events"])
def test_tofwerk_has_a_spectrum_at_every_point_of_every_depth(tmp_path, kept):
    path = tmp_path / "tof.h5"
    with h5py.File(path, "w") as file:
        file.attrs["TofDAQ Version"] = [1.99]
        file.create_group("FIBParams").attrs.update(Voltage=[30000.0], ViewField=[0.01])
        file.create_group("TimingData").attrs.update(
            AcquisitionTimeZero=[134092531056370000], LocalTimeOffsetToUTC=[-5.0]
        )
        spectra = file.create_group("FullSpectra")
        spectra["SumSpectrum"] = np.arange(7.0)
        if kept == "whole":
            spectra["TofData"] = np.zeros((2, 4, 5, 7), "float32")
        else:
            spectra.create_dataset("EventList", (2, 4, 5), h5py.vlen_dtype("u2"))
            spectra["EventList"][0, 1, 1] = np.array([1, 2, 3], "u2")
    found = only(path)
    assert found.shape == (2, 4, 5, 7)
    assert found.dtype == ("float32" if kept == "whole" else "float64")
    assert (found.dataset_type, found.data_type) == ("SpectrumImage", "PFIB_TOFSIMS")
    assert found.creation_time.isoformat() == "2025-12-03T11:31:46-05:00"
    assert quantity(found, "acceleration_voltage") == (30, "kV")
    assert [axis.scale for axis in found.axes[:3]] == pytest.approx([1.0, 2.5, 2.0])
    assert read(path).preview() is not None


def zarr(path, *, compressor=None, chunk=b"", **changes):
    header = {
        "zarr_format": 2, "shape": [4, 6], "chunks": [4, 6], "dtype": "<i2", "fill_value": 0,
        "filters": None, "order": "C", "compressor": compressor,
    } | changes  # fmt: skip
    axes = [{"name": "x", "navigate": True, "scale": 2.0, "units": "nm"},
            {"name": "Energy", "navigate": False, "scale": 10.0, "units": "eV"}]  # fmt: skip
    with zipfile.ZipFile(path, "w") as store:
        store.writestr("Experiments/one/data/.zarray", json.dumps(header))
        for number, axis in enumerate(axes):
            name = f"Experiments/one/axis-{number}/.zattrs"
            store.writestr(name, json.dumps({"offset": 0.0, "size": 0, **axis}))
        general = {"title": "A line", "date": "2025-06-27", "time": "16:29:42"}
        store.writestr("Experiments/one/metadata/General/.zattrs", json.dumps(general))
        if chunk:
            store.writestr("Experiments/one/data/0.0", chunk)


def test_zspy_is_read_without_zarr(tmp_path):
    path = tmp_path / "line.zspy"
    zarr(path, chunk=np.arange(24, dtype="<i2").tobytes())
    found = only(path)
    assert (found.name, found.shape, found.dtype) == ("A line", (4, 6), "int16")
    assert found.dataset_type == "SpectrumImage"
    assert [(axis.scale, axis.unit) for axis in found.axes] == [(2.0, "nm"), (10.0, "eV")]
    assert read(path).preview() is not None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"compressor": {"id": "odd"}, "chunk": b"1"}, "unknown codec 'odd'"),
        ({"shape": "wide"}, "no shape"),
        ({"chunk": b"123"}, "damaged"),
    ],
)
def test_a_zspy_that_cannot_be_read_says_why(tmp_path, changes, reason):
    path = tmp_path / "odd.zspy"
    zarr(path, **changes)
    done = read(path)
    assert done.outcome == "failed"
    assert reason in done.reason


def test_a_large_zspy_tells_its_shape_and_shows_no_preview(tmp_path):
    path = tmp_path / "large.zspy"
    zarr(path, shape=[100_000, 100_000], chunks=[1000, 1000])
    found = only(path)
    assert found.shape == (100_000, 100_000)
    assert read(path).preview() is None


@pytest.mark.parametrize(
    ("module", "tree", "expected"),
    [
        ("pantarhei", {"scan_generator.detector": "pnADF", "scan_generator.dwell_time": 1.5e-5},
         {"detector_type": "pnADF", "dwell_time": (1.5e-5, "s")}),
        ("emd", {"microscope": {"voltage": "300kV", "name": "Titan"}},
         {"acceleration_voltage": (300.0, "kV"), "microscope": "Titan"}),
        ("mrc", {"anything": 1}, {}),
    ],
)  # fmt: skip
def test_what_vendors_say_beyond_the_generic_tree(module, tree, expected):
    assert dict(vendor_metadata(module, tree)) == expected


KEPT = {
    "blo__test2.blo": (1, "Diffraction", (2, 3, 5, 5)),
    "emd-velox__SI_empty_selection.emd": (6, "SpectrumImage", (16, 20, 4096)),
    "jeol-eds__rawdata.ASW": (7, "SpectrumImage", (512, 512, 4096)),
    "tif-jeol__JEOL-SightX-TEM-mag-dummy.tif": (1, "Image", (556, 556)),
    "dm5__ref_T_0_1.dm5": (1, "SpectrumImage", (2, 1, 3)),
    "zspy__signal1d_10x10-ZipStore.zspy": (1, "SpectrumImage", (10, 10)),
}


@pytest.mark.corpus
@pytest.mark.parametrize("entry", KEPT)
def test_real_files(corpus, entry):
    """The small corpus does not have them: they are from other programs' test suites."""
    done = read(corpus.file(entry))
    assert done.outcome == "extracted", done.reason
    last = done.datasets[-1]
    assert (len(done.datasets), last.dataset_type, last.shape) == KEPT[entry]


def test_an_image_whose_axes_all_belong_to_the_scan_is_no_spectrum_image():
    scan = tuple(Axis(name=name, size=9, unit="µm", navigate=True) for name in "yx")
    assert _dataset_type(scan, "") == "Image"
    energy = Axis(name="Energy", size=9, unit="keV")
    assert _dataset_type((*scan, energy), "EDS_SEM") == "SpectrumImage"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("nm", "Image"), ("1/nm", "Diffraction"), ("", "Diffraction"), ("cm", "Diffraction")],
)
def test_images_of_several_depths_and_angles_are_no_patterns(unit, expected):
    above = tuple(Axis(name=name, size=3, navigate=True) for name in ("depth", "angle"))
    plane = tuple(Axis(name=name, size=9, unit=unit) for name in "yx")
    assert _dataset_type((*above, *plane), "") == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (np.linspace(400, 700, 31), (10.0, 400.0, "nm")),
        (np.geomspace(400, 700, 31), (1.0, 0.0, "")),
    ],
)
def test_axes_given_value_by_value(steps, expected):
    value = [{"name": "Wavelength", "axis": steps, "units": "nm", "navigate": False}]
    (axis,) = axes_of(value, (31,))
    assert (round(axis.scale, 9), axis.offset, axis.unit) == expected
    assert bool(list(uneven(value))) == (axis.unit == "")


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        ("Energy Loss (eV)", "eV"),
        ("Energy (EV)", "eV"),
        ("Sum (A+B)", "Sum (A+B)"),
        ("eV", "eV"),
        ("(eV)", "(eV)"),
        (None, ""),
        ("1 / nm", "1/nm"),
    ],
)
def test_units_behind_their_quantity(value, unit):
    assert unit_of(value) == unit


def test_mrc_of_a_big_endian_machine(tmp_path):
    words = np.zeros(256, ">i4")
    words[:10] = 4, 3, 2, 1, 0, 0, 0, 4, 3, 2
    words[10:13] = np.array([40, 30, 2], ">f4").view(">i4")
    words[52] = int.from_bytes(b"MAP ", "big")
    words[53] = 0x11110000
    path = tmp_path / "big.mrc"
    path.write_bytes(words.tobytes() + np.arange(24, dtype=">i2").tobytes())
    found = only(path)
    assert found.shape == (2, 3, 4)
    path.write_bytes(path.read_bytes()[:-8])
    assert read(path).outcome != "extracted"


def test_a_gatan_tiff_without_an_image_is_damaged(tmp_path):
    path = tmp_path / "none.tif"
    entries = struct.pack("<HHII", 65003, 2, 2, 0x6D6E) + struct.pack("<HHII", 65009, 11, 1, 0)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4))
    done = read(path)
    assert done.outcome == "failed", done
    assert "no image" in done.reason


def test_units_that_the_generic_tree_states_count():
    below = {"beam_energy": 4996.0, "beam_energy_units": "V", "Stage": {"x": 1, "x_units": "um"}}
    value = dict(_metadata(below))
    assert value == {"acceleration_voltage": (4996.0, "V"), "stage_x": (1.0, "um")}
