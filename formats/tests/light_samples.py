"""Files of spectrometers for light, made from nothing: Renishaw, Horiba, TriVista, Hamamatsu."""

import io
import struct
from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import tifffile
from PIL import Image

START = (datetime(2022, 2, 3, 16, 13, 44) - datetime(1601, 1, 1)).total_seconds() * 1e7  # noqa: DTZ001
TIME, HEIGHT, FOCUS, PLACE_X, PLACE_Y = (11, 24), (5, 5), (14, 5), (3, 5), (4, 5)
"""Renishaw's numbers of a quantity and of its unit."""


def _block(name: str, number: int, body: bytes) -> bytes:
    return name.encode() + struct.pack("<IQ", number, len(body) + 16) + body


def wdf(path: Path, spectra: int, kind: int, origins=(), grid=None, *, planned=None, picture=None):
    """Write a ``.wdf`` of spectra of 8 channels; ``grid`` is (offset, step, size) of x, y and z."""
    size = struct.pack("<Q16x12xIIIQQIIII", 0, 1, 0, 8, planned or spectra, spectra, 1, 1, 8,
                       len(origins))  # fmt: skip
    head = size + b"WiRE".ljust(24, b"\0") + struct.pack("<4HII", 5, 4, 0, 1, 1, kind)
    head += struct.pack("<QQIf48x32s", int(START), int(START), 6, 18797.0, b"") + b"a spectrum"
    content = _block("WDF1", 1, head.ljust(496, b"\0"))
    content += _block("DATA", 0, np.arange(8 * spectra, dtype="<f4").tobytes())
    content += _block("YLST", 0, struct.pack("<IIf", 0, 16, 0.5))
    shifts = (1000 - 10.0 * np.arange(8)).astype("<f4")
    content += _block("XLST", 0, struct.pack("<II", 1, 1) + shifts.tobytes())
    if origins:
        body = struct.pack("<I", len(origins))
        for (quantity, unit), values in origins:
            kept = "<u8" if (quantity, unit) == TIME else "<f8"
            body += struct.pack("<II16x", quantity | 1 << 31, unit)
            body += np.asarray(values, kept).tobytes()
        content += _block("ORGN", 0, body)
    if grid:
        offset, step, sides = grid
        content += _block("WMAP", 0, struct.pack("<II3f3f3II", 1, 0, *offset, *step, *sides, 0))
    if picture:
        jpeg = io.BytesIO()
        Image.new("RGB", picture).save(jpeg, "JPEG")
        content += _block("WHTL", 0, jpeg.getvalue())
    path.write_bytes(content)
    return path


STREAK = """[Application],Date="{date}",Time="11:34:55.147",Software="HPD-TA"\r
[Acquisition],NrExposure=60,ExposureTime=5 s,AcqMode=4,pntBinning="2,2",ZAxisLabel=Intensity,\
ZAxisUnit=Count\r
[Streak camera],DeviceName="C5680",Time Range="20 us",MCP Gain="50"\r
[Spectrograph],DeviceName="Andor SG",Wavelength="500",Grating="300 g/mm",Blaze="500",Ruling="300"\r
[Scaling],ScalingXType=2,ScalingXUnit="nm",ScalingXScalingFile="#{x:07d},0006",ScalingYType=2,\
ScalingYUnit="us",ScalingYScalingFile="#{y:07d},0004"\r
[Comment],UserComment="{comment}\""""


def hamamatsu(path: Path, *, date="20/01/2023", comment="", encoding="utf-8"):
    """Write an ``.img`` of 6 wavelengths and 4 times."""
    length = len(STREAK.format(date=date, comment=comment, x=0, y=0).encode(encoding))
    end = 64 + length + 48
    words = STREAK.format(date=date, comment=comment, x=end, y=end + 24).encode(encoding)
    head = b"IM" + struct.pack("<6hi2hd", length, 6, 4, 0, 0, 2, 0, 0, 0, 0.0)
    scales = np.concatenate([472 + 0.25 * np.arange(6), 0.5 * np.arange(4)]).astype("<f4")
    path.write_bytes(
        head.ljust(64, b"\0") + words + np.arange(24, dtype="<u2").tobytes() + scales.tobytes()
    )
    return path


def streak_tiff(path: Path, *, x="#{x:07d},0006", times=(0.0, 0.5, 1.0, 1.5), cut=0):
    """Write what HPD-TA saves as TIFF: 6 wavelengths and 4 times, whose values follow the image."""

    def write(place: int) -> int:
        words = STREAK.format(date="20/01/2023", comment="", x=place, y=place + 24)
        words = words.replace(f"#{place:07d},0006", x.format(x=place))
        tags = [(315, "s", 0, "Copyright Hamamatsu GmbH, 2018", True)]
        tifffile.imwrite(
            path, np.arange(24, dtype="<u2").reshape(4, 6), description=words, extratags=tags,
            software="HPD-TA 9.5 pf4", metadata=None, photometric="minisblack",
        )  # fmt: skip
        return path.stat().st_size

    write(place := write(0))
    scales = np.concatenate([472 + 0.25 * np.arange(6), times]).astype("<f4").tobytes()
    path.write_bytes(path.read_bytes()[:place] + scales[: len(scales) - cut])
    return path


