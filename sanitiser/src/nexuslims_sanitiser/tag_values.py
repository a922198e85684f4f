"""Which values of TIFF tags are metadata, and what the others become.

A value is kept if it is small, or if it can be parsed: places of data, colour maps, JPEG tables,
texts (see :mod:`.proven`), the chunks of Tescan, the texts of ImageJ. All else is zeroed.
"""

import struct
from collections.abc import Iterator, Mapping
from itertools import pairwise

from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.tiff import tags
from nexuslims_sanitiser.hidden import without_images
from nexuslims_sanitiser.opaque import is_written
from nexuslims_sanitiser.proven import LONGEST_VALUE, is_metadata

SMALL = 64
"""Bytes of a value that may be anything."""
_SHORT_TEXT = 256
_ALL_SMALL = 2048
"""Bytes of all values of a file that are kept only since they are small; equal ones count once."""
STRUCTURE = frozenset({
    tags.STRIP_OFFSETS, tags.STRIP_BYTES, tags.TILE_OFFSETS, tags.TILE_BYTES, tags.SUB_DIRECTORIES,
})  # fmt: skip
# names, makers, programs, dates, people and copyright, which TIFF 6.0 defines as texts
_TEXTS = frozenset({269, 270, 271, 272, 285, 305, 306, 315, 316, 33432})
_BYTES, _ASCII, _SHORT, _UNDEFINED = 1, 2, 3, 7
_TEXT_KINDS = (_BYTES, _ASCII, _UNDEFINED)
_JPEG_TABLES, _MAKER_NOTE = 347, 37500
_IMAGEJ_COUNTS, _IMAGEJ_VALUES = 50838, 50839
_TESCAN = 50431
_TURNS = 96
"""So often a channel of a colour map may turn: those of Zeiss have 28 single colours in them."""
_COLOURS = 256
_MAX_TABLES = 2048
_TABLES = (b"\xff\xdb", b"\xff\xc4", b"\xff\xdd")
_NOTE_HEAD = b"UNICODE\0"
_IMAGE_HEADS = (b"\xff\xd8\xff", b"\x89PNG", b"\0\0\0\x0cjP  ", b"BM")


class SmallValues:
    """How much of a file is kept only because it is small: many small values make an image."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._size = 0

    def admit(self, value: bytes) -> bool:
        """Whether one more small value may stay."""
        if value not in self._seen and value.strip(b"\0"):
            if self._size + len(value) > _ALL_SMALL:
                return False
            self._seen.add(value)
            self._size += len(value)
        return True


def kept_of(
    tag: int, kind: int, value: bytes, others: Mapping[int, bytes], small: SmallValues
) -> bytes:
    """Return a value of a TIFF tag with all of it zero that is not proven to be metadata.

    Parameters
    ----------
    tag, kind
        The tag's number, and the TIFF type of its value.
    value
        Its bytes.
    others
        The values of the same directory, by tag; those of ImageJ need each other.
    small
        What was kept of the file so far for being small.
    """
    if tag in STRUCTURE:
        return value
    bare = without_images(value)
    # a few characters parse by chance
    if (len(bare) > SMALL or tag in _TEXTS) and _is_proven(tag, kind, bare):
        return bare
    short = tag in _TEXTS and len(bare) <= _SHORT_TEXT and is_written(decode(bare)[0])
    if len(bare) <= SMALL or short:
        return bare if small.admit(bare) else bytes(len(bare))
    if tag == _TESCAN:
        return _tescan(bare)
    if tag in (_IMAGEJ_COUNTS, _IMAGEJ_VALUES):
        return _imagej(tag, value, others)
    return bytes(len(bare))


def _is_proven(tag: int, kind: int, value: bytes) -> bool:
    if tag == tags.COLOUR_MAP:
        return kind == _SHORT and _is_colour_map(value)
    if tag == _JPEG_TABLES:
        return _is_jpeg_tables(value)
    if tag == _MAKER_NOTE:
        value = value.removeprefix(_NOTE_HEAD)
    return kind in _TEXT_KINDS and is_metadata(value)


def _is_colour_map(value: bytes) -> bool:
    """Whether each channel rises and falls but a few times, as scales of colours do."""
    if len(value) > 3 * 2 * _COLOURS:
        return False
    return any(_turns_little(value, order) for order in "<>")


def _turns_little(value: bytes, order: str) -> bool:
    levels = struct.unpack(f"{order}{len(value) // 2}H", value)
    size = max(1, len(levels) // 3)
    for channel in (levels[at : at + size] for at in range(0, len(levels), size)):
        steps = [b > a for a, b in pairwise(channel) if a != b]
        turns = sum(a != b for a, b in pairwise(steps))
        if turns > _TURNS * size // _COLOURS:
            return False
    return True


def _is_jpeg_tables(value: bytes) -> bool:
    """Whether a JPEG has nothing but tables: of quantisation, and of Huffman's code."""
    at = 2
    if len(value) > _MAX_TABLES or not value.startswith(b"\xff\xd8"):
        return False
    while value[at : at + 2] in _TABLES:
        at += 2 + int.from_bytes(value[at + 2 : at + 4], "big")
    return value[at:] == b"\xff\xd9"


