"""What other files of the kinds in public reports hold: it is read, or something is said."""

import base64
import json

import numpy as np
import pytest
import tifffile

from nexuslims_formats import read
from nexuslims_formats.testing import DmFile

PIXELS = np.arange(64 * 96, dtype=np.uint8).reshape(64, 96)
SECTIONS = "[User]\r\nDate=05/17/2016\r\nTime=03:04:05 PM\r\n[Beam]\r\nHV=15000\r\nBeam=EBeam\r\n"
XML = (
    '<?xml version="1.0" encoding="utf-16"?><Metadata><Optics><AccelerationVoltage>15000'
    "</AccelerationVoltage></Optics></Metadata>"
)
JEOL = (
    "<TemReporter><ElectronGun><AccelerationVoltage>15000</AccelerationVoltage></ElectronGun>"
    "</TemReporter>"
)
OPENFIBSEM = json.dumps(
    {"pixel_size": {"x": 1e-9, "y": 1e-9},
     "microscope_state": {"electron_beam": {"voltage": 15000}}}
)  # fmt: skip


def tiff(path, *tags, **options):
    given = [(code, "B", len(raw), raw, True) for code, raw in tags]
    options = {"photometric": "minisblack", "metadata": None, **options}
    tifffile.imwrite(path, options.pop("pixels", PIXELS), extratags=given, **options)
    return path


def micrograph(path, *, units="nm", data_type=2, columns=8, **tags):
    calibration = {"Origin": (6, 0.0), "Scale": (6, 0.5), "Units": units}
    image = {
        "ImageData": {
            "Calibrations": {"Dimension": {"a": calibration, "b": calibration}},
            "Data": np.zeros(48, "<f4").tobytes(),
            "DataType": (5, data_type),
            "Dimensions": {"a": (5, columns), "b": (5, 6)},
        },
        "ImageTags": tags,
    }
    path.write_bytes(DmFile(3).bytes({"ImageList": {"a": image}}))
    return path


def voltage(reading):
    return [found.metadata["acceleration_voltage"]["value"] for found in reading.datasets]


@pytest.mark.parametrize("description", [JEOL, OPENFIBSEM])
def test_the_description_of_the_second_page_counts(tmp_path, description):
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((64, 96, 3), np.uint8), photometric="rgb", metadata=None)
        file.write(PIXELS, photometric="minisblack", metadata=None, description=description)
    assert voltage(read(path)) == [15.0, 15.0]


def test_the_scale_of_imagej_on_the_second_page_counts(tmp_path):
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as file:
        for pixels, text in ((np.zeros((8, 9, 3), np.uint8), ""), (PIXELS, "ImageJ=1.5\nunit=A\n")):
            file.write(pixels, metadata=None, description=text, resolution=(1 / 123, 1 / 123),
                       photometric="rgb" if pixels.ndim == 3 else "minisblack")  # fmt: skip
    for dataset in read(path).datasets:
        assert dataset.metadata["pixel_width"]["value"] == pytest.approx(12.3)


@pytest.mark.parametrize("code", [34680, 34682])
@pytest.mark.parametrize(
    "raw",
    [
        SECTIONS.encode("utf-16"), base64.b64encode(SECTIONS.encode()), XML.encode("utf-16"),
        base64.b64encode(b"\xef\xbb\xbf" + XML.encode()), XML.encode(),
    ],
)  # fmt: skip
def test_fei_packs_its_metadata_in_several_ways(tmp_path, code, raw):
    reading = read(tiff(tmp_path / "a.tif", (code, raw)))
    assert (reading.outcome, voltage(reading)) == ("extracted", [15.0])


@pytest.mark.parametrize(
    ("code", "raw"),
    [
        (34680, base64.b64encode(b"no metadata of any kind")), (34682, b'{"json": 1}'),
        (34682, b"<Metadata><Optics>"), (34118, b"garbage AP_ x"), (50431, b"\0\1\2 garbage"),
        (65000, b"<ImageTags><Fov>"), (51023, b"<Fibics>"),
    ],
)  # fmt: skip
def test_a_block_of_a_vendor_that_cannot_be_read_costs_the_block_only(tmp_path, code, raw):
    reading = read(tiff(tmp_path / "a.tif", (code, raw)))
    assert reading.outcome == "partial"
    assert reading.datasets[0].shape == (64, 96)


def test_a_damaged_report_of_jeol_costs_the_report_only(tmp_path):
    reading = read(tiff(tmp_path / "a.tif", description="<TemReporter><Electron"))
    assert (reading.outcome, reading.datasets[0].shape) == ("partial", (64, 96))


@pytest.mark.parametrize("unit", ["1/nm", "sec", "furlongs per fortnight"])
def test_a_scale_of_imagej_that_is_no_length_is_named(tmp_path, unit):
    path = tiff(tmp_path / "a.tif", description=f"ImageJ=1.5\nunit={unit}\n", resolution=(2, 2))
    (dataset,) = read(path).datasets
    assert any(repr(unit) in words for words in dataset.warnings)


@pytest.mark.parametrize("size", ["0", "-1", "nan"])
def test_a_size_of_ome_that_is_none_is_named(tmp_path, size):
    text = (
        f'<OME><Image><Pixels PhysicalSizeX="{size}" PhysicalSizeY="{size}"/></Image></OME>'
    )  # fmt: skip
    (dataset,) = read(tiff(tmp_path / "a.ome.tif", description=text)).datasets
    assert any(f"{size} um" in words for words in dataset.warnings)


@pytest.mark.parametrize("text", ['{"shape": [20, 64, 96]}', "shape=(20, 64, 96)"])
def test_a_stack_of_tifffile_may_have_one_directory(tmp_path, text):
    path = tiff(tmp_path / "a.tif", description=text)
    path.write_bytes(path.read_bytes() + 19 * PIXELS.tobytes())
    assert read(path).datasets[0].shape == (20, 64, 96)


