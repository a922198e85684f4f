"""EDAX ``.spd``: a map of X-ray spectra, with its ``.spc`` and the ``.ipr`` of its image beside.

References
----------
EDAX's own descriptions of SpcMap-spd and ImageIPR, as HyperSpy publishes them.
"""

import math
import struct
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_contracts.file_kinds import Companion
from nexuslims_contracts.text import printable
from nexuslims_formats.edax.spc import SpcHeader, read_spc
from nexuslims_formats.energy import microscope_kind
from nexuslims_formats.errors import ExtractorError, LimitExceededError, UnreadableFileError
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.sidecars import is_usable, refuse_odd

if TYPE_CHECKING:
    import numpy as np

_MARK: Final = b"MAPSPECTRA_DATA"
_HEADER: Final = struct.Struct("<16s8i120s")
_NAMES: Final = (
    "version", "spectra", "columns", "rows", "channels", "count_bytes", "data_offset", "frames",
)  # fmt: skip
_MOST_VALUES: Final = 1 << 40
_IPR: Final = struct.Struct("<HhhIHff")
"""Voltage in 100 V, tilt, take-off angle, magnification, working distance, um per pixel x and y."""
_IPR_PLACE: Final = 52
_IPR_VERSIONS: Final = range(300, 400)


class EdaxMapExtractor:
    """Reads the headers; the map is mapped into memory for a preview only."""

    name = "edax_spd"
    version = "1.0"
    priority = 60
    extensions = ("spd",)
    companions = (Companion(ending=".ipr", of=("spd",)), Companion(ending=".spc", of=("spd",)))

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the mark."""
        del path
        return head.startswith(_MARK)

    def open(self, path: Path) -> ParsedFile:
        """Read the header, and what stands beside the map."""
        header, image = _read_header(path)
        rows, columns, channels = header["rows"], header["columns"], header["channels"]
        shape = (rows, columns, channels)
        problems: list[str] = []
        spectrum = _beside(path, f"{path.stem}.spc", read_spc, problems)
        picture = _beside(path, f"{PureWindowsPath(image).stem}.ipr", _read_ipr, problems)
        metadata: dict[str, Value] = spectrum.metadata() if spectrum else {}
        metadata |= _picture_fields(picture or {})
        length = math.prod(shape) * header["count_bytes"]
        held = max(0, path.stat().st_size - header["data_offset"])
        if held < length:
            problems.append(f"the file holds {held} of the {length} bytes of its map")
        kind = microscope_kind(metadata.get("acceleration_voltage"))
        signal = Signal(
            name=path.stem,
            dataset_type="SpectrumImage",
            data_type=f"{kind}_EDS",
            shape=shape,
            dtype=f"uint{8 * header['count_bytes']}",
            axes=_axes(shape, spectrum, picture or {}),
            metadata=metadata,
            extensions={
                **{f"edax_map_{name}": value for name, value in header.items()},
                **(spectrum.extensions() if spectrum else {}),
                **{f"edax_image_{name}": value for name, value in (picture or {}).items()},
            },
            acquired=spectrum.acquired if spectrum else None,
            pixels=None if held < length else lambda: _map(path, header, shape),
            problems=tuple(problems),
        )
        native = {"spd": header, "spc": spectrum.values if spectrum else {}, "ipr": picture or {}}
        return ParsedFile(signals=[signal], native=native, reader=f"spd {self.version}")


def _read_header(path: Path) -> tuple[dict[str, int], str]:
    """Return the numbers of the header, and the name of the image taken with the map."""
    with path.open("rb") as file:
        raw = file.read(_HEADER.size)
    if len(raw) < _HEADER.size:
        raise UnreadableFileError("the file ends within its header")
    _, *numbers, image = _HEADER.unpack(raw)
    header = dict(zip(_NAMES, numbers, strict=True))
    sides = (header["rows"], header["columns"], header["channels"])
    if min(sides) < 1 or header["count_bytes"] not in (1, 2, 4) or header["data_offset"] < 0:
        raise UnreadableFileError(f"the header claims a map of {sides}")
    if math.prod(sides) > _MOST_VALUES:
        raise LimitExceededError(f"the header claims a map of {sides}")
    return header, image.split(b"\0", 1)[0].decode("latin-1")


def _beside(path: Path, name: str, read: Any, problems: list[str]) -> Any:
    """Return what a companion holds; None where there is none, and a problem if it is damaged."""
    companion = path.with_name(name)
    try:
        refuse_odd([companion])
        return read(companion) if is_usable(companion) else None
    except (ExtractorError, OSError) as error:
        problems.append(f"{printable(name)} beside it cannot be read: {error}")
        return None


def _read_ipr(path: Path) -> dict[str, float]:
    with path.open("rb") as file:
        raw = file.read(_IPR_PLACE + _IPR.size)
    if len(raw) < _IPR_PLACE + _IPR.size or struct.unpack_from("<H", raw)[0] not in _IPR_VERSIONS:
        raise UnreadableFileError("it is no description of an image")
    names = ("voltage", "tilt", "takeoff", "magnification", "working_distance", "um_x", "um_y")
    return dict(zip(names, _IPR.unpack_from(raw, _IPR_PLACE), strict=True))


def _picture_fields(picture: dict[str, float]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if picture.get("magnification"):
        found["magnification"] = (float(picture["magnification"]), "x")
    if picture.get("working_distance"):
        found["working_distance"] = (float(picture["working_distance"]), "mm")
    return found


def _axes(
    shape: tuple[int, int, int], spectrum: SpcHeader | None, picture: dict[str, float]
) -> tuple[Axis, ...]:
    axes = []
    for name, size in zip(("y", "x"), shape, strict=False):
        step = picture.get(f"um_{name}") or 0.0
        known = math.isfinite(step) and step > 0
        scale = float(f"{step:.7g}") if known else 1.0
        unit = "um" if known else ""
        axes.append(Axis(name=name, size=size, scale=scale, unit=unit, navigate=True))
    energy = spectrum.axis if spectrum else Axis(name="Energy", size=shape[2])
    return (*axes, energy.model_copy(update={"size": shape[2]}))


def _map(path: Path, header: dict[str, int], shape: tuple[int, ...]) -> "np.ndarray":
    import numpy as np  # noqa: PLC0415 - previews only

    dtype = f"<u{header['count_bytes']}"
    return np.memmap(path, dtype=dtype, mode="r", offset=header["data_offset"], shape=shape)