def _tescan(value: bytes) -> bytes:
    """Keep the chunks of Tescan: heads, texts, and what is left of thumbnails without pixels."""
    kept = bytearray(len(value))
    at = 0
    while at + 6 <= len(value):
        length, _ = struct.unpack_from("<IH", value, at)
        end = at + 4 + length
        if length < 2 or end > len(value):  # noqa: PLR2004 - the kind is part of a chunk
            break
        content = value[at + 6 : end]
        image = content.startswith(_IMAGE_HEADS) and len(content.replace(b"\0", b"")) <= _MAX_TABLES
        kept[at : at + 6] = value[at : at + 6]
        if image or is_metadata(content):
            kept[at + 6 : end] = content
        at = end
    return bytes(kept)


def _imagej(tag: int, value: bytes, others: Mapping[int, bytes]) -> bytes:
    """Keep the texts and display ranges of ImageJ; rows of colours, overlays and plots are zeroed.

    The tag 50838 counts the bytes of each part of 50839; the first part lists kinds and numbers.
    """
    counts, values = others.get(_IMAGEJ_COUNTS, b""), others.get(_IMAGEJ_VALUES, b"")
    big = values.startswith(b"IJIJ")
    order = ">" if big else "<"
    parts = struct.unpack(f"{order}{len(counts) // 4}I", counts[: len(counts) // 4 * 4])
    if not big and not values.startswith(b"JIJI"):
        return bytes(len(value))
    if sum(parts) != len(values) or parts[0] > LONGEST_VALUE:
        return bytes(len(value))
    if tag == _IMAGEJ_COUNTS:
        return value
    kept = bytearray(len(values))
    kept[: parts[0]] = values[: parts[0]]
    at = parts[0]
    for kind, size in zip(_kinds(values[4 : parts[0]], order), parts[1:], strict=False):
        if _is_imagej_part(kind, values[at : at + size], order):
            kept[at : at + size] = values[at : at + size]
        at += size
    return bytes(kept)


def _kinds(head: bytes, order: str) -> Iterator[bytes]:
    for at in range(0, len(head) - 7, 8):
        kind, count = struct.unpack_from(f"{order}4sI", head, at)
        yield from (kind for _ in range(min(count, 1 << 16)))


def _is_imagej_part(kind: bytes, part: bytes, order: str) -> bool:
    if kind in (b"info", b"ofni"):
        text = part.decode("utf-16-be" if order == ">" else "utf-16-le", "replace")
        return is_metadata(text.encode("utf-8", "replace"))
    return len(part) <= SMALL and kind in (b"rang", b"gnar", b"labl", b"lbal")
