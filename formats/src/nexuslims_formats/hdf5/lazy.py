"""Arrays of which only what is sliced is read, or computed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_CHUNK = "16MiB"
_WHOLE = 64 << 20
"""Bytes of an array that is quicker read at once."""


def lazy_array(path: Path, place: str) -> "np.ndarray":
    """Open an array of a file; its slices are read in pieces, whatever the whole needs.

    Parameters
    ----------
    path
        The file; it stays open as long as the array lives.
    place
        Where the array is in it.

    Returns
    -------
    numpy.ndarray
        Of a large one a ``dask.array.Array``, which previews use as if it were one.
    """
    import dask  # noqa: PLC0415 - previews only
    import dask.array  # noqa: PLC0415 - previews only
    import h5py  # type: ignore[import-untyped]  # noqa: PLC0415 - HDF5 only

    from_array: Any = dask.array.from_array
    dataset = h5py.File(path, "r")[place]
    if dataset.nbytes <= _WHOLE:
        whole: np.ndarray = dataset[()]
        return whole
    with dask.config.set({"array.chunk-size": _CHUNK}):
        array: np.ndarray = from_array(dataset)
    return array


def outer_product(places: "np.ndarray", spectrum: "np.ndarray") -> "np.ndarray":
    """Return a spectrum for each point, times the point's intensity; computed where it is sliced.

    Parameters
    ----------
    places
        ``(..., rows, columns)``: the intensity of each point.
    spectrum
        ``(channels,)``.
    """
    import dask.array  # noqa: PLC0415 - previews only

    from_array: Any = dask.array.from_array
    chunks = (*(1 for _ in places.shape[:-1]), -1)
    product: np.ndarray = from_array(places, chunks=chunks)[..., None] * spectrum
    return product
