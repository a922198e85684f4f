"""A small whole file for every extractor of ours, by the extractor's name."""

import io
import json
import struct
import zipfile

import h5py
import numpy as np
import tifffile
from formats.tests import desktops, light_samples, stations
from PIL import Image

from nexuslims_formats.testing import DmFile, write_fei_tiff

PIXELS = np.arange(24, dtype="uint16").reshape(4, 6)


def tiff(path, code=0, text="", **options):
    """Write a TIFF, with a text in a tag of a vendor's if there is one."""
    tags = [(code, "B", 0, text.encode("utf-8"), True)] if code else []
    tifffile.imwrite(
        path, PIXELS, photometric="minisblack", metadata=None, extratags=tags, **options
    )
    return path


def blockfile(folder):
    rows, columns, side = 2, 3, 4
    head = struct.pack(
        "<6sHIIIHHHHHddIHId", b"IMGBLO", 0x102, 0x1000, 0x2000, 0, side, 0, columns, rows, 0,
        5.0, 5.0, 200_000, 250, 800, 43_000.5,
    )  # fmt: skip
    frames = b"".join(b"\xaaU" + struct.pack("<I", n) + bytes(side**2) for n in range(6))
    path = folder / "scan.blo"
    path.write_bytes(head.ljust(0x2000, b"\0") + frames)
    return path


def digital_micrograph(folder):
    calibration = {"Origin": (6, 0.0), "Scale": (6, 0.5), "Units": "nm"}
    image = {
        "ImageData": {
            "Calibrations": {"Dimension": {"a": calibration, "b": calibration}},
            "Data": np.arange(12, dtype="<f4").tobytes(),
            "DataType": (5, 2),
            "Dimensions": {"a": (5, 4), "b": (5, 3)},
        },
        "ImageTags": {"Microscope Info": {"Voltage": (7, 300000.0)}},
    }
    path = folder / "image.dm3"
    path.write_bytes(DmFile(3).bytes({"ImageList": {"a": image}, "Thumbnails": {}}))
    return path


def dm5(folder):
    path = folder / "image.dm5"
    with h5py.File(path, "w") as file:
        image = file.create_group("ImageList/[0]")
        data = image.create_group("ImageData")
        data.attrs["DataType"] = 2
        data["Data"] = np.ones((3, 4), "float32")
        dimensions = data.create_group("Dimensions")
        for place, size in enumerate((4, 3)):
            dimensions.attrs[f"[{place}]"] = size
            axis = data.create_group(f"Calibrations/Dimension/[{place}]")
            axis.attrs.update(Origin=0.0, Scale=2.0, Units=np.bytes_("nm"))
    return path


def fei_tia(folder):
    element = struct.pack("<ddIHI4H", 0.0, 5.0, 0, 2, 4, 1, 2, 3, 4)
    start = b"II\x97\x01" + struct.pack("<HIIII", 0x210, 0x4120, 0x4142, 2, 2)
    line = struct.pack("<IddII4sI6s", 2, 0.0, 1e-9, 0, 4, b"Line", 6, b"meters")
    table = len(start) + 8 + len(line)
    first = table + 16
    tags = first + 2 * len(element)
    places = struct.pack("<4I", first, first + len(element), tags, tags + 24)
    stamps = (struct.pack("<HHIdd", 0x4142, 0, 1542131372, x * 1e-9, 0.0) for x in range(2))
    path = folder / "line_1.ser"
    path.write_bytes(
        b"".join((start, struct.pack("<II", table, 1), line, places, element, element, *stamps))
    )
    return path


def tofwerk(folder):
    path = folder / "tof.h5"
    with h5py.File(path, "w") as file:
        file.attrs["TofDAQ Version"] = [1.99]
        file.create_group("FIBParams").attrs.update(Voltage=[30000.0], ViewField=[0.01])
        spectra = file.create_group("FullSpectra")
        spectra["SumSpectrum"] = np.arange(7.0)
        spectra["TofData"] = np.zeros((2, 4, 5, 7), "float32")
    return path


def msa(folder):
    path = folder / "spectrum.msa"
    path.write_text(
        "#FORMAT      : EMSA/MAS Spectral Data File\n#VERSION     : 1.0\n#TITLE       : made\n"
        "#NPOINTS     : 2\n#NCOLUMNS    : 1\n#XUNITS      : eV\n#DATATYPE    : Y\n"
        "#XPERCHAN    : 10.0\n#OFFSET      : 0.0\n#BEAMKV   -kV: 200\n"
        "#SPECTRUM    : here\n1.0,\n2.0,\n#ENDOFDATA   : \n"
    )
    return path


def mrc(folder, **changes):
    path = folder / "stack.mrc"
    write_mrc(path, PIXELS.reshape(2, 3, 4).astype("int16"), **changes)
    return path


