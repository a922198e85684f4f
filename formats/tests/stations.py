"""Small files of X-ray and TEM software, made from nothing: EDAX, JEOL, Velox."""

import json
import struct

import h5py
import numpy as np

KIND = {"B": 1, "H": 2, "i": 3, "f": 4, "d": 5}


def edax_spc(folder, name="point.spc", *, channels=8, date=(2022, 29, 8, 14, 10, 0, 8)):
    """Write a spectrum whose counts are 0, 1, 2, ..."""
    head = bytearray(3840)
    for place, form, value in (
        (0, "f", 0.7), (28, "i", 3840), (32, "h", channels), (384, "i", 5), (448, "f", 0.1),
        (456, "f", 30.0), (460, "f", -1.0), (464, "f", 35.5), (472, "f", 125.25),
        (512, "f", 35.0), (532, "f", 10.0),
    ):  # fmt: skip
        struct.pack_into(f"<{form}", head, place, value)
    struct.pack_into("<h6b", head, 16, *date)
    path = folder / name
    path.write_bytes(bytes(head) + np.arange(channels, dtype="<u4").tobytes())
    return path


def edax_spd(folder, *, rows=2, columns=3, channels=4):
    """Write a map, with its spectrum and the description of its image beside."""
    head = struct.pack(
        "<16s8i120s", b"MAPSPECTRA_DATA", 1, rows * columns, columns, rows, channels, 2, 1100, 1,
        rb"C:\data\image.bmp",
    )  # fmt: skip
    counts = np.arange(rows * columns * channels, dtype="<u2").tobytes()
    path = folder / "map.spd"
    path.write_bytes(head.ljust(1100, b"\0") + counts)
    edax_spc(folder, "map.spc", channels=channels)
    picture = struct.pack("<H50xHhhIHff", 334, 100, 0, 35, 2000, 10, 0.5, 0.25)
    (folder / "image.ipr").write_bytes(picture)
    return path


def tree(entries):
    """Return a tree of Analysis Station: texts, ``(code, numbers)``, and dicts."""
    out = b""
    for name, value in entries.items():
        raw = name.encode("shift_jis") + b"\0"
        if isinstance(value, dict):
            kind, content, below = 0, b"", tree(value)
        elif isinstance(value, str):
            kind, content, below = 12, value.encode("shift_jis") + b"\0", b""
        else:
            code, *numbers = value
            kind, content, below = KIND[code], struct.pack(f"<{len(numbers)}{code}", *numbers), b""
        out += b"\1" + struct.pack("<i", len(raw)) + raw
        out += struct.pack("<2i", kind, len(content)) + content + below + b"\xff"
    return out


BEAM = {
    "ScanSize": ("f", 128.0), "Name": "JSM-7600F", "AccV": ("f", 15.0), "Mag": ("i", 1000),
    "WorkD": ("f", 8.0), "ScanR": ("f", 0.0),
}  # fmt: skip


def jeol_image(path, *, rows=3, columns=4, **more):
    """Write an image whose pixels are 0, 1, 2, ..."""
    content = {
        "Instrument": BEAM,
        "FileType": "JED-2200:IMG",
        "Image": {
            "Created": ("d", 42832.5), "Size": ("i", columns, rows), "Title": "鉄",
            "Bits": ("B", *range(rows * columns)),
        },
    } | more  # fmt: skip
    head = struct.pack("<I32s3I", 52, b"JED-2200:LibJxImageForm", 64, 0, 64)
    path.write_bytes(head.ljust(76, b"\0") + tree(content) + b"\xff")
    return path


def jeol_map(path, words=(), *, pixels="4x2"):
    """Write a map of spectra with the events given."""
    measured = {
        "Doc": {
            "LiveTime": ("d", 9.0), "RealTime": ("d", 10.0), "DwellTime(msec)": ("d", 0.1),
            "Sweep": ("H", 2), "CoefA": ("d", 0.01), "CoefB": ("d", 0.0),
        },
        "Meas Cond": {"Tpl": "T4", "Pixels": pixels},
        "MeasCond": {"AccKV": ("f", 200.0), "AccNA": ("f", 2.5), "Mag": ("i", 1000)},
    }  # fmt: skip
    detector = {"ScanSize": ("f", 128.0), "DetT": "EX24075JGT", "MnKaRES": ("f", 138.0)}
    content = {
        "PTTD Data": {"AnalyzableMap MeasData": measured},
        "PTTD Param": {
            "Params": {
                "PARAMPAGE0_SEM": detector,
                "PARAMPAGE1_EDXRF": {"Tpl": {"T4": {"DigZ": ("H", 96)}}},
            }
        },
    }
    body = tree(content) + b"\xff"
    data = 316 + len(body)
    head = struct.pack("<I8s6I", 304, b"PTTDFILE", 0, 1, 304, 0, data, 2 * len(words))
    head = head.ljust(296, b"\0") + struct.pack("<d", 42832.5)
    path.write_bytes(head.ljust(316, b"\0") + body + struct.pack(f"<{len(words)}H", *words))
    return path


