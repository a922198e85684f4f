"""Nion Swift's data items: ``.ndata``, and HDF5 as the library and the export write it.

References
----------
Nion Swift (github.com/nion-software/nionswift): an ``.ndata`` is a zip of ``data.npy`` and
``metadata.json``; in HDF5 the same JSON is the attribute ``properties`` of ``data``, or of each
dataset in it (``.nhdf``). Times are UTC with the offset beside them; voltages V, lengths m, angles
rad, unless the name of a value tells its unit.
"""

import json
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis, DatasetType
from nexuslims_formats.energy import calibration
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.hdf5.lazy import lazy_array
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value
from nexuslims_formats.quantities import TEXT, Row, mapped, measures, number, unit_of_length
from nexuslims_formats.times import moment
from nexuslims_formats.trees import nested
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

_ZIP: Final = b"PK\x03\x04"
_ARRAY, _TEXT = "data.npy", "metadata.json"
_PROPERTIES: Final = "properties"
_LONGEST: Final = 16 << 20
_LARGEST: Final = 256 << 20
"""Bytes of an array in a zip that is read for a preview."""
_MOST: Final = 1024
_SCANNED: Final = "instrument/ImageScanned"
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "instrument/high_tension", "V"),
    ("acceleration_voltage", f"{_SCANNED}/EHT", "V"),
    ("acceleration_voltage", "hardware_source/EHT", "V"),
    ("exposure_time", "hardware_source/exposure", "s"),
    ("dwell_time", "hardware_source/pixel_time_us", "us"),
    ("dwell_time", "scan/scan_device_parameters/pixel_time_us", "us"),
    ("horizontal_field_width", "hardware_source/fov_nm", "nm"),
    ("horizontal_field_width", "scan/fov_nm", "nm"),
    ("scan_rotation", "hardware_source/rotation_deg", "degree"),
    ("scan_rotation", "scan/rotation_deg", "degree"),
    ("convergence_angle", f"{_SCANNED}/probe_ha", "rad"),
    ("defocus", "instrument/defocus", "m"),
    ("defocus", f"{_SCANNED}/C10", "m"),
    ("stage_x", f"{_SCANNED}/StageOutX", "m"),
    ("stage_y", f"{_SCANNED}/StageOutY", "m"),
    ("stage_z", f"{_SCANNED}/StageOutZ", "m"),
    ("stage_alpha", f"{_SCANNED}/StageOutA", "rad"),
    ("stage_beta", f"{_SCANNED}/StageOutB", "rad"),
    ("detector_type", "hardware_source/channel_name", TEXT),
    ("detector_type", "scan/channel_name", TEXT),
    ("detector_type", "hardware_source/hardware_source_name", TEXT),
)
_PLANE: Final = 2


