"""The extractor for Velox files: each image, spectrum and map is a dataset."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis, DatasetType
from nexuslims_formats.energy import calibration, energy_axis
from nexuslims_formats.errors import ExtractorError, LimitExceededError, UnreadableFileError
from nexuslims_formats.hdf5.lazy import lazy_array, outer_product
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.quantities import measures, number, readable_length
from nexuslims_formats.trees import nested
from nexuslims_formats.values import leaves
from nexuslims_formats.velox import maps
from nexuslims_formats.velox.tree import (
    acquired,
    core_fields,
    detector_of,
    labels,
    metadata_of,
    mode_of,
)

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

_MOST: Final = 4096
"""Images or spectra of a file."""
_KEPT: Final = ("Instrument", "Acquisition", "Optics", "Stage", "Scan", "BinaryResult", "Detector")
_PLANES, _STACK = 2, 3


@dataclass(slots=True)
class _Open:
    """A file that is being read."""

    path: Path
    file: "h5py.File"
    names: dict[str, str]
    problems: list[str] = field(default_factory=list)
    native: dict[str, Any] = field(default_factory=dict)

    def groups(self, kind: str) -> "list[tuple[str, h5py.Group]]":
        """Return the images, spectra or streams of a file with their ids."""
        group = self.file.get(f"Data/{kind}")
        if not hasattr(group, "items"):
            return []
        if len(group) > _MOST:
            raise LimitExceededError(f"the file holds {len(group)} of Data/{kind}")
        return [(str(name), item) for name, item in group.items() if hasattr(item, "keys")]

    def tree(self, group: "h5py.Group", name: str = "Metadata") -> dict[str, Any]:
        """Return metadata; damaged ones are a problem, and cost no more than themselves."""
        try:
            found = metadata_of(group, name)
        except (ExtractorError, OSError, RuntimeError) as error:
            self.problems.append(str(error))
            return {}
        self.native[str(group.name)] = found
        return found


class VeloxExtractor:
    """Reads the metadata of each image and spectrum; arrays for previews only."""

    name = "velox"
    version = "1.0"
    priority = 100
    extensions = ("emd",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the two groups that every Velox file has."""
        if not is_hdf5(head):
            return False
        import h5py  # noqa: PLC0415 - HDF5 only

        try:
            with h5py.File(path, "r") as file:
                return "Data" in file and hasattr(file.get("Version"), "shape")
        except OSError:
            return False

    def open(self, path: Path) -> ParsedFile:
        """Read what the file has of each kind."""
        import h5py  # noqa: PLC0415 - HDF5 only

        try:
            with h5py.File(path, "r") as file:
                return _read(path, file)
        except (OSError, RuntimeError, KeyError) as error:
            raise UnreadableFileError(f"the HDF5 file is damaged: {error}") from None


def _read(path: Path, file: "h5py.File") -> ParsedFile:
    import h5py  # noqa: PLC0415 - HDF5 only

    opened = _Open(path, file, {})
    try:
        opened.names.update(labels(file))
    except (ExtractorError, OSError, KeyError, ValueError) as error:
        opened.problems.append(f"the names of its images cannot be read: {error}")
    signals = [*_spectra(opened), *_images(opened), *_energy_loss(opened), *_x_rays(opened)]
    if not signals:
        raise UnreadableFileError("the file holds no image and no spectrum")
    return ParsedFile(
        signals=signals,
        native=opened.native,
        reader=f"h5py {h5py.__version__}",
        problems=tuple(dict.fromkeys(opened.problems)),
    )


def _signal(tree: Mapping[str, Any], axes: tuple[Axis, ...], technique: str, **of: Any) -> Signal:
    """Return a dataset with what its metadata tell.

    Parameters
    ----------
    tree
        The metadata.
    axes
        In array order; the shape is theirs.
    technique
        What follows TEM or STEM.
    of
        The rest of the dataset.
    """
    short = {
        name: detector_of(tree) if name == "Detector" else tree.get(name, {}) for name in _KEPT
    }
    fields: dict[str, Value] = core_fields(tree)
    return Signal(
        data_type=f"{mode_of(tree) or 'TEM'}_{technique}",
        shape=tuple(axis.size for axis in axes),
        axes=axes,
        metadata={**fields, **calibration(axes), **of.pop("metadata", {})},
        extensions=dict(leaves({k: v for k, v in short.items() if isinstance(v, dict)}, "velox")),
        acquired=acquired(tree),
        **of,
    )


