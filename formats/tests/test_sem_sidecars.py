"""Scanning microscopes: scale and metadata beside the image, whatever its format, or deep in it."""

import base64
import json
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from nexuslims_formats import read

PIXELS = np.arange(96 * 128, dtype=np.uint16).reshape(96, 128).astype(np.uint8)
JEOL = """\
$SEM_DATA_VERSION 1
$CM_DATE 2019/05/08
$CM_TIME 14:03:11
$CM_INSTRUMENT JSM-7600F
$CM_ACCEL_VOLT 15.00
$CM_MAG 20000
$CM_FULL_SIZE 128 96
$$SM_WD 8.1
$$SM_MICRON_BAR 52
$$SM_MICRON_MARKER 1um
"""
TESCAN = """\
[MAIN]
Date=2019-05-08
Device=MIRA3
ImageStripSize=16
Magnification=10000
PixelSizeX=20e-9
PixelSizeY=20e-9
Time=10:11:12
[SEM]
HV=15000
WD=0.0101
"""


def only(path):
    reading = read(path)
    assert reading.outcome == "extracted", reading.reason
    (dataset,) = reading.datasets
    return dataset


def pixel(dataset):
    axis = dataset.axes[1]
    return round(axis.scale, 5), axis.unit


@pytest.mark.parametrize(
    ("name", "beside", "text"),
    [
        ("steel.png", "steel-png.hdr", TESCAN),
        ("steel.tif", "steel.hdr", TESCAN),
        ("steel.bmp", "steel.txt", JEOL),
        ("steel.tif", "steel.txt", JEOL),
    ],
)
def test_a_link_out_beside_an_image_costs_its_metadata_and_is_named(tmp_path, name, beside, text):
    folder = tmp_path / "session"
    folder.mkdir()
    Image.fromarray(PIXELS).save(folder / name)
    (tmp_path / "elsewhere").write_text(text)
    (folder / beside).symlink_to(tmp_path / "elsewhere")
    reading = read(folder / name)
    assert reading.outcome == "partial"
    assert f"{beside} beside it leads outside its folder" in reading.reason
    assert reading.datasets[0].shape == PIXELS.shape


@pytest.mark.parametrize("suffix", ["bmp", "jpg", "png"])
def test_the_text_of_jeol_is_read_beside_any_image(tmp_path, suffix):
    path = tmp_path / f"steel.{suffix}"
    Image.fromarray(PIXELS).save(path)
    path.with_suffix(".txt").write_text(JEOL)
    dataset = only(path)
    assert (dataset.data_type, pixel(dataset)) == ("SEM_Imaging", (19.23077, "nm"))
    assert dataset.metadata["acceleration_voltage"] == {"value": 15.0, "unit": "kV"}
    assert dataset.metadata["magnification"] == {"value": 20000.0, "unit": "x"}
    assert dataset.metadata["working_distance"] == {"value": 8.1, "unit": "mm"}
    assert dataset.creation_time.isoformat() == "2019-05-08T14:03:11+00:00"


def test_a_text_of_another_image_gives_no_scale_and_is_reported(tmp_path):
    path = tmp_path / "other.png"
    Image.fromarray(PIXELS[:, :100]).save(path)
    path.with_suffix(".txt").write_text(JEOL)
    reading = read(path)
    assert (reading.outcome, reading.datasets[0].axes[1].unit) == ("partial", "")
    assert "128 x 96 pixels" in reading.reason


def test_the_scale_of_jeol_follows_from_the_magnification(tmp_path):
    """A picture is 128 mm wide; what is derived is marked, and no current of zero is believed."""
    path = tmp_path / "led.tif"
    tifffile.imwrite(path, PIXELS)
    lines = [line for line in JEOL.splitlines() if "MICRON" not in line]
    lines += ["$CM_MAG 50", "$$SM_PROBE_CURRENT 0.00", "$SM_EMI_CURRENT 129.00"]
    path.with_suffix(".txt").write_text("\n".join(line for line in lines if "20000" not in line))
    dataset = only(path)
    assert pixel(dataset) == (20.0, "um")
    assert {"pixel_height", "pixel_width"} <= set(dataset.warnings)
    assert "probe_current" not in dataset.metadata
    assert dataset.metadata["emission_current"] == {"value": 129.0, "unit": "uA"}