def _lsx(number: str, content: str) -> str:
    return f'<LSX Format="7" ID="{number}">{content}</LSX>'


def _facts(number: str, facts: dict[str, str]) -> str:
    rows = (_lsx("0x1", _lsx("0x6D6D616E", k) + _lsx("0x7D6C61DB", v)) for k, v in facts.items())
    return _lsx(number, "".join(rows))


def labspec(path: Path, channels: list[float], unit: str, places: dict[str, list[float]]):
    """Write a LabSpec ``.xml``; ``places`` are those of a line or map, in um, x before y."""
    axes = [("Spectr", unit, channels), *((name, "µm", at) for name, at in places.items())]
    count = int(np.prod([len(at) for at in places.values()]))
    given = "".join(
        _lsx(f"0x{number}", _lsx("0x7D6CD4DB", " ".join(map(str, values)))
             + _lsx("0x6D707974", name) + _lsx("0x7C696E75", shown))
        for number, (name, shown, values) in enumerate(axes, 1)
    )  # fmt: skip
    setup = {
        "Acq. time (s)": "3", "Accumulations": "2", "Instrument": "LabRAM HR Evol",
        "Detector": "Symphony VIS", "ND Filter": "10", "Hole": "100", "Grating": "1800",
    }  # fmt: skip
    facts = _facts("0x8716361", setup) + _facts("0x7C73E2D2", {"Sample": "diamond"})
    facts += _facts("0x7CECDBD7", {"Acquired": "27.06.2022 16:26:24"})
    value = _lsx("0x0", _lsx("0x6D707974", "Intens") + _lsx("0x7C696E75", "Cnt"))
    tree = _lsx("0x6C7469D9", "a spectrum") + _lsx("0x6C62D4D9", facts)
    tree += _lsx("0x7A74D9D6", _lsx("0x7B697861", value + given))
    row = " ".join(map(str, range(len(channels))))
    rows = f'<LSX_Row Size="{len(channels)}">{row}</LSX_Row>' * count
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<LSX_Data><LSX_Tree>{tree}</LSX_Tree>'
        f"<LSX_Matrix>{rows}</LSX_Matrix></LSX_Data>",
        encoding="utf-8",
    )
    return path


HARDWARE = """<Hardware>
<Spectrometers><Spectrometer Serialnumber="1"><Gratings><Grating GrooveDensity="1800 g/mm" />
<Grating GrooveDensity="750 g/mm" Blaze="550NM" /></Gratings></Spectrometer>
<Spectrometer Serialnumber="2" /></Spectrometers>
<Detectors><Detector Name="Camera1" /><Detector Name="Hub" /></Detectors>
<LightSources><LightSource Name="lamp" /><LightSource Name="laser" /></LightSources>
<Microscopes><Microscope><Objectives><Objective IsEnabled="True" Magnification="100.0" />
<Objective IsEnabled="False" /></Objectives></Microscope>
<Microscope><Objectives><Objective IsEnabled="False" /><Objective IsEnabled="False" /></Objectives>
</Microscope></Microscopes></Hardware>"""


def _group(name: str, facts=None, groups="") -> str:
    items = (f"<Item Name={quoteattr(k)} Value={quoteattr(v)} />" for k, v in (facts or {}).items())
    given = f"<Items>{''.join(items)}</Items>" if facts else "<Items />"
    inner = f"<Groups>{groups}</Groups>" if groups else "<Groups />"
    return f"<Group Name={quoteattr(name)}>{given}{inner}</Group>"


def trivista(path: Path, frames: int, places: dict[str, tuple[str, str, str]]):
    """Write a ``.tvf`` of frames of 4 channels; ``places`` are (from, step, points) in um."""
    spectrometer = {"Serialnumber": "1", "Groove_Density": "750 g/mm"}
    detector = {"Name": "Camera1", "No_of_Frames": str(frames), "No_of_Accumulations": "2",
                "Exposure_Time_(ms)": "3000", "Calc_Average": "False"}  # fmt: skip
    groups = _group("Calibration", {"Center_Wavelength": "850.0"}) + _group("Detector", detector)
    groups += _group("Spectrometers", None, _group("Spectrometer", spectrometer))
    for name, given in places.items():
        groups += _group(f"{name}-Axis", dict(zip(("From", "Step", "Points"), given, strict=True)))
    info = quoteattr(f"<Info><Groups>{groups}</Groups></Info>")
    shots = "".join(
        f'<Frame TimeStamp="{637908000000000000 + at * 40_000_000}">1;2;3;4</Frame>'
        for at in range(frames)
    )
    path.write_text(
        f'<!--TriVista-File. --><XmlMain Version="1">{HARDWARE}<Documents><Document '
        f'RecordTime="06/14/2022 13:34:27.123" InfoSerialized={info}><xDim><Calibration '
        f'Unit="Nanometer" ValueArray="4|934.0|934.5|935.0|935.5" /></xDim><Data>{shots}</Data>'
        '<Childs Count="0" /></Document></Documents></XmlMain>'
    )
    return path