def _spectra(opened: _Open) -> Iterator[Signal]:
    for _, group in opened.groups("Spectrum"):
        data = group.get("Data")
        if not hasattr(data, "shape") or not data.shape:
            opened.problems.append(f"{group.name} has no data")
            continue
        tree = opened.tree(group)
        count = int(data.shape[1]) if data.ndim == _PLANES else 1
        energy = _energies(tree, int(data.shape[0]))
        stack = (Axis(name="spectrum", size=count, navigate=True),) if count > 1 else ()
        yield _signal(
            tree,
            (*stack, energy),
            "EDS",
            name="EDS",
            dataset_type="SpectrumImage" if stack else "Spectrum",
            dtype=str(data.dtype),
            pixels=_transposed(opened.path, str(data.name), stack=bool(stack)),
        )


def _energies(tree: Mapping[str, Any], size: int) -> Axis:
    """Return the axis of an X-ray detector's channels, whose energies are told in eV."""
    detector = detector_of(tree)
    scale, offset = number(detector.get("Dispersion")), number(detector.get("OffsetEnergy"))
    if scale is None or offset is None:
        return Axis(name="Energy", size=size)
    return energy_axis(size, scale / 1000, offset / 1000, "keV")


def _images(opened: _Open) -> Iterator[Signal]:
    """Yield the images; one beside a map stands for the frames that Velox shows as one."""
    has_map = bool(opened.groups("SpectrumImage"))
    for key, group in opened.groups("Image"):
        data = group.get("Data")
        if not hasattr(data, "shape") or data.ndim != _STACK or not data.size:
            opened.problems.append(f"{group.name} has no image")
            continue
        tree = opened.tree(group)
        rows, columns, frames = (int(size) for size in data.shape)
        plane = _plane_axes(tree, rows, columns, scan=False)
        reciprocal = any(measures(axis.unit) == "inverse length" for axis in plane)
        stack = () if has_map or frames == 1 else (_frame_axis(tree, frames),)
        kind: DatasetType = "Diffraction" if reciprocal else "Image"
        yield _signal(
            tree,
            (*stack, *plane),
            "Diffraction" if reciprocal else "Imaging",
            name=opened.names.get(key) or str(nested(tree)("BinaryResult/Detector") or "image"),
            dataset_type=kind,
            dtype="complex64" if data.dtype.names else str(data.dtype),
            metadata={"frames": frames} if has_map and frames > 1 else {},
            pixels=_frames(opened.path, str(data.name), stack=bool(stack)),
        )


def _frame_axis(tree: Mapping[str, Any], frames: int) -> Axis:
    seconds = number(nested(tree)("Scan/FrameTime")) if mode_of(tree) == "STEM" else None
    seconds = seconds or number(detector_of(tree).get("ExposureTime"))
    if not seconds or seconds <= 0:
        return Axis(name="frame", size=frames, navigate=True)
    return Axis(name="Time", size=frames, scale=seconds, unit="s", navigate=True)


def _plane_axes(
    tree: Mapping[str, Any], rows: int, columns: int, *, scan: bool
) -> tuple[Axis, Axis]:
    """Return the axes of an image; lengths in the unit that reads best."""
    look_up = nested(tree)
    found = []
    for name, size, side in (("y", rows, "height"), ("x", columns, "width")):
        scale = number(look_up(f"BinaryResult/PixelSize/{side}"))
        offset = number(look_up(f"BinaryResult/Offset/{name}")) or 0.0
        unit = str(look_up(f"BinaryResult/PixelUnit{name.upper()}") or "")
        if not scale or not unit:
            scale, offset, unit = 1.0, 0.0, ""
        elif measures(unit) == "length":
            length, unit_read = readable_length(scale)
            offset, scale, unit = offset * (length / scale), length, unit_read
        elif measures(unit) == "inverse length" and unit == "1/m":
            scale, offset, unit = scale * 1e-9, offset * 1e-9, "1/nm"
        found.append(
            Axis(name=name, size=size, scale=scale, offset=offset, unit=unit, navigate=scan)
        )
    return found[0], found[1]