@pytest.mark.parametrize("name", ["{0}.hdr", "{0}.{1}.hdr", "{0}-{1}.hdr"])
@pytest.mark.parametrize("suffix", ["tif", "png", "jpg"])
def test_the_header_of_tescan_is_found_under_all_its_names(tmp_path, name, suffix):
    path = tmp_path / f"coat.{suffix}"
    Image.fromarray(PIXELS).save(path)
    (tmp_path / name.format("coat", suffix)).write_text(TESCAN)
    dataset = only(path)
    assert (dataset.data_type, pixel(dataset)) == ("SEM_Imaging", (20.0, "nm"))
    assert dataset.metadata["microscope"] == "MIRA3"
    assert dataset.metadata["acceleration_voltage"] == {"value": 15.0, "unit": "kV"}
    assert dataset.creation_time.isoformat() == "2019-05-08T10:11:12+00:00"
    assert len(read(path).pixels(0)) == 96 - 16  # without the strip of words


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_a_header_of_another_program_is_left_alone(tmp_path, suffix):
    path = tmp_path / f"scan.{suffix}"
    Image.fromarray(PIXELS).save(path)
    path.with_suffix(".hdr").write_text("HDR,\nFrames in Acquisition (Number):\t1\n")
    assert only(path).data_type == "Image"


def chunk(kind, content):
    return struct.pack("<IH", len(content) + 2, kind) + content


def test_the_tag_of_tescan_is_read_by_its_chunks(tmp_path):
    """Bytes of the thumbnail that look like an entry are none."""
    main, sem = TESCAN.split("[SEM]\n")
    thumbnail = b"\0\0\0\x0cjP  \r\n\x87\n" + b"kdor=\x9a:v\xfe\r\n" * 9
    raw = chunk(1, thumbnail) + chunk(2, main.removeprefix("[MAIN]\n").encode()) + chunk(
        3, sem.encode()
    )  # fmt: skip
    path = tmp_path / "chunks.tif"
    tag = (50431, "B", len(raw + chunk(0, b"")), raw + chunk(0, b""), True)
    tifffile.imwrite(path, PIXELS, metadata=None, extratags=[tag])
    dataset = only(path)
    assert pixel(dataset) == (20.0, "nm")
    assert dataset.metadata["working_distance"] == {"value": 10.1, "unit": "mm"}
    assert not [name for name in dataset.extensions if "kdor" in name]


def test_a_tag_of_tescan_of_an_unknown_form_is_reported(tmp_path):
    path = tmp_path / "odd.tif"
    tag = (50431, "B", 64, b"\x07" * 64, True)
    tifffile.imwrite(path, PIXELS, metadata=None, extratags=[tag])
    reading = read(path)
    assert reading.outcome == "partial"
    assert "unknown form" in reading.reason


ZEISS = b"AP_MAG\r\nMag = 5.00 K X\r\nAP_WD\r\nWD = 3.9 mm\r\n"


@pytest.mark.parametrize("on", [0, 1])
def test_a_vendors_tag_is_found_on_any_page(tmp_path, on):
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in range(2):
            tags = [(34118, "B", len(ZEISS), ZEISS, True)] if page == on else []
            colours = np.stack([PIXELS] * 3, axis=-1) if page == 0 else PIXELS
            kind = "rgb" if page == 0 else "minisblack"
            writer.write(colours, photometric=kind, metadata=None, extratags=tags)
    reading = read(path)
    assert reading.extractor.name == "zeiss_tiff"
    assert {one.metadata["magnification"]["value"] for one in reading.datasets} == {5000.0}


def memento(*items):
    return "".join(
        f"<item><key><string>{name}</string></key><value><MementoItem><Name>{name}</Name>"
        f"{content}</MementoItem></value></item>"
        for name, content in items
    )


def test_the_base64_of_fei_is_decoded(tmp_path):
    pressure = "<MementoItemUnit>MementoItemUnitPascal</MementoItemUnit><anyType>0.000161</anyType>"
    section = f"<MementoItemSection>{memento(('Pressure', pressure))}</MementoItemSection>"
    document = f"<MementoItemCollection>{memento(('Chamber', section))}</MementoItemCollection>"
    text = base64.b64encode(b'\xef\xbb\xbf<?xml version="1.0"?>' + document.encode())
    path = tmp_path / "helios.tif"
    tag = (34680, "s", 0, text, True)
    tifffile.imwrite(path, PIXELS, metadata=None, extratags=[tag])
    assert only(path).metadata["chamber_pressure"] == {"value": 0.000161, "unit": "Pa"}


def test_a_tag_of_fei_of_an_unknown_form_is_reported(tmp_path):
    path = tmp_path / "helios.tif"
    tag = (34680, "s", 0, b"bm90aGluZyB0aGF0IGlzIGtub3du", True)
    tifffile.imwrite(path, PIXELS, metadata=None, extratags=[tag])
    reading = read(path)
    assert reading.outcome == "partial"
    assert "unknown form" in reading.reason


