"""Small whole files of every kind that our own parsers read, to be damaged by the tests."""

import json
import math
import re
import struct
import unicodedata

import numpy as np
import pytest
import tifffile

from nexuslims_extractor.core import extract_file
from nexuslims_extractor.printing import as_record

FEI = """[User]
Date=12/18/2017
Time=01:04:14 PM
User=somebody
[Beam]
HV=30000
Beam=EBeam
Scan=EScan
[EBeam]
HFW=0.000452548
[Scan]
PixelWidth=4.4e-007
PixelHeight=4.4e-007
[Image]
ResolutionY=6
MagCanvasRealWidth=0.3
"""
FEI_TEM = (
    "<Root><Data><Label>Microscope</Label><Value>Titan</Value><Unit></Unit></Data>"
    "<Data><Label>High tension</Label><Value>300</Value><Unit>kV</Unit></Data></Root>"
)
ORION = (
    "<ImageTags><AccelerationVoltage><Value>30000</Value><Units>Volts</Units>"
    "</AccelerationVoltage><Fov><Value>5</Value><Units>Microns</Units></Fov></ImageTags>"
)
FIBICS = (
    "<Fibics><Scan><Dwell>1000</Dwell><FOV_X>5</FOV_X></Scan>"
    '<BeamInfo><item name="AccV">30000</item></BeamInfo></Fibics>'
)
ZEISS = "\r\nAP_WD\r\nWD = 3.9 mm\r\nAP_MAG\r\nMag = 20.0 K X\r\nAP_WIDTH\r\nWidth = 5 um\r\n"
TESCAN = "[MAIN]\r\nDate=2020-01-02\r\nTime=03:04:05\r\nImageStripSize=2\r\n[SEM]\r\nHV=5000\r\n"
EMI = (
    b"JJ" + bytes(20) + b"<ObjectInfo><AcquireDate>Tue Nov 13 12:49:32 2018</AcquireDate>"
    b"<ExperimentalConditions><MicroscopeConditions><AcceleratingVoltage>300000"
    b"</AcceleratingVoltage></MicroscopeConditions></ExperimentalConditions></ObjectInfo>"
)
_UNFIT = ("Cc", "Cs", "Zl", "Zp")
_SPACES = str.maketrans("", "", "\t\n\r")
_FOREIGN = re.compile(r"unknown variant")


def _tiff(path, tag, text, **options):
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    tags = [(tag, "s", 0, text, True)]
    tifffile.imwrite(
        path, pixels, photometric="minisblack", extratags=tags, metadata=None, **options
    )
    return path.read_bytes()


def _series(*, spectra, scale=1e-9):
    """Return a TIA series of two images of 2 x 3, or of two spectra of 4 channels."""
    if spectra:
        element = struct.pack("<ddIHI4H", 0.0, scale, 0, 2, 4, 1, 2, 3, 4)
    else:
        element = struct.pack("<ddIddIHII6H", 0, scale, 0, 0, scale, 0, 2, 3, 2, *range(6))
    start = b"II\x97\x01" + struct.pack("<HIIII", 0x210, 0x4122 - 2 * spectra, 0x4142, 2, 2)
    line = struct.pack("<IddII4sI6s", 2, 0.0, 1e-9, 0, 4, b"Line", 6, b"meters")
    table = len(start) + 8 + len(line)
    first = table + 16
    tags = first + 2 * len(element)
    return b"".join(
        (
            start, struct.pack("<II", table, 1), line,
            struct.pack("<4I", first, first + len(element), tags, tags + 24),
            element, element,
            *(struct.pack("<HHIdd", 0x4142, 0, 1542131372, x * 1e-9, 0.0) for x in range(2)),
        )
    )  # fmt: skip


def _dm(builder):
    calibration = {"Origin": (6, 0.0), "Scale": (6, 0.5), "Units": "nm"}
    image = {
        "ImageData": {
            "Calibrations": {"Dimension": {"a": calibration, "b": calibration}},
            "Data": np.arange(12, dtype="<f4").tobytes(),
            "DataType": (5, 2),
            "Dimensions": {"a": (5, 4), "b": (5, 3)},
        },
        "ImageTags": {
            "Microscope Info": {"Voltage": (7, 300000.0), "Operator": "X"},
            "DataBar": {"Acquisition Date": "11/13/2018", "Acquisition Time": "12:49:45 PM"},
        },
        "Name": "made here",
    }
    return builder.bytes({"ImageList": {"a": image}, "Thumbnails": {}})


@pytest.fixture(scope="session")
def tia_series():
    """Build a TIA series: ``tia_series(spectra=True, scale=5.0)``."""
    return _series


@pytest.fixture(scope="session")
def whole(tmp_path_factory, dm_file):
    """Return the bytes of a whole file by its name."""
    made = tmp_path_factory.mktemp("whole") / "made.tif"
    return {
        "gatan.dm3": _dm(dm_file(3)),
        "gatan.dm4": _dm(dm_file(4)),
        "images.ser": _series(spectra=False),
        "spectra.ser": _series(spectra=True),
        "alone.emi": EMI,
        "text.tif": FEI.encode(),
        "fei.tif": _tiff(made, 34682, FEI),
        "fei_big.tif": _tiff(made, 34682, FEI, bigtiff=True),
        "fei_motorola.tif": _tiff(made, 34682, FEI, byteorder=">"),
        "fei_lzw.tif": _tiff(made, 34682, FEI, compression="lzw"),
        "fei_tem.tif": _tiff(made, 34682, FEI_TEM),
        "orion.tif": _tiff(made, 65000, ORION),
        "fibics.tif": _tiff(made, 51023, FIBICS),
        "zeiss.tif": _tiff(made, 34118, ZEISS),
        "tescan.tif": _tiff(made, 50431, TESCAN),
    }


def _clean(value):
    if isinstance(value, str):
        return not any(unicodedata.category(one) in _UNFIT for one in value.translate(_SPACES))
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(_clean(key) and _clean(item) for key, item in value.items())
    return not isinstance(value, list) or all(map(_clean, value))


@pytest.fixture(scope="session")
def judged():
    """Extract a file, and make sure that the outcome is one to show: return it."""

    def judge(path, *, ours=False, **options):
        done = extract_file(path, **options)
        record = as_record(done)
        json.dumps(record, allow_nan=False)
        assert _clean({**record, "file": {}, "previews": []})  # those two name files as they are
        assert bool(done.reason) == (done.outcome != "extracted")
        assert "Traceback" not in (done.reason or "")
        if ours:
            assert not _FOREIGN.search(done.reason or ""), done.reason
        return done

    return judge


@pytest.fixture(scope="session")
def tagged():
    """Write a whole TIFF with a text tag: ``tagged(path, 65000, "<ImageTags/>")``."""
    return _tiff


@pytest.fixture(scope="session")
def tiff():
    """Build a TIFF of one directory: ``tiff((256, 3, 1, 4), following=8)``."""

    def build(*entries, following=0):
        directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        head = b"II*\0" + struct.pack("<IH", 8, len(entries))
        return head + directory + struct.pack("<I", following)

    return build