def _x_rays(opened: _Open) -> Iterator[Signal]:
    """Yield the map of X-ray spectra, summed over its detectors, if the file keeps its events."""
    streams = [group for _, group in opened.groups("SpectrumStream") if "Data" in group]
    described = opened.groups("SpectrumImage")
    if not streams or not described:
        return
    tree = opened.tree(streams[0])
    images = [group["Data"].shape[:2] for _, group in opened.groups("Image") if "Data" in group]
    shape = maps.map_shape(streams, tree, [(int(rows), int(columns)) for rows, columns in images])
    if shape is None:
        opened.problems.append("the map of X-ray spectra tells no size")
        return
    settings = maps.stream_settings(streams[0])
    channels = int(number(settings.get("bincount")) or maps.CHANNELS)
    whole = maps.sum_of(tree, [opened.tree(group) for _, group in described])
    plane = tree if nested(tree)("BinaryResult/PixelSize") else whole
    places = [str(stream["Data"].name) for stream in streams]
    path = opened.path
    yield _signal(
        whole,
        (*_plane_axes(plane, *shape, scan=True), _energies(tree, channels)),
        "EDS",
        name="EDS",
        dataset_type="SpectrumImage",
        dtype=str(settings.get("StreamEncoding") or "uint16"),
        pixels=lambda: outer_product(*maps.summed_streams(path, places, shape, channels)),
    )


def _energy_loss(opened: _Open) -> Iterator[Signal]:
    """Yield the energy-loss spectra, one for each range of energies; stored row by row."""
    described = [opened.tree(group) for _, group in opened.groups("SpectrumImage")]
    for _, group in opened.groups("EelsSpectrumImage"):
        data = group.get("Data")
        if not hasattr(data, "shape") or data.ndim not in (_PLANES, _STACK):
            opened.problems.append(f"{group.name} has no spectra")
            continue
        own = opened.tree(group) if "Metadata" in group else {}
        energies = nested(opened.tree(group, "AcquisitionMetadata"))
        scale, offset = number(energies("Data/dispersion")), number(energies("Data/offset"))
        sizes = [int(size) for size in data.shape]
        rows, channels, columns = sizes if data.ndim == _STACK else (1, *sizes[::-1])
        whole = maps.scanned_as((rows, columns), described)
        located = own if nested(own)("BinaryResult/PixelSize") else whole
        plane = _plane_axes(located, rows, columns, scan=True)[3 - data.ndim :]
        energy = energy_axis(channels, scale, offset, "eV")
        yield _signal(
            own or whole,
            (*plane, energy.model_copy(update={"name": "Energy loss"})),
            "EELS",
            name="EELS",
            dataset_type="SpectrumImage",
            dtype=str(data.dtype),
            pixels=_rows_of_spectra(opened.path, str(data.name)),
        )


def _transposed(path: Path, place: str, *, stack: bool) -> "Callable[[], np.ndarray]":
    def open_pixels() -> "np.ndarray":
        array = lazy_array(path, place)
        return array.T if stack else array.reshape(-1)

    return open_pixels


def _frames(path: Path, place: str, *, stack: bool) -> "Callable[[], np.ndarray]":
    """Return what opens an image; parts that are real and imaginary become complex numbers."""

    def open_pixels() -> "np.ndarray":
        array = lazy_array(path, place)
        array = array.transpose(2, 0, 1) if stack else array[:, :, 0]
        if array.dtype.names is None:
            return array
        real, imaginary = array.dtype.names[:2]
        found: np.ndarray = array[real] + 1j * array[imaginary]
        return found

    return open_pixels


def _rows_of_spectra(path: Path, place: str) -> "Callable[[], np.ndarray]":
    def open_pixels() -> "np.ndarray":
        array = lazy_array(path, place)
        return array.transpose(0, 2, 1) if array.ndim == _STACK else array

    return open_pixels
