"""Electron images and X-ray maps in Oxford's ``.h5oina``, beside or without EBSD.

References
----------
Oxford's h5oina specification, versions 1 to 8 (github.com/oinanoanalysis/h5oina): each slice has
groups ``EBSD``, ``EDS`` (``EDS1``, ``EDS2`` of several detectors) and ``Electron Image``, each with
``Header`` and ``Data``. Angles are radians, voltages kV, distances and stages mm, steps um.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis, DatasetType
from nexuslims_formats.ebsd.grid import Grid
from nexuslims_formats.ebsd.headers import grid_of, header_tree
from nexuslims_formats.energy import calibration, energy_axis
from nexuslims_formats.hdf5.lazy import lazy_array
from nexuslims_formats.model import Signal, Value
from nexuslims_formats.quantities import NUMBER, TEXT, Row, mapped, quantity
from nexuslims_formats.times import moment
from nexuslims_formats.trees import nested
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

_IMAGES: Final = "Electron Image"
_XRAYS: Final = re.compile(r"EDS\d*")
_MAPS: Final = ("Window Integral", "Peak Area", "Composition")
"""Kinds of maps, each of all elements: the first that is there is shown."""
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Beam Voltage", "kV"),
    ("magnification", "Magnification", "x"),
    ("working_distance", "Working Distance", "mm"),
    ("scan_rotation", "Scan Rotation", "rad"),
    ("stage_tilt", "Tilt Angle", "rad"),
    ("stage_tilt", "Stage Position/Tilt", "rad"),
    ("stage_rotation", "Stage Position/Rotation", "rad"),
    ("stage_x", "Stage Position/X", "mm"),
    ("stage_y", "Stage Position/Y", "mm"),
    ("stage_z", "Stage Position/Z", "mm"),
    ("dwell_time", "Dwell Time", "us"),
    ("frames", "Number Frames Averaged", NUMBER),
    ("frames", "Number Frames", NUMBER),
    ("elevation_angle", "Detector Elevation", "rad"),
    ("azimuthal_angle", "Detector Azimuth", "rad"),
    ("specimen", "Specimen Label", TEXT),
)


def has_maps(slice_group: "h5py.Group") -> bool:
    """Tell whether a slice has electron images or X-rays."""
    return any(True for _ in _techniques(slice_group))


def map_signals(path: Path, title: str, slice_group: "h5py.Group") -> Iterator[Signal]:
    """Yield the electron images and the X-ray spectra or maps of a slice.

    Parameters
    ----------
    path
        The file.
    title
        What the names of the datasets start with.
    slice_group
        The group of the slice.
    """
    for name, group in _techniques(slice_group):
        header = header_tree(group["Header"])
        grid = grid_of(nested(header))
        if grid is None:
            continue
        if name == _IMAGES:
            for kind in group["Data"].values():
                if hasattr(kind, "keys") and not kind.name.endswith("/Feature"):
                    yield from _images(path, title, header, grid, kind)
        else:
            yield from _xrays(path, f"{title} {name}", header, grid, group["Data"])


def _techniques(slice_group: "h5py.Group") -> Iterator[tuple[str, "h5py.Group"]]:
    for name, group in slice_group.items():
        is_known = name == _IMAGES or _XRAYS.fullmatch(name)
        if is_known and hasattr(group, "keys") and "Header" in group and "Data" in group:
            yield name, group


def _images(
    path: Path, title: str, header: Mapping[str, Any], grid: Grid, group: "h5py.Group"
) -> Iterator[Signal]:
    """Yield the pictures of one kind: of secondary or backscattered electrons, or of an element."""
    kind = group.name.rpartition("/")[2]
    is_electrons = kind not in _MAPS
    for name, item in group.items():
        if hasattr(item, "keys") or len(item.shape) > 2:  # noqa: PLR2004 - one value a pixel
            continue
        axes = tuple(axis.model_copy(update={"navigate": False}) for axis in grid.axes())
        metadata = dict(_metadata(header)) | grid.core_fields()
        if is_electrons:
            metadata["detector_type"] = kind
        yield _signal(
            path,
            f"{title} {name}",
            header,
            item,
            axes,
            metadata=metadata,
            data_type="SEM_Imaging" if is_electrons else "SEM_EDS",
        )


def _xrays(
    path: Path, title: str, header: Mapping[str, Any], grid: Grid, data: "h5py.Group"
) -> Iterator[Signal]:
    """Yield the spectra of all points, or without them a map for each element."""
    if "Spectrum" not in data or hasattr(data["Spectrum"], "keys"):
        kind = next((data[name] for name in _MAPS if name in data), None)
        if kind is not None:
            yield from _images(path, title, header, grid, kind)
        return
    spectra = data["Spectrum"]
    look_up = nested(header)
    width, start = (quantity(look_up(name), "eV") for name in ("Channel Width", "Start Channel"))
    channels = int(spectra.shape[-1])
    energy = energy_axis(channels, width[0] if width else None, start[0] if start else None, "eV")
    points = tuple(axis for axis in grid.axes() if axis.size > 1)
    axes = (*points, energy)
    metadata = dict(_metadata(header)) | calibration([energy])
    yield _signal(path, title, header, spectra, axes, metadata=metadata, data_type="SEM_EDS")


def _metadata(header: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    yield from mapped(nested(header), _FIELDS)


def _signal(
    path: Path,
    name: str,
    header: Mapping[str, Any],
    item: "h5py.Dataset",
    axes: tuple[Axis, ...],
    *,
    metadata: Mapping[str, Value],
    data_type: str,
) -> Signal:
    """Return the signal of one array; its points lie one after the other in the file."""
    shape = tuple(axis.size for axis in axes)
    count = math.prod(item.shape)
    whole = count == math.prod(shape)
    spectral = axes[-1].name == "Energy"
    kind: DatasetType = (
        "Image" if not spectral else "SpectrumImage" if len(axes) > 1 else "Spectrum"
    )
    return Signal(
        name=name,
        dataset_type=kind,
        data_type=data_type,
        shape=shape,
        dtype=str(item.dtype),
        axes=axes,
        metadata=metadata,
        extensions=dict(leaves(header, "oxford")),
        acquired=moment("Acquisition Date", nested(header)("Acquisition Date")),
        pixels=_opener(path, item.name, shape) if whole else None,
        problems=() if whole else (f"{name} has {count} values, but {math.prod(shape)} are told",),
    )


def _opener(path: Path, place: str, shape: tuple[int, ...]) -> "Callable[[], np.ndarray]":
    return lambda: lazy_array(path, place).reshape(shape)
