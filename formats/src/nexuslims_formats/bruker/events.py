"""How many X-rays Bruker counted at each point of a map, from the heads of its packed spectra.

References
----------
The packing as HyperSpy's documentation of the format describes it: lines of points, each with a
head of 22 bytes; pulses of 16 or 12 bits, or runs of channels of 0, 4, 8, 16 or 32 bits above a
base, with further pulses behind.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nexuslims_formats.bruker.container import Container

if TYPE_CHECKING:
    import numpy as np

_FIRST_LINE: Final = 0x1A0
_POINT: Final = struct.Struct("<IHHIHHHI")
_PULSES, _PACKED_PULSES = 0, 1
_LARGEST: Final = 256 << 20
"""Bytes of a map that are read: the lines behind them stay zero."""
_MOST_POINTS: Final = 1 << 20


def summed_counts(path: Path, name: str, shape: tuple[int, int]) -> "np.ndarray":
    """Return the counts at each point of a map.

    Parameters
    ----------
    path
        The file.
    name
        Of the map in its container.
    shape
        Rows and columns.
    """
    import numpy as np  # noqa: PLC0415 - previews only

    data = Container(path).read(name, _LARGEST)
    counts = np.zeros(shape)
    at, left = _FIRST_LINE, _MOST_POINTS
    try:
        for row in range(shape[0]):
            (points,) = struct.unpack_from("<i", data, at)
            at += 4
            for _ in range(min(points, left)):
                column, _, _, _, kind, _, pulses, size = _POINT.unpack_from(data, at)
                at += _POINT.size
                found = _counted(data, at, kind, pulses, size)
                at += size
                if kind > _PACKED_PULSES:
                    at += struct.unpack_from("<I", data, at - 4)[0] if pulses else 0
                if column < shape[1]:
                    counts[row, column] += found
            left -= points
    except (struct.error, IndexError):  # the end of what was read
        return counts
    return counts


def _counted(data: bytes, at: int, kind: int, pulses: int, size: int) -> int:
    """Return how many X-rays a point has.

    Parameters
    ----------
    data
        The map.
    at
        Where the packed spectrum of the point begins.
    kind
        How it is packed.
    pulses
        How many are told in its head.
    size
        Of the packed spectrum, in bytes.
    """
    if kind == _PULSES:
        return size // 2
    if kind == _PACKED_PULSES:
        return pulses
    total, end = pulses, at + size - 4
    while at < end:
        width, channels = data[at], data[at + 1]
        at += 2
        if width:
            base = int.from_bytes(data[at : at + width], "little")
            at += width
            length = -(-channels // 2) if width == 1 else channels * width // 2
            total += base * channels + _summed(data[at : at + length], width, channels)
            at += length
    return total


def _summed(raw: bytes, width: int, channels: int) -> int:
    if width == 1:
        low = sum(byte & 15 for byte in raw)
        high = sum(byte >> 4 for byte in raw)
        return low + high - (raw[-1] >> 4 if channels % 2 and raw else 0)
    step = width // 2
    if step == 1:
        return sum(raw)
    return sum(int.from_bytes(raw[at : at + step], "little") for at in range(0, len(raw), step))
