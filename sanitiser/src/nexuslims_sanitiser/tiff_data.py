"""Zeros as TIFF packs them."""

from functools import lru_cache
from typing import Any

from nexuslims_sanitiser.plan import SanitiseError
from nexuslims_sanitiser.tiff_layout import Run

UNCOMPRESSED = 1
_RGB, _YCBCR = 2, 6
_MAX_UNPACKED = 1 << 30

# compression tag -> imagecodecs' name; https://www.loc.gov/preservation/digital/formats/content/tiff_tags.shtml
_BYTE_CODECS = {
    5: "lzw", 8: "zlib", 32946: "zlib", 32773: "packbits", 34925: "lzma", 34926: "zstd",
    50000: "zstd", 50013: "zlib",
}  # fmt: skip
_IMAGE_CODECS = {
    7: "jpeg8", 33003: "jpeg2k", 33004: "jpeg2k", 33005: "jpeg2k", 34712: "jpeg2k", 34887: "lerc",
    50001: "webp", 34927: "webp", 34933: "png", 22610: "jpegxr", 34934: "jpegxr", 50002: "jpegxl",
}  # fmt: skip
_SUBSAMPLINGS = {(1, 1): "444", (2, 1): "422", (1, 2): "440", (2, 2): "420", (4, 1): "411"}


def packed_zeros(run: Run, packed: bytes) -> bytes | None:
    """Return a run of zeros, packed as the file packs; None where it is that already.

    Raises
    ------
    SanitiseError
        Nothing here packs in this way, or the run claims too much.
    """
    if run.unpacked > _MAX_UNPACKED:
        raise SanitiseError(f"a strip claims {run.unpacked} bytes of pixels")
    if name := _BYTE_CODECS.get(run.compression):
        zeros = _encoded(name, run.unpacked)
    elif name := _IMAGE_CODECS.get(run.compression):
        shape = (run.rows, run.columns, run.samples)
        zeros = _encoded_image(name, shape, run.bits // run.samples, _options(name, run))
    else:
        raise SanitiseError(f"TIFF compression {run.compression} cannot be written here")
    return None if zeros == packed else zeros


def _options(name: str, run: Run) -> tuple[tuple[str, str], ...]:
    """Return what a JPEG must be so that the directory's word on its colours stays true."""
    if name != "jpeg8":
        return ()
    if run.photometric == _RGB:
        return (("outcolorspace", "RGB"),)
    if run.photometric == _YCBCR and run.subsampling in _SUBSAMPLINGS:
        return (("subsampling", _SUBSAMPLINGS[run.subsampling]),)
    return ()


@lru_cache(maxsize=8)
def _encoded(name: str, size: int) -> bytes:
    import imagecodecs  # noqa: PLC0415 - compressed images only

    return bytes(getattr(imagecodecs, f"{name}_encode")(bytes(size)))


@lru_cache(maxsize=8)
def _encoded_image(
    name: str, shape: tuple[int, int, int], bits: int, options: tuple[tuple[str, str], ...]
) -> bytes:
    import imagecodecs  # noqa: PLC0415 - compressed images only
    import numpy as np  # noqa: PLC0415 - compressed images only

    encode: Any = getattr(imagecodecs, f"{name}_encode")
    pixels = np.zeros(shape if shape[-1] > 1 else shape[:-1], f"u{max(1, bits // 8)}")
    try:
        return bytes(encode(pixels, **dict(options)))
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        raise SanitiseError(f"zeros cannot be written as {name}: {error}") from None