def jeol_project(folder, *, others=()):
    """Write a project of an image, a map of spectra, and files of other kinds."""
    jeol_image(folder / "View.img")
    jeol_map(folder / "View.pts", (0x8000, 0x9000, 0xB007))
    for kind in others:
        (folder / f"View.{kind}").write_bytes(b"of a kind that nobody reads")
    views = {
        str(number): {"Filename": f".\\View.{kind}"}
        for number, kind in enumerate(("img", "pts", *others))
    }
    content = {
        "FileType": "Analysis Station",
        "SampleInfo": {"0": {"ViewInfo": {"0": {"ViewData": views}}}},
    }
    path = folder / "project.asw"
    path.write_bytes(bytes(12) + tree(content) + b"\xff")
    return path


def jeol_spectrum(folder, *, channels=5):
    """Write a spectrum with the parameters of its detector behind."""
    head = bytearray(458)
    for place, form, value in (
        (0, "I", 2), (10, "d", 42832.5), (258, "d", 30.0), (266, "d", 35.0), (362, "d", 0.01),
        (370, "d", -0.01), (454, "i", channels),
    ):  # fmt: skip
        struct.pack_into(f"<{form}", head, place, value)
    foot = struct.pack("<4i", 0, 0, 0, 0) + struct.pack("<i", 5)
    foot += struct.pack(
        "<16s16s16s2d38x6d4xd5H4d", b"EX24075JGT", b"JEM-2100F", b"ED", 200.0, 2.5,
        138.0, 5.5, 14.5, 0.0, 22.3, 90.0, 178.0, 100, 100, 80, 60, 33, 5.5, 90.0, 0.0, 22.3,
    )  # fmt: skip
    path = folder / "spectrum.eds"
    path.write_bytes(bytes(head) + np.arange(channels, dtype="<i4").tobytes() + foot)
    return path


OPTICS = {
    "Optics": {"AccelerationVoltage": "300000", "OperatingMode": "2", "BeamConvergence": "0.03",
               "CameraLength": "0.1", "ProjectorMode": "1"},
    "Stage": {"Position": {"x": "1e-06", "y": "-2e-06", "z": "3e-06"}, "AlphaTilt": "0.1"},
    "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1596041299"}},
    "Detectors": {
        "Detector-0": {"DetectorName": "HAADF"},
        "Detector-1": {"DetectorName": "SuperXG11", "Dispersion": "5", "OffsetEnergy": "-250",
                       "LiveTime": "20", "ElevationAngle": "0.31415927", "AzimuthAngle": "0.7854"},
    },
}  # fmt: skip


def described(detector, index, **more):
    """Return the metadata of an image or spectrum as Velox writes them."""
    result = {
        "Detector": detector, "DetectorIndex": str(index),
        "PixelSize": {"width": "2e-09", "height": "3e-09"}, "PixelUnitX": "m", "PixelUnitY": "m",
        "Offset": {"x": "0", "y": "0"},
    }  # fmt: skip
    text = json.dumps({**OPTICS, "BinaryResult": result, **more}).encode()
    return np.frombuffer(text.ljust(3000, b"\0"), "uint8")[:, None]


def velox(path, *, images=(((4, 6, 1), "HAADF"),), spectra=0, streams=(), raster=None, area=None):
    """Write a Velox file: images by shape and detector, spectra, and streams of events."""
    with h5py.File(path, "w") as file:
        text = h5py.string_dtype()
        file.create_dataset("Version", data=['{"version": "8", "format": "Velox"}'], dtype=text)
        for number, (shape, detector) in enumerate(images):
            group = file.create_group(f"Data/Image/{number:032x}")
            group["Data"] = np.arange(np.prod(shape), dtype="uint16").reshape(shape)
            group["Metadata"] = described(detector, 0)
        for number in range(spectra):
            group = file.create_group(f"Data/Spectrum/{number + 100:032x}")
            group["Data"] = np.arange(8, dtype="uint32")[:, None]
            group["Metadata"] = described("SuperXG11", 1)
        scan = {"Scan": {"ScanArea": area}} if area else {}
        if streams:
            group = file.create_group(f"Data/SpectrumImage/{1:032x}")
            group["Metadata"] = described("SuperX", 9, **scan)
        for number, words in enumerate(streams):
            group = file.create_group(f"Data/SpectrumStream/{number + 200:032x}")
            group["Data"] = np.array(words, "uint16")[:, None]
            group["Metadata"] = described("SuperXG11", 1, **scan)
            settings = {"bincount": "8"} | ({"RasterScanDefinition": raster} if raster else {})
            group.create_dataset("AcquisitionSettings", data=[json.dumps(settings)], dtype=text)
    return path
