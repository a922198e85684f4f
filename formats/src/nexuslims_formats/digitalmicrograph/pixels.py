"""How DigitalMicrograph stores pixels: types of ``ImageData``, and pixels mapped from a file."""

import math
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, Final

from nexuslims_formats.digitalmicrograph.tags import ArrayRef
from nexuslims_formats.errors import UnsupportedFileError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

# ImageData/DataType -> numpy's name; 8 and 23 are BGRA, 5, 27 and 28 half of a Fourier transform
_DTYPES: Final = {
    1: "int16", 2: "float32", 3: "complex64", 5: "complex64", 6: "uint8", 7: "int32", 8: "uint8",
    9: "int8", 10: "uint16", 11: "uint32", 12: "float64", 13: "complex128", 14: "uint8",
    23: "uint8", 27: "complex64", 28: "complex128", 39: "int64", 40: "uint64",
}  # fmt: skip
BGRA: Final = (8, 23)
_PACKED: Final = (27, 28)
_CHANNELS: Final = 4
_OLD_PACKED: Final = 5
"""Rows and columns of different layouts in one: not shown."""
_PLANE: Final = 2


def dtype_of(code: int) -> str:
    """Return numpy's name of a type of image data.

    Raises
    ------
    UnsupportedFileError
        It is not known.
    """
    if code not in _DTYPES:
        raise UnsupportedFileError(f"image data of the unknown type {code}")
    return _DTYPES[code]


def what_is_missing(reference: Any, shape: tuple[int, ...], code: int) -> str:
    """Return in words that an image takes more bytes than its data have; empty if it does not.

    Parameters
    ----------
    reference
        Its tag ``ImageData/Data``.
    shape
        Of the image, in array order, without its colours.
    code
        Its type of image data.
    """
    if not isinstance(reference, ArrayRef) or code in (*_PACKED, _OLD_PACKED):
        return ""
    bits = int(dtype_of(code).lstrip(ascii_lowercase)) * (_CHANNELS if code in BGRA else 1)
    takes = math.prod(shape) * bits // 8
    if takes <= reference.size:
        return ""
    return f"the image takes {takes} bytes, but its data has {reference.size}"


def undrawn(shape: tuple[int, ...], code: int) -> str:
    """Return in words why an image of a type is not drawn; empty where it is.

    Parameters
    ----------
    shape
        Of the image, in array order.
    code
        Its type of image data.
    """
    if code == _OLD_PACKED or (code in _PACKED and len(shape) != _PLANE):
        return f"packed transforms of type {code} and {len(shape)} dimensions are not decoded"
    return ""


def pixels_of(
    path: Path, order: str, reference: Any, shape: tuple[int, ...], code: int
) -> "Callable[[], np.ndarray] | None":
    """Return what maps the pixels of an image; None where there are none: see :func:`undrawn`.

    Parameters
    ----------
    path
        The file.
    order
        Its byte order, ``<`` or ``>``.
    reference
        Its tag ``ImageData/Data``.
    shape
        Of the image, in array order.
    code
        Its type of image data.
    """
    if not isinstance(reference, ArrayRef) or undrawn(shape, code):
        return None

    def open_pixels() -> "np.ndarray":
        import numpy as np  # noqa: PLC0415 - previews only

        dtype = np.dtype(f"{order}{np.dtype(dtype_of(code)).str[1:]}")
        stored = (shape[0], shape[1] // 2 + 1) if code in _PACKED else shape
        pixels: np.ndarray = np.memmap(
            path, dtype=dtype, mode="r", offset=reference.offset, shape=stored
        )
        if code in BGRA:
            return pixels[..., [2, 1, 0]]
        if code in _PACKED:  # only the right half is stored: the left is its mirror image
            half = pixels[:, : shape[1] // 2]
            return np.hstack([half[::-1, ::-1], half])
        return pixels

    return open_pixels
