"""OME-TIFF: XML in the description of the first page says how large a pixel is, and when.

References
----------
OME data model, ``Pixels``: ``PhysicalSizeX`` and ``PhysicalSizeY`` in ``PhysicalSizeXUnit`` and
``PhysicalSizeYUnit``, µm where none is told; ``AcquisitionDate`` of the image in ISO 8601. Its
pages are those of ``TiffData``, and ``DimensionOrder`` names first what changes fastest.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import Moment
from nexuslims_formats.quantities import converted, counts, number, quantity, spelled_unit
from nexuslims_formats.tiff.imagej import counting, stack_axis
from nexuslims_formats.tiff.tags import Tiff
from nexuslims_formats.times import moment
from nexuslims_formats.trees import parse_xml

_MARK = b"<OME"
_DEFAULT_UNIT = "um"


def ome_images(tiff: Tiff) -> tuple[list[Any], str]:
    """Return the elements of the images, and why some that are there cannot be read, in words.

    There are none in the file of another program.
    """
    raw = tiff.described(_MARK).rstrip(b"\0")
    if _MARK not in raw:
        return [], ""
    try:
        root = parse_xml(raw)
    except UnreadableFileError as error:
        return [], f"of OME: {error}"
    return root.findall("{*}Image"), ""


def ome_series(tiff: Tiff, images: Sequence[Any]) -> dict[int, int]:
    """Return of which image each page is, by its number; nothing where that is not told.

    Parameters
    ----------
    tiff
        The file.
    images
        The elements of its images.
    """
    found: dict[int, int] = {}
    for number_of, image in enumerate(images):
        for first, count, _ in _data(tiff, image):
            for page in range(first, first + min(count, len(tiff.pages))):
                if found.setdefault(page, number_of) != number_of:
                    return {}
    return found if len(images) > 1 and found.keys() >= set(range(len(tiff.pages))) else {}


def _data(tiff: Tiff, image: Any) -> Iterator[tuple[int, int, dict[str, int]]]:
    """Yield where planes of an image are in this file: first page, count, first Z, T and C."""
    pixels = image.find("{*}Pixels")
    for data in pixels.findall("{*}TiffData") if pixels is not None else ():
        part = data.find("{*}UUID")
        if part is not None and part.get("FileName", tiff.path.name) != tiff.path.name:
            continue
        every = len(tiff.pages) if data.get("IFD") is None else 1
        first, count = (
            int(number(data.get(name)) or default)
            for name, default in (("IFD", 0), ("PlaneCount", every))
        )
        yield first, count, {axis: int(number(data.get(f"First{axis}")) or 0) for axis in "ZTC"}


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


def ome_stack_axes(tiff: Tiff, image: Any, size: int) -> tuple[Axis, ...]:
    """Return the axes of a stack's pages in the order of the pages; none where that is not told.

    Parameters
    ----------
    tiff
        The file.
    image
        The element of the image, or None.
    size
        How many pages there are.
    """
    pixels = image.find("{*}Pixels") if image is not None else None
    if pixels is None:
        return ()
    channel = pixels.find("{*}Channel")
    samples = number(channel.get("SamplesPerPixel")) if channel is not None else None
    sizes = {axis: int(number(pixels.get(f"Size{axis}")) or 1) for axis in "ZTC"}
    sizes["C"] = max(1, int(sizes["C"] // (samples or 1)))
    order = [axis for axis in pixels.get("DimensionOrder", "XYZCT") if axis in sizes]
    if sorted(order) != sorted(sizes) or not _is_in_order(tiff, image, order, sizes):
        return ()
    axes = {"C": stack_axis("c", sizes["C"])}
    for axis, name, key, default in (
        ("Z", "z", "PhysicalSizeZ", _DEFAULT_UNIT),
        ("T", "time", "TimeIncrement", "s"),
    ):
        unit = spelled_unit(pixels.get(f"{key}Unit", default))
        axes[axis] = stack_axis(name, sizes[axis], number(pixels.get(key)), unit)
    return counting(tuple(axes[axis] for axis in reversed(order)), size)


def _is_in_order(tiff: Tiff, image: Any, order: Sequence[str], sizes: Mapping[str, int]) -> bool:
    """Whether the pages follow each other as the order of the dimensions says."""
    planes = list(_data(tiff, image))
    start = min((first for first, _, _ in planes), default=0)
    for first, _, at in planes:
        place, step = 0, 1
        for axis in order:
            place, step = place + at[axis] * step, step * sizes[axis]
        if first - start != place:
            return False
    return True


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