@pytest.mark.parametrize(
    ("beam", "data_type", "voltage"), [("ELECTRON", "SEM_Imaging", 2.0), ("ION", "FIB_Imaging", 30)]
)
def test_the_json_of_openfibsem_is_read(tmp_path, beam, data_type, voltage):
    columns = {"voltage": 2000, "beam_current": 1e-12, "working_distance": 0.004}
    state = {
        "timestamp": 1705987635.2,
        "stage_position": {"x": 1e-3, "y": 0.0, "z": 0.0, "r": 0.0, "t": 0.0},
        "electron_beam": columns,
        "ion_beam": {**columns, "voltage": 30000},
    }
    tree = {
        "image": {"beam_type": beam, "dwell_time": 1e-6, "hfw": 1.5e-4},
        "pixel_size": {"x": 9.765625e-8, "y": 9.765625e-8},
        "microscope_state": state,
        "system": {"info": {"model": "Unknown"}},
    }
    path = tmp_path / "lamella.tif"
    tifffile.imwrite(path, PIXELS, metadata=None, description=json.dumps(tree))
    dataset = only(path)
    assert (dataset.data_type, pixel(dataset)) == (data_type, (97.65625, "nm"))
    assert dataset.metadata["acceleration_voltage"] == {"value": voltage, "unit": "kV"}
    assert dataset.metadata["stage_x"]["value"] == pytest.approx(1000)
    assert dataset.creation_time.isoformat() == "2024-01-23T05:27:15+00:00"
    assert "microscope" not in dataset.metadata


HITACHI = """\
[SemImageFile]
InstructName=S-4700
DataSize=128x96
Magnification=15000
MicronMarker=3000
Condition=Vacc=10kV   Mag=x15.0k   WD=8.1mm
"""


def test_the_scale_of_an_s4700_follows_from_the_magnification(tmp_path):
    path = tmp_path / "old.tif"
    tifffile.imwrite(path, PIXELS)
    path.with_suffix(".txt").write_text(HITACHI)
    dataset = only(path)
    assert pixel(dataset) == (round(127e6 / 15000 / 128, 5), "nm")
    assert {"pixel_height", "pixel_width"} <= set(dataset.warnings)
    assert dataset.metadata["acceleration_voltage"] == {"value": 10.0, "unit": "kV"}
    assert dataset.metadata["working_distance"] == {"value": 8.1, "unit": "mm"}


def test_the_databar_of_an_xl30_is_read(tmp_path):
    path = tmp_path / "xl30.tif"
    text = (
        b"[DatabarData]\r\nMagnification = 5000\r\nflAccV = 20000\r\nflWD = 9.8\r\nflSpot = 3\r\n"
    )
    tifffile.imwrite(path, PIXELS, metadata=None, extratags=[(34680, "s", 0, text, True)])
    dataset = only(path)
    assert dataset.metadata["acceleration_voltage"] == {"value": 20.0, "unit": "kV"}
    assert dataset.metadata["magnification"] == {"value": 5000.0, "unit": "x"}
    assert dataset.metadata["working_distance"] == {"value": 9.8, "unit": "mm"}


PHENOM = b"""<?xml version="1.0"?><FeiImage><databarHeight>16</databarHeight>
<pixelWidth unit="um">0.5</pixelWidth><time>2019-08-07T09:37:31</time>
<acquisition><scan><dwellTime unit="ns">200</dwellTime><highVoltage unit="kV">-15</highVoltage>
<detector>bsd-all</detector></scan></acquisition><workingDistance unit="mm">8.1</workingDistance>
<instrument><edition>G5 XL</edition></instrument></FeiImage>"""


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_the_xml_of_phenom_is_read(tmp_path, suffix):
    path = tmp_path / f"desk.{suffix}"
    if suffix == "tif":
        tag = (34683, "B", len(PHENOM), PHENOM, True)
        tifffile.imwrite(path, PIXELS, metadata=None, extratags=[tag])
    else:
        Image.fromarray(PIXELS).save(path)
        path.write_bytes(path.read_bytes() + PHENOM)
    dataset = only(path)
    assert (dataset.data_type, pixel(dataset)) == ("SEM_Imaging", (500.0, "nm"))
    assert dataset.metadata["acceleration_voltage"] == {"value": 15.0, "unit": "kV"}
    assert dataset.metadata["dwell_time"] == {"value": 0.2, "unit": "us"}
    assert dataset.metadata["microscope"] == "G5 XL"
    assert dataset.creation_time.isoformat() == "2019-08-07T09:37:31+00:00"
    assert len(read(path).pixels(0)) == 96 - 16
