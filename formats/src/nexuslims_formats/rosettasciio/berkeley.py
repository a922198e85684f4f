"""Berkeley's EMD files, read by ourselves in front of the library, which needs every detail there.

References
----------
EMD 0.2, https://emdatasets.com/format: a group of ``emd_group_type`` 1 holds an array ``data`` and
its axes ``dim1``, ``dim2``, ... in order, with ``name`` and ``units`` (``[n_m]``) as attributes.
Programs leave out the version of the file, an axis, or write attributes as arrays of one text.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_formats.errors import LimitExceededError
from nexuslims_formats.hdf5.lazy import lazy_array
from nexuslims_formats.rosettasciio.parts import OPENER

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

GROUP_TYPE: Final = "emd_group_type"
_ARRAY: Final = 1
_OTHERS: Final = ("4DSTEM_simulation", "4DSTEM_experiment", "signals")
"""Of Prismatic, py4DSTEM and HyperSpy, which the library knows better."""
_ABOUT: Final = ("microscope", "sample", "user", "comments")
_IN_BRACKETS: Final = re.compile(r"\[(.*?)\]")
_DEEPEST, _MOST, _LONGEST = 8, 4096, 1 << 24


def read_berkeley(path: Path) -> list[dict[str, Any]]:
    """Return the datasets of a file as rosettasciio would; none of the file of another program.

    Raises
    ------
    LimitExceededError
        It holds more than any real file.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    with h5py.File(path, "r") as file:
        if any(name in file for name in _OTHERS):
            return []
        groups = list(arrays_below(file))
        if not all(isinstance(group.get("data"), h5py.Dataset) for group in groups):
            return []
        about = {name: attributes_of(file[name]) for name in _ABOUT if name in file}
        return [_part(path, group, about) for group in groups]


def arrays_below(group: "h5py.Group", depth: int = _DEEPEST) -> "Iterator[h5py.Group]":
    """Yield the groups that hold an array with its axes, whatever it is called.

    Parameters
    ----------
    group
        Where to look.
    depth
        How many levels below it.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    for count, name in enumerate(group):
        if count > _MOST:
            raise LimitExceededError(f"an EMD file has more than {_MOST} items in {group.name}")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        if not isinstance(item, h5py.Group):
            continue
        if _plain(item.attrs.get(GROUP_TYPE)) == _ARRAY:
            yield item
        elif depth:
            yield from arrays_below(item, depth - 1)


def _part(path: Path, group: "h5py.Group", about: dict[str, Any]) -> dict[str, Any]:
    import h5py  # noqa: PLC0415 - HDF5 only
    import numpy as np  # noqa: PLC0415 - with an array only

    data = group["data"]
    is_text = h5py.check_string_dtype(data.dtype) is not None
    dtype = np.dtype(object) if is_text else data.dtype
    return {
        "data": np.broadcast_to(np.zeros((), dtype), data.shape),
        OPENER: opener(path, str(data.name)),
        "axes": [axis_of(group, number, size) for number, size in enumerate(data.shape, 1)],
        "metadata": {"General": {"title": str(group.name).rpartition("/")[2]}},
        "original_metadata": about,
    }


def opener(path: Path, place: str) -> "Callable[[], np.ndarray]":
    """Return what opens an array of a file.

    Parameters
    ----------
    path
        The file.
    place
        Where the array is in it.
    """
    return lambda: lazy_array(path, place)


def axis_of(group: "h5py.Group", number: int, size: int) -> dict[str, Any]:
    """Return an axis; without a calibration where its values are none, or absent.

    Parameters
    ----------
    group
        That of the array.
    number
        Of the axis, from 1.
    size
        Of the array along it.
    """
    found: dict[str, Any] = {"size": size, "index_in_array": number - 1, "navigate": False}
    values = group.get(f"dim{number}")
    if not hasattr(values, "shape"):
        return found
    units = str(_plain(values.attrs.get("units")) or "")
    inner = _IN_BRACKETS.findall(units)
    found["name"] = str(_plain(values.attrs.get("name")) or "")
    found["units"] = " * ".join(inner).replace("_", "") if inner else units
    if values.dtype.kind not in "iuf" or values.ndim != 1 or values.size > _LONGEST:
        return found
    steps = values[()].astype(float)
    if len(steps) == size > 1:
        return found | {"axis": steps}
    if len(steps) == 2:  # noqa: PLR2004 - start and step stand for all
        return found | {"offset": float(steps[0]), "scale": float(steps[1] - steps[0])}
    return found | {"offset": float(steps[0])} if len(steps) else found


def attributes_of(group: Any) -> dict[str, Any]:
    """Return the attributes of a group as texts, numbers and lists of them."""
    return {str(name): _plain(value) for name, value in group.attrs.items()}


def _plain(value: Any) -> Any:
    """Return an attribute as a text, a number or a list of them."""
    value = value.tolist() if hasattr(value, "tolist") else value
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