class NionExtractor:
    """Reads the properties of each data item; arrays for previews only."""

    name = "nion"
    version = "1.0"
    priority = 85
    extensions = ("ndata", "nhdf", "h5", "hdf5")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the two members of the zip, or the attribute of the HDF5 dataset."""
        if head.startswith(_ZIP):
            try:
                with zipfile.ZipFile(path) as file:
                    return {_ARRAY, _TEXT} <= set(file.namelist())
            except (zipfile.BadZipFile, NotImplementedError):
                return path.suffix.lower() == ".ndata"  # cut, but of no other kind
        if not is_hdf5(head):
            return False
        import h5py  # noqa: PLC0415 - HDF5 only

        try:
            with h5py.File(path, "r") as file:
                return any(True for _ in _items(file))
        except (OSError, RuntimeError, KeyError):
            return False

    def open(self, path: Path) -> ParsedFile:
        """Read what the file has of data items."""
        with path.open("rb") as file:
            zipped = file.read(len(_ZIP)) == _ZIP
        signals, native = _of_zip(path) if zipped else _of_hdf5(path)
        return ParsedFile(signals=signals, native=native, reader=f"nion {self.version}")


def _items(file: "h5py.File") -> Iterator["h5py.Dataset"]:
    """Yield the data items of a file: its one, or those of an export."""
    data = file.get("data")
    found = list(data.values())[:_MOST] if hasattr(data, "values") else [data]
    for item in found:
        if hasattr(item, "shape") and _PROPERTIES in item.attrs:
            yield item


def _of_hdf5(path: Path) -> tuple[list[Signal], dict[str, Any]]:
    import h5py  # noqa: PLC0415 - HDF5 only

    signals: list[Signal] = []
    native: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        for item in _items(file):
            place = str(item.name)
            tree = _parsed(item.attrs[_PROPERTIES])
            native[place] = tree
            shape = tuple(int(size) for size in item.shape)
            signals.append(_signal(path, tree, shape, str(item.dtype), _of_file(path, place)))
    return signals, native


def _of_zip(path: Path) -> tuple[list[Signal], dict[str, Any]]:
    import numpy as np  # noqa: PLC0415 - this format only

    try:
        with zipfile.ZipFile(path) as file:
            if file.getinfo(_TEXT).file_size > _LONGEST:
                raise LimitExceededError("its metadata are longer than any real ones")
            tree = _parsed(file.read(_TEXT))
            size = file.getinfo(_ARRAY).file_size
            with file.open(_ARRAY) as array:
                version = np.lib.format.read_magic(array)
                read = np.lib.format.read_array_header_1_0
                if version != (1, 0):
                    read = np.lib.format.read_array_header_2_0
                shape, _, dtype = read(array)
    except (zipfile.BadZipFile, NotImplementedError, KeyError, ValueError, OSError) as error:
        raise UnreadableFileError(f"the data item is damaged: {error}") from None
    if size < math.prod(shape) * dtype.itemsize:
        raise UnreadableFileError("the data item is damaged: its array is cut")
    opener = _of_member(path) if size <= _LARGEST and not dtype.hasobject else None
    return [_signal(path, tree, tuple(shape), str(dtype), opener)], tree


def _parsed(raw: Any) -> dict[str, Any]:
    """Return the properties; older ones keep those of the data one level below.

    Raises
    ------
    UnreadableFileError
        They are damaged.
    """
    try:
        tree = json.loads(raw)
    except (ValueError, TypeError, RecursionError) as error:
        raise UnreadableFileError(f"the properties are damaged: {error}") from None
    if not isinstance(tree, dict):
        raise UnreadableFileError("the properties are damaged: they are no object")
    below = tree.get("data_source") or (tree.get("data_sources") or [{}])[0]
    if not isinstance(below, dict):
        return tree
    return below | {key: value for key, value in tree.items() if value not in ("", None)}


def _signal(
    path: Path,
    tree: dict[str, Any],
    shape: tuple[int, ...],
    dtype: str,
    pixels: "Callable[[], np.ndarray] | None",
) -> Signal:
    metadata_tree = tree.get("metadata")
    known = metadata_tree if isinstance(metadata_tree, dict) else {}
    axes = tuple(_axes(tree, shape))
    kind = _dataset_type(axes)
    spectral = any(measures(axis.unit) == "energy" for axis in axes)
    technique = "EELS" if spectral else {"Diffraction": "Diffraction"}.get(kind, "Imaging")
    fields: dict[str, Value] = dict(mapped(nested(known), _FIELDS))
    return Signal(
        name=str(tree.get("title") or "") or path.stem,
        dataset_type=kind,
        data_type=f"STEM_{technique}",
        shape=shape,
        dtype=dtype,
        axes=axes,
        metadata=fields | calibration(axes),
        extensions=dict(leaves(known, "nion")),
        acquired=_acquired(tree),
        pixels=pixels,
    )


def _axes(tree: Mapping[str, Any], shape: tuple[int, ...]) -> Iterator[Axis]:
    given = tree.get("dimensional_calibrations") or tree.get("spatial_calibrations") or []
    if len(given) != len(shape):
        given = [{}] * len(shape)
    datum = int(number(tree.get("datum_dimension_count")) or min(len(shape), _PLANE))
    names = ("y", "x") if datum == _PLANE else ("x",)
    for place, (size, one) in enumerate(zip(shape, given, strict=True)):
        scanned = place < len(shape) - datum
        unit = unit_of_length(one.get("units"))
        name = "" if scanned else names[place - len(shape)] if datum <= _PLANE else ""
        name = "energy_loss" if measures(unit) == "energy" else name
        scale, offset = number(one.get("scale")), number(one.get("offset"))
        yield Axis(
            name=name,
            size=size,
            scale=scale or 1.0,
            offset=offset or 0.0,
            unit=unit if scale else "",
            navigate=scanned,
        )


def _dataset_type(axes: tuple[Axis, ...]) -> DatasetType:
    datum = [axis for axis in axes if not axis.navigate]
    scanned = len(axes) - len(datum)
    if len(datum) < _PLANE:
        return "SpectrumImage" if scanned else "Spectrum"
    reciprocal = measures(axes[-1].unit) in ("inverse length", "angle")
    return "Diffraction" if reciprocal or scanned >= _PLANE else "Image"


def _acquired(tree: Mapping[str, Any]) -> Moment | None:
    """Return when the data were made: in UTC, shown in the zone of the microscope."""
    created = str(tree.get("created") or "")
    found = moment("created", f"{created}+00:00" if created else "")
    offset = moment("created", f"2000-01-01T00:00:00{tree.get('timezone_offset') or '+0000'}").when
    if found.when is None or offset is None or found.when.tzinfo is None:
        return found
    return Moment(found.when.astimezone(offset.tzinfo), found.source)


def _of_file(path: Path, place: str) -> "Callable[[], np.ndarray]":
    return lambda: lazy_array(path, place)


def _of_member(path: Path) -> "Callable[[], np.ndarray]":
    def open_pixels() -> "np.ndarray":
        import numpy as np  # noqa: PLC0415 - previews only

        with zipfile.ZipFile(path) as file, file.open(_ARRAY) as array:
            found: np.ndarray = np.lib.format.read_array(array, allow_pickle=False)
            return found

    return open_pixels
