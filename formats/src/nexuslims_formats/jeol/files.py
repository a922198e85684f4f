"""The files of JEOL's Analysis Station: images and maps, spectra, and maps of spectra.

References
----------
The structure as HyperSpy's documentation of the format describes it, measured on real files: a
pixel is ``ScanSize`` (mm at 1 x) over the magnification and the number of pixels; energies are in
keV, voltages in kV, currents in nA, angles in degrees, working distances in mm, dwell times in ms.
"""

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.energy import calibration, energy_axis, microscope_kind
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.hdf5.lazy import outer_product
from nexuslims_formats.jeol.events import summed_events
from nexuslims_formats.jeol.tree import DataPlace, moment_of, read_tree
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.quantities import NUMBER, TEXT, Row, mapped, number
from nexuslims_formats.trees import nested
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import numpy as np

IMAGE_MARK: Final = struct.pack("<I", 52)
MAP_MARK: Final = struct.pack("<I", 304)
SPECTRUM_MARK: Final = b"JED-2200:EDS"
_TREE: Final = 12
"""Bytes before the first entry of a tree."""
_CHANNELS: Final = 4096
"""Events have twelve bits."""
_LARGEST_SIDE: Final = 1 << 14
_IMAGE_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Instrument/AccV", "kV"),
    ("magnification", "Instrument/Mag", "x"),
    ("working_distance", "Instrument/WorkD", "mm"),
    ("scan_rotation", "Instrument/ScanR", "degree"),
    ("microscope", "Instrument/Name", TEXT),
    ("dwell_time", "Map/DwellTime", "ms"),
    ("frames", "Map/SweepCount", NUMBER),
)
_DETECTOR: Final = "PTTD Param/Params/PARAMPAGE0_SEM"
_MEASURED: Final = "PTTD Data/AnalyzableMap MeasData"
_MAP_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", f"{_MEASURED}/MeasCond/AccKV", "kV"),
    ("magnification", f"{_MEASURED}/MeasCond/Mag", "x"),
    ("scan_rotation", f"{_MEASURED}/MeasCond/ScanR", "degree"),
    ("probe_current", f"{_MEASURED}/MeasCond/AccNA", "nA"),
    ("working_distance", f"{_DETECTOR}/WorkD", "mm"),
    ("microscope", f"{_DETECTOR}/SEM", TEXT),
    ("detector_type", f"{_DETECTOR}/DetT", TEXT),
    ("azimuthal_angle", f"{_DETECTOR}/DirAng", "degree"),
    ("elevation_angle", f"{_DETECTOR}/ElevAng", "degree"),
    ("takeoff_angle", f"{_DETECTOR}/TakeAng", "degree"),
    ("detector_energy_resolution", f"{_DETECTOR}/MnKaRES", "eV"),
    ("live_time", f"{_MEASURED}/Doc/LiveTime", "s"),
    ("real_time", f"{_MEASURED}/Doc/RealTime", "s"),
    ("dwell_time", f"{_MEASURED}/Doc/DwellTime(msec)", "ms"),
    ("frames", f"{_MEASURED}/Doc/Sweep", NUMBER),
)


def read_image(path: Path) -> ParsedFile:
    """Read an image, or the map of an element (``.img``, ``.map``).

    Raises
    ------
    UnreadableFileError
        Its tree is damaged, or tells no image.
    """
    with path.open("rb") as file:
        head = _read(file, 48)
        (place,) = struct.unpack_from("<I", head, 44)
        tree = read_tree(file, place + _TREE, path.stat().st_size)
    look_up = nested(tree)
    size, bits = look_up("Image/Size"), look_up("Image/Bits")
    if not (isinstance(size, list) and len(size) == 2) or bits is None:  # noqa: PLR2004
        raise UnreadableFileError("the file tells no size of its image")
    columns, rows = (_side(one) for one in size)
    metadata: dict[str, Value] = dict(mapped(look_up, _IMAGE_FIELDS))
    kind = microscope_kind(metadata.get("acceleration_voltage"))
    is_map = "Map" in tree
    whole = isinstance(bits, DataPlace) and bits.count >= rows * columns
    problem = "" if whole else f"the image of {rows} x {columns} pixels is not whole"
    signal = Signal(
        name=str(look_up("Image/Title") or path.stem),
        dataset_type="Image",
        data_type=f"{kind}_{'EDS' if is_map else 'Imaging'}",
        shape=(rows, columns),
        dtype=_dtype(bits),
        axes=_scan_axes(
            look_up, ("Instrument/ScanSize", "Instrument/Mag"), (rows, columns), scan=False
        ),
        metadata=metadata,
        extensions=dict(leaves(_plain(tree), "jeol")),
        acquired=moment_of(look_up("Image/Created"), "Image/Created"),
        pixels=_opener(path, bits, (rows, columns)) if whole else None,
        problems=(problem,) if problem else (),
    )
    return ParsedFile(signals=[signal], native=_plain(tree), reader="jeol tree")


