"""OME-TIFF: XML in the description of the first page says how large a pixel is, and when.

References
----------
OME data model, ``Pixels``: ``PhysicalSizeX`` and ``PhysicalSizeY`` in ``PhysicalSizeXUnit`` and
``PhysicalSizeYUnit``, µm where none is told; ``AcquisitionDate`` of the image in ISO 8601.
"""

from typing import Any

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import Moment
from nexuslims_formats.quantities import converted, counts, number, quantity, spelled_unit
from nexuslims_formats.tiff.imagej import stack_axis
from nexuslims_formats.tiff.tags import Tiff
from nexuslims_formats.times import moment
from nexuslims_formats.trees import parse_xml

_MARK = b"<OME"
_DEFAULT_UNIT = "um"


def ome_image(tiff: Tiff) -> tuple[Any, str]:
    """Return the element of the first image, and why one that is there cannot be read, in words.

    The element is None for the file of another program.
    """
    raw = tiff.described(_MARK).rstrip(b"\0")
    if _MARK not in raw:
        return None, ""
    try:
        root = parse_xml(raw)
    except UnreadableFileError as error:
        return None, f"of OME: {error}"
    return root.find("{*}Image"), ""


def ome_pixel_size(image: Any) -> tuple[tuple[float, float] | None, str]:
    """Return height and width of a pixel in metres, and why sizes that are told are none.

    Parameters
    ----------
    image
        The element of the image, or None.
    """
    pixels = image.find("{*}Pixels") if image is not None else None
    if pixels is None:
        return None, ""
    sizes, strange = [], []
    for axis in "YX":
        size = pixels.get(f"PhysicalSize{axis}")
        unit = pixels.get(f"PhysicalSize{axis}Unit", _DEFAULT_UNIT)
        sizes.append(0.0 if counts(unit) else converted(quantity(size, unit), "m"))
        strange += [f"{size} {unit}"] if size and not counts(unit) else []
    down, across = sizes
    if down and across and min(down, across) > 0:
        return (down, across), ""
    return None, f"OME's size of a pixel, {' by '.join(strange)}, is no length" if strange else ""


def ome_stack_axis(image: Any, size: int) -> Axis | None:
    """Return the axis of a stack's pages, where they are all of a depth or all of a time.

    Parameters
    ----------
    image
        The element of the image, or None.
    size
        How many pages there are.
    """
    pixels = image.find("{*}Pixels") if image is not None else None
    if pixels is None:
        return None
    named = [axis for axis in "ZTC" if (number(pixels.get(f"Size{axis}")) or 1) > 1]
    for axis, name, key, default in (
        ("Z", "z", "PhysicalSizeZ", _DEFAULT_UNIT),
        ("T", "time", "TimeIncrement", "s"),
    ):
        if named == [axis] and number(pixels.get(f"Size{axis}")) == size:
            unit = spelled_unit(pixels.get(f"{key}Unit", default))
            return stack_axis(name, size, number(pixels.get(key)), unit)
    return None


def ome_acquired(image: Any) -> Moment | None:
    """Return when an image was acquired; None without an image.

    Parameters
    ----------
    image
        The element of the image, or None.
    """
    if image is None:
        return None
    return moment("OME AcquisitionDate", image.findtext("{*}AcquisitionDate"))