def write_mrc(path, pixels, *, mode=1, kind=b"", extended=b"", counts=(0, 0), cell=10.0, group=0):
    """Write an MRC file; ``cell`` is the size of a pixel in angstrom."""
    sections, rows, columns = pixels.shape
    head = bytearray(1024)
    struct.pack_into(
        "<10i", head, 0, columns, rows, sections, mode, 0, 0, 0, columns, rows, sections
    )
    struct.pack_into("<6f", head, 40, columns * cell, rows * cell, sections * cell, 90, 90, 90)
    struct.pack_into("<3i3fii", head, 64, 1, 2, 3, 0, 1, 0.5, group, len(extended))
    head[104:108] = kind.ljust(4, b"\0")
    struct.pack_into("<i", head, 108, 20141)
    struct.pack_into("<2h", head, 128, *counts)
    head[208:216] = b"MAP DD\0\0"
    path.write_bytes(bytes(head) + extended + pixels.tobytes())
    return path


def hspy(folder):
    path = folder / "image.hspy"
    with h5py.File(path, "w") as file:
        file.attrs["file_format"] = "HyperSpy"
        file.attrs["file_format_version"] = "3.0"
        image = file.create_group("Experiments/image")
        image["data"] = np.zeros((3, 4))
        for number, (name, size) in enumerate((("y", 3), ("x", 4))):
            axis = image.create_group(f"axis-{number}")
            axis.attrs.update(
                name=name, size=size, scale=2.0, offset=0.0, units="nm", navigate=False
            )
        for group in ("metadata/General", "metadata/Signal", "original_metadata"):
            image.create_group(group)
    return path


SPX = """<?xml version="1.0" encoding="WINDOWS-1252" standalone="yes"?>
<TRTSpectrum><ClassInstance Type="TRTSpectrum" Name="a point"><TRTHeaderedClass>
<ClassInstance Type="TRTSpectrumHardwareHeader"><RealTime>7575</RealTime><LifeTime>7385</LifeTime>
</ClassInstance><ClassInstance Type="TRTESMAHeader"><PrimaryEnergy>1.5E1</PrimaryEnergy>
<ElevationAngle>3.5E1</ElevationAngle><Magnification>6.666666667E2</Magnification></ClassInstance>
</TRTHeaderedClass><ClassInstance Type="TRTSpectrumHeader"><Date>2.3.2018</Date>
<Time>13:53:4</Time><ChannelCount>5</ChannelCount><CalibAbs>-2.38925E-1</CalibAbs>
<CalibLin>2.5E-3</CalibLin></ClassInstance><Channels>0,0,3,12,1</Channels></ClassInstance>
</TRTSpectrum>"""


def eer(folder, frames=3):
    """Write a movie of events: no pixels, but the directories and the XML of a Falcon."""
    xml = (
        b'<metadata><item name="exposureTime" unit="s">2.5</item>'
        b'<item name="commercialName">Falcon 4i</item>'
        b'<item name="timestamp">2024-05-06T07:08:09.123+02:00</item></metadata>'
    )
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)
    text_at = 16 + frames * 128
    pages = b""
    for number in range(frames):
        tags = [(256, 3, 1, 64), (257, 3, 1, 32), (259, 3, 1, 65001), (258, 3, 1, 1)]
        tags += [(65001, 7, len(xml), text_at)] if number == 0 else []
        entries = b"".join(struct.pack("<HHQQ", *tag) for tag in sorted(tags))
        after = 16 + (number + 1) * 128 if number + 1 < frames else 0
        pages += (struct.pack("<Q", len(tags)) + entries + struct.pack("<Q", after)).ljust(
            128, b"\0"
        )
    path = folder / "movie.eer"
    path.write_bytes(head + pages + xml)
    return path


def nion(folder, name="item.ndata", **changes):
    """Write a data item of Nion Swift: a scan of spectra, unless ``changes`` say otherwise."""
    pixels = np.arange(24, dtype="float32").reshape(2, 3, 4)
    steps = ((2.0, 0.0, "nm"), (2.0, 0.0, "nm"), (0.5, -10.0, "eV"))
    calibrations = [dict(zip(("scale", "offset", "units"), one, strict=True)) for one in steps]
    properties = {
        "title": "A map", "created": "2020-01-02T03:04:05.678", "timezone_offset": "-0800",
        "collection_dimension_count": 2, "datum_dimension_count": 1,
        "dimensional_calibrations": calibrations,
        "metadata": {
            "instrument": {"high_tension": 60_000, "ImageScanned": {"StageOutX": 1e-6}},
            "hardware_source": {"exposure": 0.1, "hardware_source_name": "Spectrometer"},
        },
    } | changes  # fmt: skip
    path = folder / name
    if path.suffix == ".ndata":
        content = io.BytesIO()
        np.save(content, pixels)
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("data.npy", content.getvalue())
            file.writestr("metadata.json", json.dumps(properties))
        return path
    with h5py.File(path, "w") as file:
        place = "data" if path.suffix == ".h5" else "data/1"
        file[place] = pixels
        file[place].attrs["properties"] = json.dumps(properties)
    return path


