"""What a truncated file lacks, where its reader takes the header's word."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path

_MRC_HEADER = 1024
_MIB_HEADER, _LARGEST_HDR = 384, 1 << 16
_MOST_RECORDS = 1 << 20
_RAW_BITS = {b"1": 1, b"6": 8, b"12": 16, b"24": 32}
"""Bits a pixel takes in raw frames, by the depth of the counter."""
_FRAMES = re.compile(rb"Frames in Acquisition \(Number\):\s*(\d+)")
_MRC_STAMP, _BIG = 212, b"\x11\x11"


def what_is_missing(path: Path, module: str, data_bytes: int) -> Iterator[str]:
    """Yield what a file lacks, in words.

    Parameters
    ----------
    path
        The file.
    module
        rosettasciio's name of its format.
    data_bytes
        How long the header says that the data is.
    """
    size = path.stat().st_size
    match module:
        case "mrc":
            with path.open("rb") as file:
                head = file.read(_MRC_HEADER)
            (extended,) = struct.unpack_from(f"{mrc_byte_order(path)}i", head, 92)
            end = _MRC_HEADER + extended + data_bytes
        case "quantumdetector":
            end = _end_of_frames(path)
        case "semper":
            end = _end_of_records(path)
        case _:
            return
    if end > size:
        yield f"the data ends at byte {end}, but the file at {size}"


def _end_of_records(path: Path) -> int:
    """Return where the last record of a Semper file ends: each has its length before and behind."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        for _ in range(_MOST_RECORDS):
            file.seek(at)
            mark = file.read(4)
            if len(mark) < 4:  # noqa: PLR2004 - the length itself
                break
            at += 8 + int(struct.unpack("<I", mark)[0])
            if at > size:
                break
    return at


def _end_of_frames(path: Path) -> int:
    """Return where the frames of a Merlin detector end, by the header beside them or a frame's.

    Without the header beside it, at the end of the last frame that has begun.
    """
    with path.open("rb") as file:
        fields = file.read(_MIB_HEADER).split(b",")
    try:
        offset, width, height = int(fields[2]), int(fields[4]), int(fields[5])
    except (IndexError, ValueError):
        return 0
    kind, depth = fields[6].strip(), fields[-1 - _trailing(fields)].strip()
    bits = {b"U08": 8, b"U16": 16, b"U32": 32, b"U64": 64}.get(kind) or _RAW_BITS.get(depth, 0)
    frame = offset + width * height * bits // 8
    if not bits or frame <= 0:
        return 0
    header = path.with_suffix(".hdr")
    if header.is_file() and header.stat().st_size < _LARGEST_HDR:
        match = _FRAMES.search(header.read_bytes())
        if match:
            return int(match[1]) * frame
    return -(-path.stat().st_size // frame) * frame


def _trailing(fields: list[bytes]) -> int:
    """Return how many of a frame's last fields are padding."""
    return next(
        (at for at, field in enumerate(reversed(fields)) if field.strip(b"\0 ").isdigit()), 0
    )


def mrc_byte_order(path: Path) -> str:
    """Return ``<`` or ``>`` by the machine stamp (MRC2014, word 54); ``<`` without one."""
    with path.open("rb") as file:
        file.seek(_MRC_STAMP)
        return ">" if file.read(2) == _BIG else "<"
