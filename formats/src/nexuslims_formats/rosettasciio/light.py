"""Spectra of light: what rosettasciio makes of Renishaw, Hamamatsu and Delmic files, set right."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from nexuslims_contracts.datasets import DatasetType
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.rosettasciio.axes import unevenly
from nexuslims_formats.rosettasciio.parts import DOUBTS, TYPE, UNREAD, replaced

_WHOLE_BYTES: Final = 256 << 20
_PLANE: Final = 2
_SECONDS_PER_TICK: Final = 1e-7
_TIME: Final = "Time"
_TICKS: Final = "ns"
"""The library's word for Windows' FILETIME, whose ticks are of 100 ns."""


def read_renishaw(path: Path) -> list[dict[str, Any]]:
    """Read the spectra of a ``.wdf``, which stay in the file, and the picture in white light.

    The library counts the time of a series in ns, where the file has ticks of 100 ns, and gives
    the columns of the picture before its rows. FILETIME, by which the file tells its own, is UTC:
    https://learn.microsoft.com/windows/win32/api/minwinbase/ns-minwinbase-filetime.

    Parameters
    ----------
    path
        The ``.wdf``.
    """
    import numpy as np  # noqa: PLC0415 - with what reads it
    from rsciio.renishaw import _api  # noqa: PLC0415 - for files of this kind only

    class Reader(_api.WDFReader):  # type: ignore[misc] # the library has no types
        """The library's reader, which takes all spectra into memory, and any steps for even."""

        places: Mapping[str, Any] = {}

        def _set_nav_via_ORGN(self, orgn_data: Any) -> Any:  # noqa: N802 - its name
            self.places = {name: place["data"] for name, place in orgn_data.items()}
            return super()._set_nav_via_ORGN(orgn_data)

        def _parse_DATA(self) -> Any:  # noqa: N802 - its name
            if "DATA_0" not in self._block_info:
                raise UnreadableFileError("it has no spectra")
            length = (self._points_per_spectrum * self._num_spectra,)
            return np.memmap(path, "<f4", "r", self._block_info["DATA_0"][0], length)

    with path.open("rb") as file:
        found = Reader(
            file, path.name, use_uniform_signal_axis=False, load_unmatched_metadata=False
        )
        found.read_file(path.stat().st_size)
        picture = found._get_WHTL()  # noqa: SLF001 - what the library's function calls
    spectra = {
        "data": found.data,
        "axes": list(map(_in_seconds, found.axes)),
        "metadata": _in_utc(found.metadata),
        "original_metadata": found.original_metadata,
        DOUBTS: list(_doubts(found)),
    }
    return [spectra, _as_listed(picture)] if picture else [spectra]


def _doubts(found: Any) -> Iterator[str]:
    """Yield what is strange about a series or map of Renishaw, in words."""
    header = found.original_metadata["WDF1_1"]
    measured, planned = header["num_spectra"], header["capacity"]
    if measured != planned:
        yield f"the measurement was ended after {measured} of {planned} spectra"
    for axis in map(_in_seconds, found.axes):
        name = axis["name"]
        places = found.places.get(name, ())
        ticks = name == _TIME and axis.get("units") == "s"
        if words := unevenly(name, places * _SECONDS_PER_TICK if ticks else places, axis):
            yield words


def _in_seconds(axis: dict[str, Any]) -> dict[str, Any]:
    if axis.get("units") != _TICKS:
        return axis
    scaled = {
        name: axis[name] * _SECONDS_PER_TICK for name in ("scale", "offset") if axis.get(name)
    }
    return {**axis, **scaled, "units": "s"}


def _as_listed(part: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset whose axes are in the order in which they are listed."""
    axes = part.get("axes") or []
    return {**part, "axes": [{**axis, "index_in_array": at} for at, axis in enumerate(axes)]}


def read_hamamatsu(path: Path) -> list[dict[str, Any]]:
    """Read an image of a streak camera.

    Its header is in the encoding of the computer, and so is its date, of which the library takes
    the first number for the day.

    Parameters
    ----------
    path
        The ``.img``.
    """
    from rsciio.hamamatsu import _api  # noqa: PLC0415 - for files of this kind only

    class Reader(_api.IMGReader):  # type: ignore[misc] # the library has no types
        """The library's reader, which knows UTF-8 only."""

        def _IMGReader__read_utf8(self, size: int) -> str:  # noqa: N802 - its name
            return decode(self._file_obj.read(size))[0].replace("\0", "")

    with path.open("rb") as file:
        found = Reader(file, path.stat().st_size, path.name, use_uniform_signal_axes=False)
    metadata, original = found.metadata, found.original_metadata
    application = original["Comment"].get("Application") or {}
    if isinstance(application, dict) and application.get("Date"):
        general = {"date": application["Date"], "time": application.get("Time") or ""}
        metadata = {**metadata, "General": {**metadata["General"], **general}}
    return [
        {
            "data": found.data,
            "axes": found.axes,
            "metadata": metadata,
            "original_metadata": original,
        }
    ]


def read_delmic(path: Path) -> list[dict[str, Any]]:
    """Read the light of a Delmic file; of a large one only what its datasets are.

    Parameters
    ----------
    path
        The HDF5 file.
    """
    from rsciio.delmic import _api  # noqa: PLC0415 - for files of this kind only

    is_large = path.stat().st_size > _WHOLE_BYTES
    with replaced(_api, "load_image", _without_values if is_large else _values):
        parts: list[dict[str, Any]] = _api.file_reader(str(path))
    return [{**part, UNREAD: True} if is_large else part for part in map(delmic, parts)]


def _values(acquisition: Any) -> Any:
    return acquisition["ImageData/Image"][()]


def _without_values(acquisition: Any) -> Any:
    """Return an array that takes no memory, of the shape and type of a dataset."""
    import numpy as np  # noqa: PLC0415 - with what reads it

    image = acquisition["ImageData/Image"]
    return np.broadcast_to(np.zeros((), image.dtype), image.shape)


def delmic(part: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset of a Delmic file as what it is, with the zone of its time: UTC.

    Parameters
    ----------
    part
        The dataset as rosettasciio gives it.
    """
    return {**part, **_kind_of(part), "metadata": _in_utc(part["metadata"])}


def _kind_of(part: dict[str, Any]) -> dict[str, DatasetType]:
    """Return the type of a map of two dimensions at each point, which no beam diffracted into."""
    axes = part.get("axes") or []
    names = [axis.get("name") for axis in axes if not axis.get("navigate")]
    if len(names) < _PLANE or len(names) == len(axes):
        return {}
    return {TYPE: "SpectrumImage" if "Wavelength" in names else "Image"}


def _in_utc(metadata: dict[str, Any]) -> dict[str, Any]:
    return {**metadata, "General": {**(metadata.get("General") or {}), "time_zone": "UTC"}}
