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
_READ = 1 << 22
_MARGIN = 64


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
    keys = _keys_of_copy(copy)
    if not keys.size:
        return
    for pixels in arrays(source, reader):
        if pixels.dtype.hasobject or pixels.dtype.names or not pixels.any():
            continue
        for stored in _forms(np.ascontiguousarray(pixels).ravel()):
            for at in range(0, stored.size, _READ):
                if _found(stored[at : at + _READ], keys):
                    raise SanitiseError("bytes of the image are still in the copy")


def _keys_of_copy(copy: Path) -> "NDArray[np.uint64]":
    """Return the keys of all blocks of the copy, at every bit, sorted."""
    content = np.fromfile(copy, np.uint8)
    parts = [_shifted_keys(content[start:end]) for start, end in _regions(content)]
    keys: NDArray[np.uint64] = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
    return keys


def _regions(content: "NDArray[np.uint8]") -> Iterator[tuple[int, int]]:
    """Yield where bytes are that are not zero; stretches of zeros between them are left out."""
    places = np.flatnonzero(content)
    if not places.size:
        return
    cuts = np.flatnonzero(np.diff(places) > _MARGIN)
    starts = [places[0], *places[cuts + 1]]
    ends = [*places[cuts], places[-1]]
    for start, end in zip(starts, ends, strict=True):
        for at in range(int(start), int(end) + 1, _READ):
            yield at, min(at + _READ + _BLOCK, int(end) + 1)


def _shifted_keys(region: "NDArray[np.uint8]") -> "NDArray[np.uint64]":
    wide = (region[:-1].astype(np.uint16) << 8) | region[1:]
    shifted = [region, *((wide >> shift).astype(np.uint8) for shift in range(1, 8))]
    return np.concatenate([_keys(_telling(stored)) for stored in shifted])


def _telling(stored: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Return all blocks but those of a flat or a ramp, which also colour maps have."""
    if stored.size < _BLOCK:
        return np.empty((0, _BLOCK), np.uint8)
    blocks = np.lib.stride_tricks.sliding_window_view(stored, _BLOCK)
    steps = np.sort(np.diff(blocks, axis=1), axis=1)
    kinds = (np.diff(steps, axis=1) != 0).sum(axis=1) + 1
    telling: NDArray[np.uint8] = np.ascontiguousarray(blocks[kinds >= _KINDS])
    return telling


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
