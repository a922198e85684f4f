"""From the values that a TIFF page stores to those that a viewer shows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from nexuslims_formats.tiff.tags import COLOUR_MAP, COMPRESSION, PHOTOMETRIC, SAMPLE_FORMAT, Tiff

if TYPE_CHECKING:
    import numpy as np

ToDisplay: TypeAlias = "Callable[[np.ndarray], np.ndarray]"

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_FLOAT, _PLAIN = 3, 1
_BYTE = 255
_INKS = 4


def to_display(tiff: Tiff, page: int) -> "ToDisplay | None":
    """Return what turns the values of a page into grey or RGB; None where they are that already.

    White may be zero, values may be indices of a palette, colours may be fractions, amounts of
    four inks, or lightness and differences of colours (TIFF 6.0, tag PhotometricInterpretation).

    Parameters
    ----------
    tiff
        The file.
    page
        Number of the directory.
    """
    meaning = tiff.integer(PHOTOMETRIC, page, _BLACK_IS_ZERO)
    if meaning == _WHITE_IS_ZERO:
        return _inverted
    if meaning in _COLOURS:
        return _COLOURS[meaning]
    if meaning == _RGB and tiff.integer(SAMPLE_FORMAT, page, 1) == _FLOAT:
        return _from_fractions
    if meaning == _YCBCR and tiff.integer(COMPRESSION, page, _PLAIN) == _PLAIN:
        return _from_luma  # decoders of JPEG give RGB
    colours = [int(value) for value in tiff.numbers(COLOUR_MAP, page)]
    if meaning == _PALETTE and colours and len(colours) % 3 == 0:
        return lambda indices: _looked_up(indices, colours)
    return None


def _inverted(values: "np.ndarray") -> "np.ndarray":
    import numpy as np  # noqa: PLC0415 - previews only

    if values.dtype.kind == "b":
        turned: np.ndarray = ~values
    elif values.dtype.kind == "u":
        turned = np.iinfo(values.dtype).max - values
    else:
        turned = -values
    return turned


def _looked_up(indices: "np.ndarray", colours: list[int]) -> "np.ndarray":
    """Return the RGB of a palette: all its reds, all its greens, all its blues, as 16-bit words."""
    import numpy as np  # noqa: PLC0415 - previews only

    table = np.array(colours).reshape(3, -1).T
    if table.max() > _BYTE:  # some programs write bytes into the words
        table = table >> 8
    picked: np.ndarray = table.astype(np.uint8)[np.minimum(indices, len(table) - 1)]
    return picked


def _mixed_inks(inks: "np.ndarray") -> "np.ndarray":
    """Return the RGB of cyan, magenta, yellow and black."""
    import numpy as np  # noqa: PLC0415 - previews only

    if inks.ndim < 3 or inks.shape[-1] < _INKS or inks.dtype.kind != "u":  # noqa: PLR2004
        return inks
    paper = 1 - inks[..., :_INKS].astype(np.float32) / np.iinfo(inks.dtype).max
    mixed: np.ndarray = np.rint(paper[..., :3] * paper[..., 3:] * _BYTE).astype(np.uint8)
    return mixed


def _from_fractions(colours: "np.ndarray") -> "np.ndarray":
    """Return the RGB of fractions of 1, or of the largest value where that is more."""
    import numpy as np  # noqa: PLC0415 - previews only

    known = np.nan_to_num(colours, nan=0.0, posinf=0.0, neginf=0.0)
    largest = max(1.0, float(known.max()))
    bytes_: np.ndarray = np.rint(np.clip(known / largest, 0, 1) * _BYTE).astype(np.uint8)
    return bytes_


def _from_luma(values: "np.ndarray") -> "np.ndarray":
    """Return the RGB of lightness and two differences of colours, each a byte."""
    return _converted(values, "YCbCr")


def _from_lab(values: "np.ndarray") -> "np.ndarray":
    """Return the RGB of CIE L*a*b*, whose a and b have a sign, which Pillow knows."""
    return _converted(values, "LAB")


def _converted(values: "np.ndarray", mode: str) -> "np.ndarray":
    """Return the RGB of a page, or pages, of bytes in a mode of Pillow; others as they are."""
    import numpy as np  # noqa: PLC0415 - previews only
    from PIL import Image, ImageCms  # noqa: PLC0415 - previews only

    if values.ndim < 3 or values.shape[-1] != 3 or values.dtype != np.uint8:  # noqa: PLR2004
        return values
    flat = np.ascontiguousarray(values).reshape(-1, values.shape[-2], 3)
    picture = Image.frombytes(mode, (flat.shape[1], flat.shape[0]), flat.tobytes())
    if mode == "LAB":
        profiles = (ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"))
        transform = ImageCms.buildTransform(*profiles, "LAB", "RGB")
        seen = ImageCms.applyTransform(picture, transform)
    else:
        seen = picture.convert("RGB")
    return np.asarray(seen).reshape(values.shape)


_COLOURS = {_SEPARATED: _mixed_inks, _LAB: _from_lab}
