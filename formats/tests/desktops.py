"""Small files of Bruker, Phenom, EMPAD and DECTRIS, made from nothing."""

import base64
import bz2
import io
import struct

import h5py
import numpy as np
import tifffile

BCF = (
    '<?xml version="1.0" encoding="WINDOWS-1252"?><TRTSpectrumDatabase>'
    '<ClassInstance Type="TRTSpectrumDatabase" Name="site">'
    "<Header><Date>12.9.2018</Date><Time>13:9:11</Time><FileVersion>2</FileVersion></Header>"
    '<ClassInstance Type="TRTSEMData"><HV>20</HV><WD>8,5</WD><Mag>3138,5</Mag>'
    "<DX>0,5</DX><DY>0,25</DY></ClassInstance>"
    '<ClassInstance Type="TRTSEMStageData"><X>67358,5</X><Z>38818,5</Z></ClassInstance>'
    '<ClassInstance Type="TRTDSPConfiguration"><PixelAverage>2</PixelAverage>'
    "<LineAverage>1</LineAverage><PixelTime>10</PixelTime></ClassInstance>"
    '<ClassInstance Type="TRTImageData"><ItemSize>2</ItemSize><Width>3</Width><Height>2</Height>'
    "<PlaneCount>2</PlaneCount><Plane0><Description>AsB</Description><Data>{image}</Data></Plane0>"
    "<Plane1><Data>AAAAAAAAAAAAAAAA</Data></Plane1></ClassInstance>"
    "<LineCounter>4,5</LineCounter><SpectrumData0>"
    '<ClassInstance Type="TRTSpectrum"><TRTHeaderedClass>'
    '<ClassInstance Type="TRTDetectorHeader"><Type>XFlash 6|10</Type></ClassInstance>'
    '<ClassInstance Type="TRTESMAHeader"><PrimaryEnergy>20</PrimaryEnergy>'
    "<ElevationAngle>35</ElevationAngle></ClassInstance></TRTHeaderedClass>"
    '<ClassInstance Type="TRTSpectrumHeader"><CalibAbs>-0,5</CalibAbs><CalibLin>0,01</CalibLin>'
    "</ClassInstance><Channels>0,4,0,2,0,1,0,0</Channels></ClassInstance></SpectrumData0>"
    "</ClassInstance></TRTSpectrumDatabase>"
)


def bruker_points():
    """Return a map of 2 x 3 points whose counts are 1, 0, 2 and 0, 4, 0, each packed otherwise."""
    head = struct.Struct("<IHHIHHHI")
    pulses = struct.pack("<H", 5)
    packed = struct.pack("<HHH", 0x3001, 0, 0)
    # channels 0-1 empty, 2-3 a nibble above one, and a pulse more behind them
    runs = bytes((0, 2, 1, 2, 1, 0x10)) + struct.pack("<I", 2) + struct.pack("<H", 1)
    lines = struct.pack("<i", 2)
    lines += head.pack(0, 8, 8, 0, 0, 0, 1, len(pulses)) + pulses
    lines += head.pack(2, 8, 8, 0, 1, 0, 2, len(packed)) + packed
    lines += struct.pack("<i", 1)
    lines += head.pack(1, 8, 8, 0, 2, 0, 1, len(runs) - 2) + runs
    return struct.pack("<2i", 2, 3).ljust(0x1A0, b"\0") + lines


