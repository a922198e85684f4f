"""What lies where no directory says so: images within metadata, words outside of it."""

import re
from collections.abc import Iterator

from nexuslims_extractor.sanitise.plan import Span

_MARKERS = {
    # a JPEG's scans, also those of the thumbnail within a thumbnail's own metadata
    b"\xff\xd8\xff": re.compile(rb"\xff\xda(.*?)(?:\xff\xd9|\Z)", re.DOTALL),
    # the tiles of a JPEG 2000 codestream
    b"\xff\x4f\xff\x51": re.compile(rb"\xff\x93(.*?)(?:\xff\xd9|\Z)", re.DOTALL),
    b"\x89PNG\r\n\x1a\n": re.compile(rb"IDAT(.*?)(?:.{4}IEND|\Z)", re.DOTALL),
    # the layers of an image that Photoshop wrote
    b"Adobe Photoshop Document Data Block\0": re.compile(rb"\0(.*)", re.DOTALL),
}
# the same in words, as XMP and other XML have it: JPEG, PNG, TIFF, BMP
_ENCODED = re.compile(
    rb"(?:/9j/|iVBORw0KGgo|SUkqA|TU0AK|Qk[0-3])((?:[A-Za-z0-9+/=\s]|&#x[AaDd];){200,})"
)

_WORDS = re.compile(
    rb"(?:\[\w{2,}\][\r\n]|<\?xml|<[A-Za-z]\w+>|\{\s*\"\w)"
    rb"(?:[\t\r\n\x20-\x7e]++[\x80-\xff]{0,4})++"
)
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n\0"
_SIS = re.compile(rb"SIS0.{0,1020}", re.DOTALL)
"""The block of SIS that tag 33560 points to."""


def embedded_images(value: bytes) -> Iterator[tuple[Span, bytes]]:
    """Yield where the pixels are of images within a tag's value, with what takes their place."""
    for mark, pixels in _MARKERS.items():
        start = value.find(mark)
        if start < 0:
            continue
        for match in pixels.finditer(value, start + len(mark) - 1):
            yield Span(match.start(1), len(match[1])), bytes(len(match[1]))
    for match in _ENCODED.finditer(value):
        yield Span(match.start(1), len(match[1])), re.sub(rb"[A-Za-z0-9+/]", b"A", match[1])


def without_images(value: bytes) -> bytes:
    """Return a tag's value as a sanitised file has it."""
    blank = bytearray(value)
    for span, content in embedded_images(value):
        blank[span.offset : span.end] = content
    return bytes(blank)


def unexplained(value: bytes) -> int:
    """Count the bytes of a value that are neither text, nor zero, nor of an image with a mark."""
    return len(without_images(value).translate(None, _PRINTABLE))


def words(content: bytes) -> Iterator[Span]:
    """Yield where ini, XML or JSON text is among bytes that no directory accounts for."""
    for pattern in (_WORDS, _SIS):
        for match in pattern.finditer(content):
            yield Span(match.start(), len(match[0]))
