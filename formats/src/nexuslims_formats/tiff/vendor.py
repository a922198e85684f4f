"""What the extractors of vendors' TIFF files share: from rasters to signals."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nexuslims_contracts.datasets import CHANNEL, Axis, DatasetType
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import Moment, Signal, Value
from nexuslims_formats.quantities import readable_length
from nexuslims_formats.tiff.rasters import Raster, rasters
from nexuslims_formats.tiff.tags import Tiff

if TYPE_CHECKING:
    import numpy as np

_COLOURS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a vendor's metadata says of the images of a file."""

    data_type: str
    metadata: Mapping[str, Value]
    extensions: Mapping[str, Any]
    acquired: Moment | None = None
    dataset_type: DatasetType = "Image"
    pixel_size: tuple[float, float] | None = None
    """Height and width of a pixel in :attr:`pixel_unit`."""
    pixel_unit: str = "m"
    rows: int | None = None
    """Rows of the image proper, where a strip of words hangs below it."""
    warnings: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    """What of the metadata may be wrong, or was left out, in words."""


def image_signals(tiff: Tiff, described: Described) -> list[Signal]:
    """Return a signal for each raster of a file, all with the vendor's metadata.

    Parameters
    ----------
    tiff
        The file.
    described
        What its vendor's metadata say.
    """
    found = rasters(tiff)
    if not found:
        raise UnreadableFileError("the TIFF file holds no image")
    return [image_signal(tiff, raster, described) for raster in found]


def image_signal(tiff: Tiff, raster: Raster, described: Described) -> Signal:
    """Return one raster of a file with a vendor's metadata.

    Parameters
    ----------
    tiff
        The file.
    raster
        Of the file.
    described
        What its vendor's metadata say.
    """
    return Signal(
        name=tiff.path.stem,
        dataset_type=described.dataset_type,
        data_type=described.data_type,
        shape=raster.shape,
        dtype=raster.dtype,
        axes=image_axes(
            raster.shape,
            described.pixel_size,
            pages=len(raster.pages) > 1,
            unit=described.pixel_unit,
        ),
        metadata=described.metadata,
        extensions=described.extensions,
        warnings=described.warnings,
        acquired=described.acquired,
        pixels=_pixels(raster, described.rows),
        to_display=raster.to_display,
        problems=tuple(filter(None, (tiff.problem, raster.problem, raster.warning))),
        doubts=tuple(filter(None, (*described.doubts, raster.doubt))),
    )


def counted_by(signal: Signal, axes: tuple[Axis, ...]) -> Signal:
    """Return a stack whose pages are along several axes.

    Parameters
    ----------
    signal
        Whose first axis counts pages.
    axes
        Those of the pages, the slowest first.
    """
    shape = (*(axis.size for axis in axes), *signal.shape[1:])
    opener = signal.pixels
    return replace(
        signal,
        shape=shape,
        axes=(*axes, *signal.axes[1:]),
        pixels=_shaped(opener, shape) if opener else None,
    )


def _shaped(
    opener: "Callable[[], np.ndarray]", shape: tuple[int, ...]
) -> "Callable[[], np.ndarray]":
    """Give pages their axes, if all were read: of a long stack only some are."""

    def open_pixels() -> "np.ndarray":
        array = opener()
        return array.reshape(shape) if array.size == math.prod(shape) else array

    return open_pixels


def describe_signal(signal: Signal, described: Described) -> Signal:
    """Return the signal of a plain image with what a vendor's metadata says of it.

    Parameters
    ----------
    signal
        The image.
    described
        What is known of it besides.
    """
    opener = signal.pixels
    return replace(
        signal,
        dataset_type=described.dataset_type,
        data_type=described.data_type,
        axes=image_axes(signal.shape, described.pixel_size),
        metadata=described.metadata,
        extensions={**signal.extensions, **described.extensions},
        warnings=described.warnings,
        acquired=described.acquired,
        pixels=_cut(opener, described.rows) if opener else None,
    )


def _pixels(raster: Raster, rows: int | None) -> "Callable[[], np.ndarray] | None":
    return None if raster.problem else _cut(raster.pixels, rows)


def _cut(opener: "Callable[[], np.ndarray]", rows: int | None) -> "Callable[[], np.ndarray]":
    return opener if rows is None else lambda: opener()[:rows]


def pixel_fields(pixel_size: tuple[float, float] | None) -> dict[str, Value]:
    """Return the core fields of a pixel size, height and width in metres; none without one."""
    if pixel_size is None:
        return {}
    return {"pixel_height": (pixel_size[0], "m"), "pixel_width": (pixel_size[1], "m")}


def image_axes(
    shape: tuple[int, ...],
    pixel_size: tuple[float, float] | None,
    *,
    pages: bool = False,
    unit: str = "m",
) -> tuple[Axis, ...]:
    """Return the axes of an image, or of a stack of pages, with the pixel size in a readable unit.

    Parameters
    ----------
    shape
        ``(pages, rows, columns, channels)``, the first and the last where there are any.
    pixel_size
        Height and width.
    pages
        Whether the first axis counts pages.
    unit
        Of the size: metres, which are written in the unit that reads best, or that of a pattern.
    """
    axes = [Axis(name="page", size=shape[0], navigate=True)] if pages else []
    spatial = shape[1:] if pages else shape
    for name, size, step in zip(("y", "x"), spatial, pixel_size or (0.0, 0.0), strict=False):
        if step:
            scale, written = readable_length(step) if unit == "m" else (step, unit)
            axes.append(Axis(name=name, size=size, scale=scale, unit=written))
        else:
            axes.append(Axis(name=name, size=size))
    if len(spatial) == _COLOURS:
        axes.append(Axis(name=CHANNEL, size=spatial[2]))
    return tuple(axes)
