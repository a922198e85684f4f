"""Whether bytes of an image are in a copy, wherever they lie and however they are packed.

This asks no reader what it finds in the copy: it takes the pixels that a reader finds in the
original and looks for them among all bytes of the copy, as they are stored in any depth, order of
bytes and shift of bits.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nexuslims_sanitiser.independent import arrays
from nexuslims_sanitiser.plan import SanitiseError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 32
"""Bytes that are compared at once: a run of 63 bytes holds a whole block of pixels for certain."""
_KINDS = 8
"""A block of fewer different steps from byte to byte is a flat or a ramp, and no proof."""
_READ = 1 << 18
_MARGIN = 64
_MOST_KEYS = 1 << 24


def check_bytes(source: Path, copy: Path, reader: str) -> None:
    """Refuse a copy that holds a run of the original's pixels.

    Parameters
    ----------
    source, copy
        The original, and what was made of it.
    reader
        Which library reads the pixels of the original.

    Raises
    ------
    SanitiseError
        A run of pixels is in the copy.
    """
    for keys in _keys_of_copy(copy):
        for pixels in arrays(source, reader):
            if pixels.dtype.hasobject or pixels.dtype.names or not pixels.any():
                continue
            for stored in _forms(np.ascontiguousarray(pixels).ravel()):
                if any(
                    _found(stored[at : at + _READ], keys) for at in range(0, stored.size, _READ)
                ):
                    raise SanitiseError("bytes of the image are still in the copy")


def _keys_of_copy(copy: Path) -> "Iterator[NDArray[np.uint64]]":
    """Yield the keys of all blocks of the copy, at every bit, sorted, so many at a time."""
    parts: list[NDArray[np.uint64]] = []
    for region in _regions(copy):
        parts.append(_shifted_keys(region))
        if sum(part.size for part in parts) > _MOST_KEYS:
            yield np.sort(np.concatenate(parts))
            parts = []
    if any(part.size for part in parts):
        yield np.sort(np.concatenate(parts))


def _regions(copy: Path) -> "Iterator[NDArray[np.uint8]]":
    """Yield runs of bytes of a file; stretches of zeros between them are left out."""
    size = copy.stat().st_size
    for start in range(0, size, _READ):
        content = np.fromfile(copy, np.uint8, count=_READ + _BLOCK, offset=start)
        places = np.flatnonzero(content)
        if places.size:
            cuts = np.flatnonzero(np.diff(places) > _MARGIN)
            starts, ends = [places[0], *places[cuts + 1]], [*places[cuts], places[-1]]
            yield from (content[a : b + 1] for a, b in zip(starts, ends, strict=True))


def _shifted_keys(region: "NDArray[np.uint8]") -> "NDArray[np.uint64]":
    wide = (region[:-1].astype(np.uint16) << 8) | region[1:]
    shifted = [region, *((wide >> shift).astype(np.uint8) for shift in range(1, 8))]
    return np.concatenate([_keys(_telling(stored)) for stored in shifted])


def _telling(stored: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Return all blocks but those of a flat or a ramp, which also colour maps have."""
    if stored.size < _BLOCK:
        return np.empty((0, _BLOCK), np.uint8)
    blocks = np.lib.stride_tricks.sliding_window_view(stored, _BLOCK)
    return np.ascontiguousarray(blocks[_different(np.diff(stored), _BLOCK - 1) >= _KINDS])


def _different(steps: "NDArray[np.uint8]", length: int) -> "NDArray[np.intp]":
    """Count the different steps in each run of so many.

    A step is the first of its kind in the runs that begin after the one before it of its kind.
    """
    order = np.argsort(steps, kind="stable")
    again = np.diff(steps[order]) == 0
    since = np.full(steps.size, length)
    since[order[1:][again]] = np.minimum(np.diff(order)[again], length)
    begin = np.maximum(np.arange(steps.size) - since + 1, 0)
    changes = np.bincount(begin, minlength=steps.size)
    changes[1:] -= 1
    counts: NDArray[np.intp] = np.cumsum(changes)[: steps.size - length + 1]
    return counts


def _keys(blocks: "NDArray[np.uint8]") -> "NDArray[np.uint64]":
    """Return a number for each block: its words, mixed."""
    key = np.zeros(len(blocks), np.uint64)
    for column in blocks.view(np.uint64).T:
        key = (key ^ column) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key


def _forms(pixels: "NDArray[np.generic]") -> "Iterator[NDArray[np.uint8]]":
    """Yield pixels as they may be stored: in both orders of bytes, of 8 and 16 bits, and of one."""
    raw = pixels.view(np.uint8)
    width = pixels.dtype.itemsize
    yield raw
    if width > 1:
        columns = raw.reshape(-1, width)
        yield columns[:, ::-1].ravel()
        yield from (np.ascontiguousarray(columns[:, at]) for at in range(width))
    if width == 1:
        wide = raw.astype(np.uint16)
        yield wide.view(np.uint8)
        yield wide.byteswap().view(np.uint8)
        if raw.size and raw.max() <= 1:
            yield np.packbits(raw)


def _found(stored: "NDArray[np.uint8]", keys: "NDArray[np.uint64]") -> bool:
    blocks = stored[: stored.size // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    wanted = _keys(blocks)
    nearest = keys[np.minimum(np.searchsorted(keys, wanted), keys.size - 1)]
    return bool((nearest == wanted).any())
