"""Simulations of Prismatic that rosettasciio cannot read, for want of parameters that it expects.

References
----------
The tree of the EMD files of Prismatic 2: an array for each result and depth, ``realslice`` with
columns before rows or ``datacube`` of probes and patterns; among the parameters of the simulation
``ns`` slices of ``s`` angstrom between two depths, from ``zs``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_formats.quantities import number
from nexuslims_formats.rosettasciio.berkeley import arrays_below, attributes_of, axis_of, opener
from nexuslims_formats.rosettasciio.parts import OPENER

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]

_ROOT: Final = "4DSTEM_simulation"
_PARAMETERS: Final = f"{_ROOT}/metadata/metadata_0/original/simulation_parameters"
_CUBE: Final = "datacube"
_DEPTH: Final = re.compile(r"(.*depth)\d+")


def read_prismatic(path: Path) -> list[dict[str, Any]]:
    """Return the results of a simulation as rosettasciio would, rows before columns.

    Parameters
    ----------
    path
        The file; of another program there is nothing.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    with h5py.File(path, "r") as file:
        if _ROOT not in file:
            return []
        about = attributes_of(file[_PARAMETERS]) if _PARAMETERS in file else {}
        series: dict[str, list[tuple[h5py.Group, h5py.Dataset]]] = {}
        for group in arrays_below(file[_ROOT]):
            for name, item in group.items():
                if isinstance(item, h5py.Dataset) and not name.startswith("dim") and item.ndim > 1:
                    own = str(group.name).rpartition("/")[2]
                    depth = _DEPTH.fullmatch(own)
                    series.setdefault(depth[1] if depth else own, []).append((group, item))
        return [_part(path, title, found, about) for title, found in series.items()]


def _part(
    path: Path,
    title: str,
    found: "list[tuple[h5py.Group, h5py.Dataset]]",
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a result; those of several depths as one, if they are of one shape.

    Parameters
    ----------
    path
        The file.
    title
        Of the result.
    found
        The groups and arrays of its depths.
    about
        The parameters of the simulation.
    """
    import numpy as np  # noqa: PLC0415 - with an array only

    group, data = found[0]
    is_cube = str(data.name).endswith(_CUBE)
    axes = [axis_of(group, number_of, size) for number_of, size in enumerate(data.shape, 1)]
    for place, axis in enumerate(axes):
        axis["navigate"] = place < 2 if is_cube else place >= 2  # noqa: PLR2004 - a plane
    shape, order = data.shape, tuple(range(data.ndim))
    if not is_cube:
        axes, shape, order = axes[::-1], shape[::-1], order[::-1]
    places = [str(one.name) for _, one in found]
    if len(found) > 1:
        axes, shape = [_depths(title, len(found), about), *axes], (len(found), *shape)
    for place, axis in enumerate(axes):
        axis["index_in_array"] = place
    openers = [opener(path, place) for place in places]

    def open_pixels() -> "np.ndarray":
        pixels = [one().transpose(order) for one in openers]
        return np.stack(pixels) if len(pixels) > 1 else pixels[0]

    return {
        "data": np.broadcast_to(np.zeros((), data.dtype), shape),
        OPENER: open_pixels,
        "axes": axes,
        "metadata": {"General": {"title": title.removesuffix("_depth")}},
        "original_metadata": {"simulation_parameters": dict(about)},
    }


def _depths(title: str, count: int, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the axis of the depths; without a calibration where the parameters tell none.

    Parameters
    ----------
    title
        Its name.
    count
        How many depths there are.
    about
        The parameters of the simulation.
    """
    axis: dict[str, Any] = {"name": title, "size": count, "navigate": True}
    slices, thickness = number(about.get("ns")), number(about.get("s"))
    if not slices or not thickness:
        return axis
    step = slices * thickness
    # the results of a start at zero are those behind the first slices
    return axis | {"scale": step, "offset": number(about.get("zs")) or step, "units": "Å"}
