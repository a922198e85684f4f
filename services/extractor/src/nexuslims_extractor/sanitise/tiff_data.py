"""Zeros as TIFF packs them, and images that hide within tags."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from nexuslims_extractor.sanitise.plan import SanitiseError, Span
from nexuslims_extractor.sanitise.tiff_layout import Run

UNCOMPRESSED = 1
_RGB = 2
_MAX_UNPACKED = 1 << 30

# compression tag -> imagecodecs' name; https://www.loc.gov/preservation/digital/formats/content/tiff_tags.shtml
_BYTE_CODECS = {
    5: "lzw", 8: "zlib", 32946: "zlib", 32773: "packbits", 34925: "lzma", 34926: "zstd",
    50000: "zstd",
}  # fmt: skip
_IMAGE_CODECS = {
    7: "jpeg8", 33003: "jpeg2k", 33004: "jpeg2k", 33005: "jpeg2k", 34712: "jpeg2k", 34887: "lerc",
    50001: "webp", 34927: "webp",
}  # fmt: skip
_PIXELS_OF_JPEG = re.compile(rb"\xff\xd8\xff.*?\xff\xda(.*?)\xff\xd9", re.DOTALL)
_PIXELS_OF_PNG = re.compile(rb"\x89PNG\r\n\x1a\n.*?IDAT(.*?)....IEND", re.DOTALL)


def packed_zeros(run: Run, packed: bytes) -> bytes | None:
    """Return a run of zeros, packed as the file packs; None where it is zero already.

    Raises
    ------
    SanitiseError
        Nothing here packs in this way, or the run claims too much.
    """
    if run.unpacked > _MAX_UNPACKED:
        raise SanitiseError(f"a strip claims {run.unpacked} bytes of pixels")
    if name := _BYTE_CODECS.get(run.compression):
        return None if _is_zero(name, packed) else _encoded(name, run.unpacked)
    if name := _IMAGE_CODECS.get(run.compression):
        encoded = _encoded_image(
            name, run.rows, run.columns, run.samples, run.bits // run.samples, run.photometric
        )
        return None if encoded == packed else encoded
    raise SanitiseError(f"TIFF compression {run.compression} cannot be written here")


def _is_zero(name: str, packed: bytes) -> bool:
    import imagecodecs  # noqa: PLC0415 - compressed images only

    try:
        return not bytes(getattr(imagecodecs, f"{name}_decode")(packed)).strip(b"\0")
    except (RuntimeError, ValueError):
        return False  # damaged: zeros in its place are whole


@lru_cache(maxsize=8)
def _encoded(name: str, size: int) -> bytes:
    import imagecodecs  # noqa: PLC0415 - compressed images only

    return bytes(getattr(imagecodecs, f"{name}_encode")(bytes(size)))


@lru_cache(maxsize=8)
def _encoded_image(
    name: str, rows: int, columns: int, samples: int, bits: int, photometric: int
) -> bytes:
    import imagecodecs  # noqa: PLC0415 - compressed images only
    import numpy as np  # noqa: PLC0415 - compressed images only

    shape: tuple[int, ...] = (rows, columns, samples) if samples > 1 else (rows, columns)
    encode: Any = getattr(imagecodecs, f"{name}_encode")
    # a JPEG of RGB pixels is stored as told by the directory, not as JPEG usually does
    stored = {"outcolorspace": "RGB"} if name == "jpeg8" and photometric == _RGB else {}
    try:
        return bytes(encode(np.zeros(shape, f"u{max(1, bits // 8)}"), **stored))
    except (RuntimeError, ValueError, TypeError) as error:
        raise SanitiseError(f"zeros cannot be written as {name}: {error}") from None


def embedded_images(value: bytes) -> Iterator[Span]:
    """Yield where the pixels are of the JPEG and PNG images within a tag's value."""
    for pattern in (_PIXELS_OF_JPEG, _PIXELS_OF_PNG):
        for match in pattern.finditer(value):
            yield Span(match.start(1), len(match[1]))