def bruker_spx(folder):
    path = folder / "point.spx"
    path.write_text(SPX)
    return path


def gatan_tiff(folder):
    tags = [(65003, "s", 0, "nm", True), (65004, "s", 0, "nm", True)]
    tags += [(65006 + place, "d", 1, 0.0, True) for place in range(2)]
    tags += [(65009 + place, "d", 1, 0.5, True) for place in range(2)]
    path = folder / "gatan.tif"
    tifffile.imwrite(path, PIXELS, photometric="minisblack", metadata=None, extratags=tags)
    return path


def pointing(path, code, structure):
    """Write an image with a tag that holds the place of a structure at the end of the file."""

    def write(place):
        tags = [(code, "I", 1, place, True)]
        tifffile.imwrite(path, PIXELS, photometric="minisblack", metadata=None, extratags=tags)
        return path.stat().st_size

    write(place := write(1))
    path.write_bytes(path.read_bytes() + structure(place))
    return path


def tvips(folder):
    first = np.zeros((), np.dtype(tifffile.TIFF.TVIPS_HEADER_V1))
    first["Version"] = 2
    second = np.zeros((), np.dtype(tifffile.TIFF.TVIPS_HEADER_V2))
    second["Magic"], second["TemHighTension"] = 0xAAAAAAAA, 120_000
    content = first.tobytes() + second.tobytes()
    return pointing(folder / "tvips.tif", 37706, lambda _place: content)


def sis(folder):
    head_size = struct.calcsize("<4s6xhhhhh6x32sH")

    def structure(place):
        head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 30, 14, 5, 10, 118, b"image", 1)
        general = struct.pack("<10xhdd8xd2x34s32s", -9, 0.5, 0.5, 20000.0, b"Morada", b"TEM")
        return head + struct.pack("<hhI", 1, 1, place + head_size + 8) + general

    return pointing(folder / "sis.tif", 33560, structure)


def axiovision(folder):
    path = folder / "light.tif"
    tags = [(272, "s", 0, "AxioCam MRc5", True)]
    tifffile.imwrite(path, PIXELS, photometric="minisblack", metadata=None, extratags=tags)
    return path


def sem_text(folder):
    path = tiff(folder / "sem.tif")
    path.with_suffix(".txt").write_text("$CM_FORMAT JEOL\n$CM_ACCEL_VOLT 15.0\n$CM_MAG 5000\n")
    return path


def plain_image(folder):
    path = folder / "picture.png"
    Image.fromarray(PIXELS.astype("uint8")).save(path)
    return path


def numpy_array(folder):
    np.save(folder / "values.npy", PIXELS)
    return folder / "values.npy"


def text(folder):
    path = folder / "notes.txt"
    path.write_text("Körner, 3 µm\n", "utf-8")
    return path


def unknown(folder):
    path = folder / "something.xyz"
    path.write_bytes(bytes(range(256)))
    return path


FEI = "[User]\nDate=12/18/2017\nTime=01:04:14 PM\n[Beam]\nHV=30000\nBeam=EBeam\n"
ORION = (
    "<ImageTags><WorkingDistance><Value>8</Value><Units>mm</Units></WorkingDistance></ImageTags>"
)
JEOL = (
    "<TemReporter><Instruments>JEM-2100</Instruments><ElectronGun>"
    "<AccelerationVoltage>200000</AccelerationVoltage></ElectronGun></TemReporter>"
)
TESCAN = "[MAIN]\nDevice=TIMA\nMagnification=100\n[SEM]\nHV=25000\n"
ZEISS = "AP_MAG\r\nMag = 5.00 K X\r\nAP_WD\r\nWD = 3.9 mm\r\n"

OPENFIBSEM = (
    '{"image": {"beam_type": "ION"}, "pixel_size": {"x": 1e-9, "y": 1e-9}, "microscope_state": {}}'
)


def sem_image(folder):
    path = folder / "tescan.png"
    Image.fromarray(PIXELS.astype("uint8")).save(path)
    (folder / "tescan-png.hdr").write_text(TESCAN)
    return path


PHENOM = '<FeiImage><pixelWidth unit="nm">9.5</pixelWidth></FeiImage>'
ANG = "# GRID: SqrGrid\n# XSTEP: 0.5\n# YSTEP: 0.5\n# NCOLS_ODD: 2\n# NROWS: 1\n#\n"
CTF = "Channel Text File\nXCells\t2\nYCells\t1\nXStep\t1\nYStep\t1\nPhase\tX\tY\tBC\n"
MDOC = "PixelSpacing = 2.1\nVoltage = 300\n\n[ZValue = 0]\nTiltAngle = 1.5\n"


