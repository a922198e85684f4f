"""Tofwerk fibTOF: time-of-flight mass spectra of what a focused ion beam sputters, as HDF5.

The beam scans the same field again and again and digs into the specimen: writes (depth), segments
(lines), columns, and a mass spectrum at each. Spectra are kept whole (``TofData``) or as lists of
events.

References
----------
Attributes of TofDAQ's files (TofDAQ Data format, Tofwerk AG), measured on real ones.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.hdf5.lazy import lazy_array, outer_product
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value
from nexuslims_formats.quantities import Row, converted, mapped, number, quantity
from nexuslims_formats.times import from_filetime
from nexuslims_formats.trees import nested
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

_WHOLE = "FullSpectra/TofData"
_EVENTS = "FullSpectra/EventList"
_SUM = "FullSpectra/SumSpectrum"
_PEAKS = "PeakData/PeakData"
_GROUPS = ("FIBParams", "FullSpectra", "TimingData")

# the field of view is told in millimetres
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "FIBParams/Voltage", "V"),
    ("beam_current", "FIBParams/Current", "A"),
    ("horizontal_field_width", "FIBParams/ViewField", "mm"),
    ("microscope", "FIBParams/FibHardware", "text"),
    ("acquisition_device", "DAQ Hardware", "text"),
)


class TofwerkExtractor:
    """Reads the attributes; of the data only the shape."""

    name = "tofwerk"
    version = "1.0"
    priority = 100
    extensions = ("h5",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the attributes of the acquisition software, and by spectra."""
        if not is_hdf5(head):
            return False
        import h5py  # noqa: PLC0415 - HDF5 only

        try:
            with h5py.File(path, "r") as file:
                return "TofDAQ Version" in file.attrs and "FullSpectra" in file
        except OSError:
            return False

    def open(self, path: Path) -> ParsedFile:
        """Read the attributes of the file and of its groups."""
        import h5py  # noqa: PLC0415 - HDF5 only

        with h5py.File(path, "r") as file:
            native = {**_attributes(file), **dict(_group_attributes(file))}
            shape, dtype = _layout(file, native)
            has_spectra = _WHOLE in file or (_EVENTS in file and _SUM in file)
            last = "time of flight" if has_spectra else "peak"
        native.pop("Configuration File Contents", None)
        metadata: dict[str, Value] = dict(mapped(nested(native), _FIELDS))
        signal = Signal(
            name=path.stem,
            dataset_type="SpectrumImage",
            data_type="PFIB_TOFSIMS",
            shape=shape,
            dtype=dtype,
            axes=_axes(shape, native, last),
            metadata={**metadata, "detector_type": "TOF"},
            extensions=dict(leaves(native, "tofwerk")),
            acquired=_acquired(native),
            pixels=_pixels(path),
        )
        return ParsedFile(signals=[signal], native=native, reader=f"h5py {h5py.__version__}")


def _attributes(item: "h5py.Group") -> dict[str, Any]:
    return {str(name): _plain(value) for name, value in item.attrs.items()}


def _group_attributes(file: "h5py.File") -> Iterator[tuple[str, dict[str, Any]]]:
    for name in _GROUPS:
        if name in file:
            yield name, _attributes(file[name])


def _plain(value: Any) -> Any:
    """Return a scalar of an attribute: numbers are kept as arrays of one."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\0 ")
    plain = value.tolist() if hasattr(value, "tolist") else value
    return plain[0] if isinstance(plain, list) and len(plain) == 1 else plain


def _layout(file: "h5py.File", native: Mapping[str, Any]) -> tuple[tuple[int, ...], str]:
    """Return the shape (depth, rows, columns, channels) and the type of a spectrum's values."""
    if _WHOLE in file:
        return tuple(int(size) for size in file[_WHOLE].shape), str(file[_WHOLE].dtype)
    if _EVENTS in file and _SUM in file:
        channels = int(file[_SUM].shape[0])
        return (*(int(size) for size in file[_EVENTS].shape), channels), str(file[_SUM].dtype)
    if _PEAKS in file:
        return tuple(int(size) for size in file[_PEAKS].shape), str(file[_PEAKS].dtype)
    raise UnreadableFileError(
        f"the file of {native.get('NbrWrites', 'some')} writes holds no spectra"
    )


def _axes(shape: tuple[int, ...], native: Mapping[str, Any], last: str) -> tuple[Axis, ...]:
    """Return the axes; only the field of view is calibrated.

    Parameters
    ----------
    shape
        Depth, rows, columns, and channels or peaks.
    native
        The attributes.
    last
        What the last axis counts.
    """
    names = ("depth", "y", "x")[-(len(shape) - 1) :]
    field = converted(quantity(nested(native)("FIBParams/ViewField"), "mm"), "um")
    axes = []
    for name, size in zip(names, shape, strict=False):
        calibrated = bool(field) and name != "depth" and size > 0
        scale = (field or 0.0) / size if calibrated else 1.0
        unit = "um" if calibrated else ""
        axes.append(Axis(name=name, size=size, scale=scale, unit=unit, navigate=True))
    return (*axes, Axis(name=last, size=shape[-1]))


def _acquired(native: Mapping[str, Any]) -> Moment | None:
    """Return the start: a Windows file time in UTC, with the offset of the computer's zone."""
    timing = nested(native)
    ticks = number(timing("TimingData/AcquisitionTimeZero"))
    begin = from_filetime(ticks) if ticks else None
    if begin is None:
        return None
    offset = number(timing("TimingData/LocalTimeOffsetToUTC")) or 0.0
    zone = timezone(timedelta(hours=offset))
    return Moment(begin.astimezone(zone), "TimingData AcquisitionTimeZero")


def _pixels(path: Path) -> "Callable[[], np.ndarray]":
    """Open what a preview shows: the sum spectrum for each point, as strong as it has ions.

    How many it has is told by the peaks where they were integrated, or by its events; files with
    neither have all spectra.
    """

    def open_pixels() -> "np.ndarray":
        import h5py  # noqa: PLC0415 - HDF5 only
        import numpy as np  # noqa: PLC0415 - previews only

        with h5py.File(path, "r") as file:
            if _SUM not in file or not (_PEAKS in file or _EVENTS in file):
                return lazy_array(path, _WHOLE if _WHOLE in file else _PEAKS)
            spectrum = file[_SUM][()]
            source = file[_PEAKS] if _PEAKS in file else file[_EVENTS]
            counts = np.zeros(source.shape[:3])
            for write in range(source.shape[0]):
                if _PEAKS in file:
                    counts[write] = source[write].sum(axis=-1)
                else:
                    counts[write] = np.vectorize(len, otypes=[float])(source[write])
        return outer_product(counts, spectrum / (spectrum.sum() or 1.0))

    return open_pixels