def bruker_bcf(folder, *, chunk=2048, ebsd=False):
    """Write a map in a container of small chunks, with EBSD or without."""
    image = base64.b64encode(np.arange(1, 7, dtype="<u2").tobytes()).decode()
    header = BCF.format(image=image).encode("cp1252")
    body, chunks, entries = chunk - 32, [], b""
    tree = [("HeaderData", header, 2), ("SpectrumData0", bruker_points(), 2)]
    tree += [("EDSDatabase", None, -1)]
    if ebsd:
        tree += [("EBSDDatabase", None, -1), ("HeaderData", b"<EBSD/>", 3)]
    in_chunk = body // 512
    listed = -(-len(tree) // in_chunk)
    for name, content, parent in tree:
        raw, is_folder = content or b"", content is None
        pieces = [raw[at : at + body] for at in range(0, len(raw), body)]
        first = listed + len(chunks)
        table = struct.pack(f"<{len(pieces)}I", *range(first + 1, first + 1 + len(pieces)))
        chunks += [table, *pieces] if pieces else []
        entries += struct.pack(
            "<iQ28xi176x?3x256s32x", first, len(raw), parent, is_folder, name.encode()
        )
    step = 512 * in_chunk
    lists = [entries[at : at + step] for at in range(0, len(entries), step)]
    heads = [struct.pack("<I", at + 1).ljust(32, b"\0") for at in range(listed)]
    heads += [bytes(32)] * len(chunks)
    raw = b"".join(
        head + one.ljust(body, b"\0") for head, one in zip(heads, lists + chunks, strict=True)
    )
    whole = bytearray(b"AAMVHFSS".ljust(0x118, b"\0") + raw)
    struct.pack_into("<fI", whole, 0x124, 2.6, chunk)
    struct.pack_into("<3I", whole, 0x140, 0, len(tree), listed + len(chunks))
    path = folder / "map.bcf"
    path.write_bytes(bytes(whole))
    return path


FEI_IMAGE = (
    '<FeiImage><pixelWidth unit="nm">500</pixelWidth><pixelHeight unit="nm">500</pixelHeight>'
    "<time>2019-08-07T09:37:31</time><acquisition><scan><detector>bsd-all</detector>"
    '<dwellTime unit="ns">200</dwellTime><highVoltage unit="kV">-15</highVoltage>'
    "<scanScale>1</scanScale></scan></acquisition></FeiImage>"
)


def counts_of(values):
    """Return counts of seven bits a byte."""
    out = bytearray()
    for value in values:
        rest = value
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def phenom_elid(folder, *, version=4):
    """Write a project of one image with a spot of 4 channels and a map of 2 x 3 points."""
    picture = io.BytesIO()
    tag = (34683, "s", 0, FEI_IMAGE, True)
    pixels = np.arange(24, dtype="uint8").reshape(4, 6)
    tifffile.imwrite(picture, pixels, extratags=[tag], metadata=None)
    tiff = picture.getvalue()
    written = struct.pack("<8d", 15000.0, 0.5, 0.0, 5.5, 10.0, 1e-5, 1e-7, 126.0)
    written += struct.pack("<I", 2) + b"id"
    written += struct.pack("<5d", 0.0, 0.008, 2.5e-5, 0.0, 0.0) + struct.pack("<dBB", 0.0, 1, 1)
    numbers = struct.pack("<IIII?iIBI", 0, 0, 0, 0, True, 7, 0, 1, 0)
    spectrum = struct.pack("<2dI", -36.0, 10.0, 4) + counts_of((1, 300, 0, 70_000))
    common = struct.pack("<I", 0) + spectrum + written + numbers
    spot = b"\2" + common + struct.pack("<2d", 0.1, 0.2)
    area = b"\4" + common + struct.pack("<4dI", 0, 0, 1, 1, 0) + struct.pack("<3I", 3, 2, 4)
    area += struct.pack("<2d", -36.0, 10.0) + written + struct.pack("<??", False, False)
    area += counts_of(range(24)) + struct.pack("<2d", 1.0, 1.0)
    content = b"EID2" + struct.pack("<iI", version, 1) + struct.pack("<I", len(tiff)) + tiff
    content += struct.pack("<I", 7) + b"Image 1" + struct.pack("<I", 2) + spot + area
    path = folder / "project.elid"
    path.write_bytes(bz2.compress(content + struct.pack("<2I", 0, 0)))
    return path


def empad(folder, *, size="<pix_x>3</pix_x><pix_y>2</pix_y>", more="", frames=6):
    """Write a scan of patterns and its XML."""
    (folder / "scan_x3_y2.raw").write_bytes(np.zeros((frames, 130, 128), "<f4").tobytes())
    path = folder / "scan.xml"
    path.write_text(
        f'<root><raw_file filename="scan_x3_y2.raw"/>{size}<exposure_time>1.86</exposure_time>'
        f'<timestamp isoformat="2019-06-07T14:25:00"/>{more}</root>'
    )
    return path


def dectris(folder, *, frames=(4, 2), pixel=None):
    """Write a master file, the files of images that it links to, and that of a microscope."""
    path = folder / "scan_master.h5"
    with h5py.File(path, "w") as file:
        detector = file.create_group("entry/instrument/detector")
        detector["count_time"] = 0.001
        detector["count_time"].attrs["units"] = "s"
        detector["frame_time"] = 0.0011
        detector["description"] = b"DECTRIS ARINA"
        detector["bit_depth_image"] = 16
        specific = detector.create_group("detectorSpecific")
        specific["data_collection_date"] = b"2023-11-02T10:11:12"
        specific["nimages"], specific["ntrigger"] = 1, sum(frames)
        specific["x_pixels_in_detector"], specific["y_pixels_in_detector"] = 5, 3
        for number, count in enumerate(frames, 1):
            name = f"scan_data_{number:06d}.h5"
            with h5py.File(folder / name, "w") as images:
                images["entry/data/data"] = np.zeros((count, 3, 5), "uint16")
            link = h5py.ExternalLink(name, "/entry/data/data")
            file[f"entry/data/data_{number:06d}"] = link
    if pixel:
        with h5py.File(folder / "scan.h5", "w") as file:
            file.create_group("STEM Metadata").attrs["Pixel Size"] = np.array([pixel, pixel])
    return path


def merlin(folder, *, kind="U16", depth="12", lines=2, length=3, hdr="", jitter=0, count=None):
    """Write a Merlin's frames of 8 x 4 pixels; the first of each line comes 50 us later."""
    bits = {"U08": 8, "U16": 16, "R64": 16}[kind]
    at, frames = 123_456_000, []
    for index in range(count or lines * length):
        at += 1_000_000 + (50_000 if index % length == 0 else jitter * (index % 2))
        head = (
            f"MQ1,{index + 1:06},00384,01,0008,0004,{kind},   1x1,01,2021-06-01 14:00:01.123456,"
            f"0.001000,0,0,0,3RX,MQ1A,2021-06-01T12:00:01.{at:09}Z,1000000ns,{depth},"
        )
        frames.append(head.encode().ljust(384, b"\0") + bytes([index]) * (8 * 4 * bits // 8))
    path = folder / "scan.mib"
    path.write_bytes(b"".join(frames))
    if hdr:
        path.with_suffix(".hdr").write_text(f"HDR,\t\n{hdr}End\t")
    return path


def tvips_movie(path, *, frames=3, version=2, mode=1, first=0, is_first=True, **frame):
    """Write a movie of TVIPS of 5 x 4 pixels, or a further file of one, which has no main header.

    Frames are 5 ms apart; their pixels have the frame's number.
    """
    size = 12 if version == 1 else 64
    head = struct.pack("<13I", 256, version, 4, 5, 16, 0, 0, 2, 2, 3, 200, 5000, size)
    body = b""
    for number in range(first, first + frames):
        fields = {"time": 740_399_696, "ms": 5 * number, "current": 0.0, "x": 0.0} | frame
        own = struct.pack("<3I", number, fields["time"], fields["ms"])
        if version == 2:
            own += struct.pack("<If2I", 0, fields["current"], 0, mode)
            own += struct.pack("<5fI2f", fields["x"], 0, 0, 10.0, 0, number, 0, 0)
        body += own.ljust(size, b"\0") + np.full(20, number, "<u2").tobytes()
    path.write_bytes((head.ljust(256, b"\0") if is_first else b"") + body)
    return path