def read_map(path: Path) -> ParsedFile:
    """Read the header of a map of spectra (``.pts``); its events are counted for a preview only.

    Raises
    ------
    UnreadableFileError
        Its tree is damaged, or tells no map.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = _read(file, 304)
        place, _, data, length = struct.unpack_from("<4I", head, 20)
        tree = read_tree(file, place + _TREE, size)
    look_up = nested(tree)
    sides = str(look_up(f"{_MEASURED}/Meas Cond/Pixels") or "").split("x")
    if len(sides) != 2:  # noqa: PLR2004 - columns and rows
        raise UnreadableFileError("the file tells no size of its map")
    columns, rows = (_side(number(one)) for one in sides)
    metadata: dict[str, Value] = dict(mapped(look_up, _MAP_FIELDS))
    kind = microscope_kind(metadata.get("acceleration_voltage"))
    scan = (f"{_DETECTOR}/ScanSize", f"{_MEASURED}/MeasCond/Mag")
    axes = (*_scan_axes(look_up, scan, (rows, columns), scan=True), _event_axis(look_up))
    short = data + length > size
    signal = Signal(
        name=path.stem,
        dataset_type="SpectrumImage",
        data_type=f"{kind}_EDS",
        shape=(rows, columns, _CHANNELS),
        dtype="uint16",
        axes=axes,
        metadata=metadata | calibration(axes),
        extensions=dict(leaves(_plain(tree), "jeol")),
        acquired=moment_of(struct.unpack_from("<d", head, 296)[0], "date of the map"),
        pixels=None if short else lambda: outer_product(*summed_events(path, data, rows, columns)),
        problems=(f"the events end at byte {data + length}, but the file at {size}",)
        if short
        else (),
    )
    return ParsedFile(signals=[signal], native=_plain(tree), reader="jeol tree")


def _read(file: BinaryIO, length: int) -> bytes:
    raw = file.read(length)
    if len(raw) < length:
        raise UnreadableFileError("the file ends within its header")
    return raw


def _side(value: Any) -> int:
    found = int(value or 0)
    if not 0 < found <= _LARGEST_SIDE:
        raise LimitExceededError(f"the file claims a side of {found} pixels")
    return found


def _dtype(bits: Any) -> str:
    kind = bits.kind if isinstance(bits, DataPlace) else "B"
    return {"B": "uint8", "H": "uint16", "i": "int32", "f": "float32", "d": "float64"}.get(
        kind, "uint8"
    )


def _scan_axes(
    look_up: Callable[[str], Any], paths: tuple[str, str], shape: tuple[int, int], *, scan: bool
) -> tuple[Axis, Axis]:
    """Return the axes of an area that was scanned; pixels are square.

    Parameters
    ----------
    look_up
        Of the tree.
    paths
        Of the width at 1 x, in mm, and of the magnification.
    shape
        Rows and columns.
    scan
        Whether something was measured at each point.
    """
    mm, times = (number(look_up(path)) for path in paths)
    known = mm is not None and times is not None and mm > 0 and times > 0
    scale = mm / times * 1000 / shape[1] if known and mm and times else 1.0
    unit = "um" if known else ""
    rows, columns = (
        Axis(name=name, size=size, scale=scale, unit=unit, navigate=scan)
        for name, size in zip(("y", "x"), shape, strict=True)
    )
    return rows, columns


def _event_axis(look_up: Callable[[str], Any]) -> Axis:
    """Return the energies of the events' channels: channel DigZ is at zero but for an offset."""
    scale = number(look_up(f"{_MEASURED}/Doc/CoefA"))
    start = number(look_up(f"{_MEASURED}/Doc/CoefB"))
    template = look_up(f"{_MEASURED}/Meas Cond/Tpl")
    zero = number(look_up(f"PTTD Param/Params/PARAMPAGE1_EDXRF/Tpl/{template}/DigZ"))
    offset = None if None in (scale, start, zero) else (start or 0.0) - (scale or 0.0) * (zero or 0)
    return energy_axis(_CHANNELS, scale, offset, "keV")


def _opener(path: Path, bits: Any, shape: tuple[int, int]) -> "Callable[[], np.ndarray]":
    return lambda: bits.read(path)[: shape[0] * shape[1]].reshape(shape)


def _plain(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree without its data and its tables of colours."""
    return {
        name: _plain(value) if isinstance(value, Mapping) else value
        for name, value in tree.items()
        if not isinstance(value, DataPlace) and name not in ("Palette", "RGBQUAD")
    }