def ebsd_hdf5(folder):
    path = folder / "scan.h5oina"
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = np.array([b"Oxford Instruments"])
        header = file.create_group("1/EBSD/Header")
        header["X Cells"], header["Y Cells"] = np.array([2]), np.array([1])
        file["1/EBSD/Data/Band Contrast"] = np.arange(2, dtype=np.uint8)
    return path


def oxford_patterns(folder):
    path = folder / "patterns.ebsp"
    pattern = struct.pack("<4i", 0, 4, 6, 24) + bytes(range(24)) + struct.pack("<2d", 0.0, 0.0)
    path.write_bytes(struct.pack("<2q", -1, 16) + pattern)
    return path


def smv(folder, *, rows=3, columns=4, **changes):
    entries = {
        "DIM": 2, "BYTE_ORDER": "little_endian", "TYPE": "unsigned_short", "SIZE1": columns,
        "SIZE2": rows, "PIXEL_SIZE": 0.014, "WAVELENGTH": 0.0251, "DISTANCE": 850,
        "DATE": "Fri Mar 05 10:11:12 2021", "TIME": 0.5, "DETECTOR_SN": "unknown",
    } | changes  # fmt: skip
    text = "".join(f"{name}={value};\n" for name, value in entries.items())
    path = folder / "pattern.img"
    head = f"{{\nHEADER_BYTES=512;\n{text}}}\n".encode().ljust(512, b"\0")
    return written(path, head + np.arange(rows * columns, dtype="<u2").tobytes())


def written(path, content):
    path.write_bytes(content)
    return path


SAMPLES = {
    "axiovision_tiff": axiovision,
    "blockfile": blockfile,
    "bruker_bcf": desktops.bruker_bcf,
    "bruker_spx": bruker_spx,
    "dectris": desktops.dectris,
    "digital_micrograph": digital_micrograph,
    "dm5": dm5,
    "ebsd_ang": lambda folder: written(
        folder / "map.ang", f"{ANG}1 1 1 0 0 9 1 0\n1 1 1 0.5 0 8 1 0\n".encode()
    ),
    "ebsd_ctf": lambda folder: written(
        folder / "map.ctf", f"{CTF}1\t0\t0\t9\n1\t1\t0\t8\n".encode()
    ),
    "ebsd_hdf5": ebsd_hdf5,
    "edax_patterns": lambda folder: written(
        folder / "patterns.up1", struct.pack("<4I", 1, 6, 4, 16) + bytes(range(24))
    ),
    "edax_spc": stations.edax_spc,
    "edax_spd": stations.edax_spd,
    "empad": desktops.empad,
    "emsa": msa,
    "fallback": unknown,
    "fei_tia": fei_tia,
    "fei_tiff": lambda folder: write_fei_tiff(folder / "fei.tif", PIXELS, FEI),
    "gatan_tiff": gatan_tiff,
    "hamamatsu_tiff": lambda folder: light_samples.streak_tiff(folder / "streak.tif"),
    "jeol_station": stations.jeol_project,
    "jeol_tiff": lambda folder: tiff(folder / "jeol.tif", description=JEOL),
    "merlin": desktops.merlin,
    "numpy": numpy_array,
    "openfibsem": lambda folder: tiff(folder / "lamella.tif", description=OPENFIBSEM),
    "mrc": mrc,
    "oxford_patterns": oxford_patterns,
    "orion_tiff": lambda folder: tiff(folder / "orion.tif", 65000, ORION),
    "phenom_elid": desktops.phenom_elid,
    "phenom_tiff": lambda folder: tiff(folder / "phenom.tif", 34683, PHENOM),
    "plain_image": plain_image,
    "plain_tiff": lambda folder: tiff(folder / "plain.tif"),
    "rosettasciio": hspy,
    "sem_image": sem_image,
    "sem_text_tiff": sem_text,
    "serialem_mdoc": lambda folder: written(folder / "tilt.mrc.mdoc", MDOC.encode()),
    "sis_tiff": sis,
    "smv": smv,
    "tescan_tiff": lambda folder: tiff(folder / "tescan.tif", 50431, TESCAN),
    "text": text,
    "tofwerk": tofwerk,
    "tvips_movie": lambda folder: desktops.tvips_movie(folder / "film_000.tvips"),
    "tvips_tiff": tvips,
    "eer": eer,
    "nion": nion,
    "velox": lambda folder: stations.velox(folder / "scan.emd", spectra=1),
    "zeiss_tiff": lambda folder: tiff(folder / "zeiss.tif", 34118, ZEISS),
}