def test_a_stack_of_metamorph_has_one_directory(tmp_path):
    path = tmp_path / "a.stk"
    planes = [(33629, "2I", 5, (1, 1) * 5, True)]
    tifffile.imwrite(path, PIXELS, photometric="minisblack", metadata=None, extratags=planes)
    path.write_bytes(path.read_bytes() + 4 * PIXELS.tobytes())
    assert read(path).datasets[0].shape == (5, 64, 96)


def test_images_behind_the_only_directory_are_named(tmp_path):
    path = tiff(tmp_path / "a.tif", pixels=np.zeros((300, 300), np.uint8))
    path.write_bytes(path.read_bytes() + bytes(90_000))
    (dataset,) = read(path).datasets
    assert dataset.warnings == (
        "behind its only image the file has 90000 bytes more, enough for another",
    )


def test_an_operation_mode_tells_a_diffraction_pattern_too(tmp_path):
    info = {"Operation Mode": "DIFFRACTION", "Indicated Magnification": (7, 970.0)}
    path = micrograph(tmp_path / "a.dm3", units="1/nm", **{"Microscope Info": info})
    metadata = read(path).datasets[0].metadata
    assert metadata["camera_length"]["value"] == 970
    assert "magnification" not in metadata


def test_a_pattern_of_fei_has_no_magnification(tmp_path):
    rows = (("Mode", "TEM Diffraction", ""), ("Magnification", "970", "x"),
            ("Camera length", "0.97", "m"))  # fmt: skip
    xml = "".join(
        f"<Data><Label>{label}</Label><Value>{value}</Value><Unit>{unit}</Unit></Data>"
        for label, value, unit in rows
    )
    metadata = read(tiff(tmp_path / "a.tif", (34682, f"<Root>{xml}</Root>".encode()))).datasets[0]
    assert metadata.metadata["camera_length"]["value"] == 970
    assert "magnification" not in metadata.metadata


@pytest.mark.parametrize(
    ("units", "unit", "words"),
    [
        ("A", "angstrom", ""), ("pixels", "pixels", ""), ("n_m", "n_m", "is not known"),
        ("furlong", "", "not plausible"),
    ],
)  # fmt: skip
def test_the_unit_of_an_axis_is_known_or_named(tmp_path, units, unit, words):
    (dataset,) = read(micrograph(tmp_path / "a.dm3", units=units)).datasets
    assert dataset.axes[0].unit == unit
    assert bool(words) == bool(dataset.warnings)
    assert words in " ".join(dataset.warnings)


def test_image_data_of_an_unknown_type_is_unsupported(tmp_path):
    reading = read(micrograph(tmp_path / "a.dm3", data_type=99))
    assert (reading.outcome, reading.reason) == (
        "unsupported", "a.dm3: digital_micrograph 1.0: image data of the unknown type 99",
    )  # fmt: skip


@pytest.mark.parametrize("columns", [9, 0xFFFFFFFF])
def test_an_image_larger_than_its_data_is_partial(tmp_path, columns):
    reading = read(micrograph(tmp_path / "a.dm3", columns=columns))
    assert reading.outcome == "partial"
    assert f"the image takes {columns * 24} bytes, but its data has 192" in reading.reason


@pytest.mark.parametrize(
    ("name", "text"),
    [("XPERCHAN", "inf"), ("XPERCHAN", "9" * 500), ("OFFSET", "nan"), ("NPOINTS", "-4")],
)
def test_a_number_of_emsa_that_is_none_is_named(tmp_path, name, text):
    entries = {"FORMAT": "EMSA/MAS Spectral Data File", "NPOINTS": "2", "XPERCHAN": "10",
               "OFFSET": "0", "XUNITS": "eV", "DATATYPE": "Y", name: text}  # fmt: skip
    lines = "".join(f"#{key:<12}: {value}\n" for key, value in entries.items())
    path = tmp_path / "a.msa"
    path.write_text(f"{lines}#SPECTRUM    : \n1.0,\n2.0,\n#ENDOFDATA   : \n")
    (dataset,) = read(path).datasets
    assert any(words.startswith(f"{name} is '{text[:40]}'") for words in dataset.warnings)


def test_a_text_of_an_unknown_encoding_is_named(tmp_path):
    header = "[MAIN]\r\nFullUserName=สมชาย\r\nPixelSizeX=1e-9\r\nPixelSizeY=1e-9\r\n"
    (dataset,) = read(tiff(tmp_path / "a.tif", (50431, header.encode("cp874")))).datasets
    assert any("operator is in an encoding that cannot be told" in one for one in dataset.warnings)


@pytest.mark.parametrize("point", [".", ","])
def test_ripple_may_have_decimal_commas(tmp_path, point):
    header = {
        "width": "4", "height": "3", "depth": "5", "offset": "0", "data-length": "2",
        "data-type": "unsigned", "byte-order": "little-endian", "record-by": "vector",
        "beam-energy": f"15{point}5", "depth-scale": f"0{point}01", "depth-units": "keV",
        "width-scale": f"0{point}5", "width-units": "um",
    }  # fmt: skip
    path = tmp_path / "map.rpl"
    path.write_text("key\tvalue\n" + "".join(f"{key}\t{text}\n" for key, text in header.items()))
    path.with_suffix(".raw").write_bytes(bytes(120))
    reading = read(path)
    assert (reading.outcome, voltage(reading)) == ("extracted", [15.5])
    assert sorted(axis.scale for axis in reading.datasets[0].axes) == [0.01, 0.5, 1.0]
