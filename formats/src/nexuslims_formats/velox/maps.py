"""Maps of spectra in Velox files: streams of X-ray events, and energy-loss spectra.

A stream is a list of channels; 65535 ends a point. Points follow line by line and frame by frame,
a stream for each detector. The summed map beside it is in a form that is not public.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_formats.errors import LimitExceededError
from nexuslims_formats.quantities import number
from nexuslims_formats.trees import nested
from nexuslims_formats.velox.tree import parsed

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

CHANNELS: Final = 4096
_GATE: Final = 65535
_BLOCK: Final = 8 << 20
_MOST_BLOCKS: Final = 32
"""Of longer streams the first events stand for all."""
_LARGEST_SIDE: Final = 1 << 16


def stream_settings(stream: "h5py.Group") -> dict[str, Any]:
    """Return how a stream was recorded: channels, and the raster where it is told."""
    dataset = stream.get("AcquisitionSettings")
    return parsed(dataset[0]) if hasattr(dataset, "shape") and dataset.size else {}


def map_shape(
    streams: "Sequence[h5py.Group]", tree: Mapping[str, Any], images: Iterable[tuple[int, int]]
) -> tuple[int, int] | None:
    """Return rows and columns of a map; None where the file does not tell them.

    They are the part of the raster that was scanned. Where no image beside the map is of that
    size, the number of points in the stream decides.

    Parameters
    ----------
    streams
        Of the detectors.
    tree
        The metadata of the first.
    images
        Rows and columns of the images beside it.
    """
    scanned = scanned_part(stream_settings(streams[0]), tree)
    others = list(dict.fromkeys(images))
    if scanned in others or not others:
        return scanned
    points = _points(streams[0])
    candidates = [one for one in (scanned, *others) if one is not None]
    return next((one for one in candidates if points and points % (one[0] * one[1]) == 0), scanned)


def scanned_part(settings: Mapping[str, Any], tree: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return rows and columns of the part of a raster that was scanned; None where not told.

    Parameters
    ----------
    settings
        Of a stream, where there is one.
    tree
        The metadata.
    """
    look_up = nested(tree)
    raster = settings.get("RasterScanDefinition")
    sizes = raster if isinstance(raster, Mapping) else {}
    sides = []
    for length, low, high in (("Height", "top", "bottom"), ("Width", "left", "right")):
        whole = number(sizes.get(length)) or number(look_up(f"Scan/ScanSize/{length.lower()}"))
        first, last = (number(look_up(f"Scan/ScanArea/{edge}")) for edge in (low, high))
        share = 1.0 if first is None or last is None else last - first
        side = round((whole or 0) * share)
        if side > _LARGEST_SIDE:
            raise LimitExceededError(f"the scan claims {side} points along a side")
        if side < 1:
            return None
        sides.append(side)
    return sides[0], sides[1]


def sum_of(tree: dict[str, Any], maps_of: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what is said of the map that a stream is a part of; of the stream, if no map's is.

    A file may hold the maps of two acquisitions, such as one of energy losses beside it.

    Parameters
    ----------
    tree
        The metadata of the stream.
    maps_of
        Those of the maps.
    """
    detector = str(nested(tree)("BinaryResult/Detector") or "")
    names = [str(nested(one)("BinaryResult/Detector") or "") for one in maps_of]
    of_it = [one for one, name in zip(maps_of, names, strict=True)
             if name and detector.startswith(name)]  # fmt: skip
    alone = [one for one in maps_of if one] if len(maps_of) == 1 else []
    return next(iter([*of_it, *alone]), tree)


def scanned_as(shape: tuple[int, int], maps_of: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what is said of the map of a size; of the first, if none tells this one.

    Parameters
    ----------
    shape
        Rows and columns.
    maps_of
        The metadata of the maps.
    """
    fitting = (one for one in maps_of if scanned_part({}, one) == shape)
    return next(fitting, next(iter(maps_of), {}))


def _points(stream: "h5py.Group") -> int:
    """Return how many points a stream has; 0 where it is too long to count them."""
    import numpy as np  # noqa: PLC0415 - odd files only

    data = stream.get("Data")
    if not hasattr(data, "shape") or data.size > _BLOCK:
        return 0
    return int(np.count_nonzero(data[...] == _GATE))


def summed_streams(
    path: Path, places: Sequence[str], shape: tuple[int, int], channels: int
) -> "tuple[np.ndarray, np.ndarray]":
    """Return the counts at each point, and the share of each channel in all of them.

    Parameters
    ----------
    path
        The file.
    places
        Where the streams' data are in it.
    shape
        Rows and columns of the map.
    channels
        Of a spectrum.
    """
    import h5py  # noqa: PLC0415 - previews only
    import numpy as np  # noqa: PLC0415 - previews only

    points = shape[0] * shape[1]
    counts, spectrum = np.zeros(points), np.zeros(channels)
    with h5py.File(path, "r") as file:
        for place in places:
            data, at = file[place], 0
            for start in range(0, min(len(data), _BLOCK * _MOST_BLOCKS), _BLOCK):
                words = data[start : start + _BLOCK].reshape(-1)
                gates = words == _GATE
                where = at + np.cumsum(gates)
                rays = ~gates & (words < channels)
                counts += np.bincount(where[rays] % points, minlength=points)
                spectrum += np.bincount(words[rays], minlength=channels)
                at = int(where[-1])
    return counts.reshape(shape), spectrum / (spectrum.sum() or 1.0)
