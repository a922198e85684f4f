"""Arrays in HDF5 that are read where a preview looks at them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_CHUNK = "16MiB"


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
    dask.array.Array
        Which previews use as one of NumPy.
    """
    import dask  # noqa: PLC0415 - previews only
    import dask.array  # noqa: PLC0415 - previews only
    import h5py  # type: ignore[import-untyped]  # noqa: PLC0415 - HDF5 only

    from_array: Any = dask.array.from_array
    dataset = h5py.File(path, "r")[place]
    with dask.config.set({"array.chunk-size": _CHUNK}):
        array: np.ndarray = from_array(dataset)
    return array
