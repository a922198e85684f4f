"""What lies where no directory says so: images within metadata, words outside of it."""

import re
from collections.abc import Iterable, Iterator

from nexuslims_formats.tiff import tags
from nexuslims_sanitiser.plan import Span

_MARKERS = {
    # a JPEG's scans, also those of the thumbnail within a thumbnail's own metadata
    b"\xff\xd8\xff": re.compile(rb"\xff\xda(.*?)(?:\xff\xd9|\Z)", re.DOTALL),
    # the tiles of a JPEG 2000 codestream
    b"\xff\x4f\xff\x51": re.compile(rb"\xff\x93(.*?)(?:\xff\xd9|\Z)", re.DOTALL),
    b"\x89PNG\r\n\x1a\n": re.compile(rb"IDAT(.*?)(?:.{4}IEND|\Z)", re.DOTALL),
    # the layers of an image that Photoshop wrote
    b"Adobe Photoshop Document Data Block\0": re.compile(rb"\0(.*)", re.DOTALL),
    b"II*\0": re.compile(rb"\0(.*)", re.DOTALL),
    b"MM\0*": re.compile(rb"\*(.*)", re.DOTALL),
    b"GIF87a": re.compile(rb"a(.*)", re.DOTALL),
    b"GIF89a": re.compile(rb"a(.*)", re.DOTALL),
    # a bitmap: reserved zeros, and the size of one of the heads there are
    b"BM": re.compile(rb"M.{4}\0{4}.{4}[\x0c\x28\x6c\x7c]\0{3}(.*)", re.DOTALL),
}
# the same in words, as XMP and other XML have it: JPEG, PNG, GIF, TIFF, BMP
_ENCODED = re.compile(
    rb"(?:/9j/|iVBORw0KGgo|R0lGOD|SUkqA|TU0AK|Qk[0-3])((?:[A-Za-z0-9+/=\s]|&#x[AaDd];){200,})"
)

_SIS = re.compile(rb"SIS0.{0,1020}", re.DOTALL)
"""The block of SIS that tag 33560 points to."""


_SMALL = 1024
_TEXT = 0.9
# bytes and short numbers whose meaning is known: places and sizes of data, colour maps, transfer
# functions, JPEG tables, profiles, press captions, the heads of ImageJ, LSM, Gatan and JEOL
_KNOWN = frozenset({
    tags.STRIP_OFFSETS, tags.STRIP_BYTES, tags.TILE_OFFSETS, tags.TILE_BYTES, tags.BITS,
    tags.SUB_DIRECTORIES, 288, 289, 301, 320, 339, 347, 33723, 34412, 34675, 50838, 50839,
    65024, 65025, 65026, 65027,
})  # fmt: skip


def embedded_images(value: bytes, tag: int | None = None) -> Iterator[tuple[Span, bytes]]:
    """Yield where the pixels are of images within a value, with what takes their place.

    Where a TIFF tag's number is given, all of a large value counts as pixels that is neither text
    nor known to mean something else.

    Parameters
    ----------
    value
        Its bytes.
    tag
        Its number, for a tag of a TIFF.
    """
    found = list(_marked(value))
    if tag is not None and tag not in _KNOWN and _may_be_pixels(_replaced(value, found)):
        found = [(Span(0, len(value)), bytes(len(value)))]
    yield from found


def _marked(value: bytes) -> Iterator[tuple[Span, bytes]]:
    for mark, pixels in _MARKERS.items():
        start = value.find(mark)
        if start < 0:
            continue
        for match in pixels.finditer(value, start + len(mark) - 1):
            yield Span(match.start(1), len(match[1])), bytes(len(match[1]))
    for match in _ENCODED.finditer(value):
        yield Span(match.start(1), len(match[1])), re.sub(rb"[A-Za-z0-9+/]", b"A", match[1])


def _may_be_pixels(value: bytes) -> bool:
    kept = value.replace(b"\0", b"")
    letters = filter(_is_printed, kept.decode("utf-8", "ignore"))
    return len(kept) > _SMALL and len("".join(letters).encode()) < _TEXT * len(kept)


def _is_printed(letter: str) -> bool:
    return letter.isprintable() or letter in "\t\r\n"


def _replaced(value: bytes, pieces: Iterable[tuple[Span, bytes]]) -> bytes:
    blank = bytearray(value)
    for span, content in pieces:
        blank[span.offset : span.end] = content
    return bytes(blank)


def without_images(value: bytes, tag: int | None = None) -> bytes:
    """Return a value as a sanitised file has it, that of a TIFF tag by its number.

    Parameters
    ----------
    value
        Its bytes.
    tag
        Its number, for a tag of a TIFF.
    """
    return _replaced(value, embedded_images(value, tag))


def text_without_images(text: str) -> str:
    """Return a text without the images that it holds in words."""
    return without_images(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
