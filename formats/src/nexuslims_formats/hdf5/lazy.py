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

    Returns
    -------
    numpy.ndarray
        What can be sliced as one, and gives the values of a part to ``numpy.asarray``.
    """
    product: Any = _Product(places, spectrum)
    array: np.ndarray = product
    return array


class _Product:
    """The outer product of two arrays, which is never made as a whole."""

    def __init__(self, places: "np.ndarray", spectrum: "np.ndarray") -> None:
        self._places, self._spectrum = places, spectrum
        self.shape = (*places.shape, *spectrum.shape)
        self.ndim, self.size = len(self.shape), places.size * spectrum.size
        self.dtype = places.dtype

    def __getitem__(
        self, index: "int | slice | tuple[int | slice, ...]"
    ) -> "_Product | np.ndarray":
        """Return a part, as a product of parts; of a single channel, its values."""
        chosen = index if isinstance(index, tuple) else (index,)
        *at, channels = chosen if len(chosen) == self.ndim else (*chosen, slice(None))
        places = self._places[tuple(at)]
        if isinstance(channels, slice):
            return _Product(places, self._spectrum[channels])
        plane: np.ndarray = places * self._spectrum[channels]
        return plane

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> "np.ndarray":
        """Return the values."""
        del copy  # they are made here
        values: np.ndarray = self._places[..., None] * self._spectrum
        return values if dtype is None else values.astype(dtype)
