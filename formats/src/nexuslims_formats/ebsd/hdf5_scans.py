"""Scans as HDF5: ``.h5oina`` of Oxford, h5ebsd of EDAX, Bruker and kikuchipy.

References
----------
Oxford's h5oina specification (github.com/oinanoanalysis/h5oina): groups ``1/EBSD/Header`` and
``Data``, the unit of a value in its attribute ``Unit``. h5ebsd (Jackson et al. 2014) as EDAX's OIM
(``Scan 1/EBSD``) and Bruker's Esprit (``Scan 0/EBSD``) write it; their names as in kikuchipy's
plugins. Steps are um, working distances mm, voltages kV, tilts degrees where no unit is told.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.ebsd.grid import DATA_TYPE, Grid, map_signal
from nexuslims_formats.ebsd.headers import grid_of, header_tree, header_value
from nexuslims_formats.ebsd.oxford_maps import has_maps, map_signals
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.hdf5.lazy import lazy_array
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.quantities import TEXT, Row, mapped
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import nested
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

_OXFORD = "oxford"
_MAKERS = (_OXFORD, "edax", "bruker", "kikuchipy")
_MAKER_NAMES = ("Manufacturer", " Manufacturer", "Company", "manufacturer")
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Beam Voltage", "kV"),
    ("acceleration_voltage", "KV", "kV"),
    ("acceleration_voltage", "beam_energy", "kV"),
    ("magnification", "Magnification", "x"),
    ("magnification", "MAG", "x"),
    ("magnification", "magnification", "x"),
    ("working_distance", "Working Distance", "mm"),
    ("working_distance", "WD", "mm"),
    ("working_distance", "working_distance", "mm"),
    ("stage_tilt", "Tilt Angle", "degree"),
    ("stage_tilt", "Sample Tilt", "degree"),
    ("stage_tilt", "SampleTilt", "degree"),
    ("stage_tilt", "sample_tilt", "degree"),
    ("stage_x", "Stage Position/X", "mm"),
    ("stage_y", "Stage Position/Y", "mm"),
    ("stage_z", "Stage Position/Z", "mm"),
    ("exposure_time", "Camera Exposure Time", "ms"),
    ("exposure_time", "CameraExposureTime", "ms"),
    ("operator", "Operator", TEXT),
    ("specimen", "Sample ID", TEXT),
    ("specimen", "Specimen Label", TEXT),
)
_DATES = ("Acquisition Date", "Date")
_QUALITIES = ("Band Contrast", "IQ", "RadonQuality", "Band Slope", "MAD", "CI", "Phase")
_PATTERNS = ("Processed Patterns", "Unprocessed Patterns", "Pattern", "RawPatterns", "patterns")


class EbsdHdf5Extractor:
    """Reads the headers of the scans; of the data only shapes, until a preview is drawn."""

    name = "ebsd_hdf5"
    version = "1.0"
    priority = 90
    extensions = ("h5oina", "h5", "hdf5", "edaxh5")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the maker's name, and by a group of EBSD."""
        if not is_hdf5(head):
            return False
        import h5py  # noqa: PLC0415 - HDF5 only

        try:
            with h5py.File(path, "r") as file:
                maker = _maker(file).lower()
                return maker.startswith(_MAKERS) and (
                    any(_scans(file)) or (maker.startswith(_OXFORD) and any(_slices(file)))
                )
        except OSError:
            return False

    def open(self, path: Path) -> ParsedFile:
        """Read the header of each scan."""
        import h5py  # noqa: PLC0415 - HDF5 only

        native: dict[str, Any] = {}
        signals: list[Signal] = []
        with h5py.File(path, "r") as file:
            native["Manufacturer"] = _maker(file)
            for name, scan in _scans(file):
                header = header_tree(scan["Header"])
                native[name] = header
                signals += _signals(path, name, header, scan["Data"])
            if native["Manufacturer"].lower().startswith(_OXFORD):
                for name, group in _slices(file):
                    signals += map_signals(path, f"{path.stem} {name}", group)
        if not signals:
            raise UnreadableFileError("no scan of it tells how many points it has")
        return ParsedFile(signals=signals, native=native, reader=f"h5py {h5py.__version__}")


def _maker(file: "h5py.File") -> str:
    found = next((file[name] for name in _MAKER_NAMES if name in file), None)
    return str(header_value(found)) if found is not None and hasattr(found, "shape") else ""


def _scans(file: "h5py.File") -> Iterator[tuple[str, "h5py.Group"]]:
    """Yield name and group of each scan that has a header and data."""
    for name, group in file.items():
        scan = group.get("EBSD") if hasattr(group, "keys") else None
        if scan is not None and "Header" in scan and "Data" in scan:
            yield str(name), scan


def _slices(file: "h5py.File") -> Iterator[tuple[str, "h5py.Group"]]:
    """Yield name and group of each of Oxford's slices with images or X-rays."""
    for name, group in file.items():
        if hasattr(group, "keys") and has_maps(group):
            yield str(name), group


def _signals(
    path: Path, name: str, header: Mapping[str, Any], data: "h5py.Group"
) -> Iterator[Signal]:
    """Yield the map of a scan and, where they are kept, its patterns."""
    look_up = nested(header)
    grid = grid_of(look_up)
    if grid is None:
        return
    metadata: dict[str, Value] = dict(mapped(look_up, _FIELDS))
    acquired = first_moment(*(moment(f"EBSD {one}", look_up(one)) for one in _DATES))
    points = grid.rows * grid.columns
    quality = next((one for one in _QUALITIES if one in data), None)
    wrong = "" if quality is None else _misfit(data[quality].shape, points, quality)
    title = f"{path.stem} {name}"
    extensions = dict(leaves(header, "ebsd"))
    yield map_signal(
        title,
        grid,
        metadata=metadata,
        extensions=extensions,
        pixels=_map(path, data[quality].name, grid) if quality and not wrong else None,
        acquired=acquired,
        problems=(wrong,) if wrong else (),
    )
    for one in _PATTERNS:
        if one in data and len(data[one].shape) == 3:  # noqa: PLR2004 - a list of pictures
            patterns = data[one]
            wrong = _misfit(patterns.shape, points, one)
            whole = not wrong
            shape = (*(grid.shape if whole else patterns.shape[:1]), *patterns.shape[1:])
            yield Signal(
                name=f"{title} {one.lower()}",
                dataset_type="Diffraction",
                data_type=DATA_TYPE,
                shape=tuple(int(size) for size in shape),
                dtype=str(patterns.dtype),
                axes=_axes(grid if whole else None, shape),
                metadata=metadata,
                extensions=extensions,
                warnings=("operator",) if "operator" in metadata else (),
                acquired=acquired,
                pixels=_opener(path, patterns.name, shape),
                problems=(wrong,) if wrong else (),
            )


def _misfit(shape: tuple[int, ...], points: int, name: str) -> str:
    count = math.prod(shape[:1])
    return "" if count == points else f"{name} is there for {count} of the {points} points"


def _axes(grid: Grid | None, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    points = grid.axes() if grid else (Axis(name="pattern", size=shape[0], navigate=True),)
    return (*points, Axis(name="pattern_y", size=shape[-2]), Axis(name="pattern_x", size=shape[-1]))


def _map(path: Path, place: str, grid: Grid) -> "Callable[[], np.ndarray]":
    return lambda: grid.arrange(lazy_array(path, place).reshape(-1))


def _opener(path: Path, place: str, shape: tuple[int, ...]) -> "Callable[[], np.ndarray]":
    return lambda: lazy_array(path, place).reshape(shape)
