"""Images of known formats within metadata."""

import re
from collections.abc import Iterable, Iterator

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


def embedded_images(value: bytes) -> Iterator[tuple[Span, bytes]]:
    """Yield where the pixels of images within a value are, with what takes their place."""
    for mark, pixels in _MARKERS.items():
        start = value.find(mark)
        if start < 0:
            continue
        for match in pixels.finditer(value, start + len(mark) - 1):
            yield Span(match.start(1), len(match[1])), bytes(len(match[1]))
    for match in _ENCODED.finditer(value):
        yield Span(match.start(1), len(match[1])), re.sub(rb"[A-Za-z0-9+/]", b"A", match[1])


def _replaced(value: bytes, pieces: Iterable[tuple[Span, bytes]]) -> bytes:
    blank = bytearray(value)
    for span, content in pieces:
        blank[span.offset : span.end] = content
    return bytes(blank)


def without_images(value: bytes) -> bytes:
    """Return a value without the pixels of images within it."""
    return _replaced(value, embedded_images(value))


def text_without_images(text: str) -> str:
    """Return a text without the images that it holds in words."""
    return without_images(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
