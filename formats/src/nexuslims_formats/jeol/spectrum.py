"""JEOL's ``.eds``: an X-ray spectrum between a head of fixed places and a foot of lists.

References
----------
The structure as HyperSpy's reader of the format knows it, measured on real files.
"""

import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from nexuslims_formats.energy import calibration, energy_axis, microscope_kind
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.jeol.tree import moment_of, text
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import numpy as np

_HEAD: Final = 458
_PLACES: Final = {
    "Esc": ("d", 226), "Fano F": ("d", 234), "E Noise": ("d", 242), "CH Res": ("d", 250),
    "live time": ("d", 258), "real time": ("d", 266), "DeadTime": ("d", 274),
    "CountRate": ("d", 282), "CoefA": ("d", 362), "CoefB": ("d", 370), "NumCH": ("i", 454),
}  # fmt: skip
_TEXTS: Final = {"sp_name": (18, 80), "username": (98, 32), "State": (378, 32), "Tpl": (422, 32)}
_DATE_PLACE: Final = 10
_MOST_CHANNELS: Final = 1 << 16
_MOST_ELEMENTS: Final = 256
_ELEMENT: Final = struct.Struct("<iH2i2H14x4d32sii")
_PARAMETERS: Final = struct.Struct("<16s16s16s2d38x6d4xd5H4d")
_NAMES: Final = (
    "DetT", "SEM", "Port", "AccKV", "AccNA", "MnKaRES", "WorkD", "InsD", "XtiltAng", "TakeAng",
    "IncAng", "ScanSize", "DT_64", "DT_128", "DT_256", "DT_512", "DT_1K", "DetH", "DirAng",
    "XtalAng", "ElevAng",
)  # fmt: skip
_HAS_PARAMETERS: Final = 5
_RESULT_HEAD: Final = 28
_RESULT: Final = 126
"""Bytes of each result of a quantification, and before them."""
_FIELDS: Final = (
    ("acceleration_voltage", "AccKV", "kV"),
    ("probe_current", "AccNA", "nA"),
    ("working_distance", "WorkD", "mm"),
    ("azimuthal_angle", "DirAng", "degree"),
    ("elevation_angle", "ElevAng", "degree"),
    ("takeoff_angle", "TakeAng", "degree"),
    ("detector_energy_resolution", "MnKaRES", "eV"),
)


def is_spectrum(head: bytes) -> bool:
    """Tell by the first bytes: a date of our times, and a number of channels."""
    if len(head) < _HEAD:
        return False
    (channels,) = struct.unpack_from("<i", head, _PLACES["NumCH"][1])
    days = struct.unpack_from("<d", head, _DATE_PLACE)[0]
    return 0 < channels <= _MOST_CHANNELS and moment_of(days, "") is not None


def read_spectrum(path: Path) -> ParsedFile:
    """Read head and foot of a spectrum; a foot that is not understood costs its fields.

    Raises
    ------
    UnreadableFileError
        The head is not whole.
    """
    with path.open("rb") as file:
        raw = file.read(_HEAD)
        if len(raw) < _HEAD or not is_spectrum(raw):
            raise UnreadableFileError("the head tells no spectrum")
        head: dict[str, Any] = {
            name: struct.unpack_from(f"<{kind}", raw, place)[0]
            for name, (kind, place) in _PLACES.items()
        }
        for name, (place, length) in _TEXTS.items():
            head[name] = text(raw[place : place + length])
        size = int(head["NumCH"])
        problem = ""
        foot: dict[str, Any] = {}
        try:
            file.seek(_HEAD + 4 * size)
            foot = _foot(file)
        except struct.error:
            problem = "the file ends before the parameters of its detector"
    whole = path.stat().st_size >= _HEAD + 4 * size
    axis = energy_axis(size, head["CoefA"], head["CoefB"], "keV")
    metadata = _metadata(head, foot)
    native = {"Header": head, "Parameters": foot}
    signal = Signal(
        name=str(head["sp_name"]) or "EDX",
        dataset_type="Spectrum",
        data_type=f"{microscope_kind(metadata.get('acceleration_voltage'))}_EDS",
        shape=(size,),
        dtype="int32",
        axes=(axis,),
        metadata=metadata | calibration([axis]),
        extensions=dict(leaves(native, "jeol")),
        acquired=moment_of(struct.unpack_from("<d", raw, _DATE_PLACE)[0], "date of the spectrum"),
        pixels=(lambda: _counts(path, size)) if whole else None,
        problems=(problem,) if problem else (),
    )
    return ParsedFile(signals=[signal], native=native, reader="jeol spectrum")


def _metadata(head: dict[str, Any], foot: dict[str, Any]) -> dict[str, Value]:
    found: dict[str, Value] = {
        field: (foot[name], unit)
        for field, name, unit in _FIELDS
        if name in foot and math.isfinite(foot[name])
    }
    for field, name in (("live_time", "live time"), ("real_time", "real time")):
        if math.isfinite(head[name]):
            found[field] = (head[name], "s")
    for field, name in (("detector_type", "DetT"), ("microscope", "SEM")):
        if foot.get(name):
            found[field] = foot[name]
    return found


def _foot(file: BinaryIO) -> dict[str, Any]:
    """Return the parameters of the detector, which stand behind the elements found.

    Raises
    ------
    struct.error
        The file ends before.
    """
    _, excluded = _unpacked(file, "<2i")
    file.seek(2 * _count(excluded), 1)
    (elements,) = _unpacked(file, "<i")
    for _ in range(_count(elements)):
        lines = _ELEMENT.unpack(file.read(_ELEMENT.size))[-1]
        for _ in range(_count(lines)):
            _unpacked(file, "<idH")
            for _ in range(2):
                file.seek(_unpacked(file, "<B")[0], 1)
            _unpacked(file, "<i")
    (results,) = _unpacked(file, "<i")
    if _count(results):
        file.seek(_RESULT_HEAD + _RESULT * results, 1)
    (kind,) = _unpacked(file, "<i")
    if kind != _HAS_PARAMETERS:
        return {}
    values = _PARAMETERS.unpack(file.read(_PARAMETERS.size))
    return {
        name: text(value) if isinstance(value, bytes) else value
        for name, value in zip(_NAMES, values, strict=True)
    }


def _count(claimed: int) -> int:
    if not 0 <= claimed <= _MOST_ELEMENTS:
        raise LimitExceededError(f"the foot of the spectrum claims {claimed} entries")
    return claimed


def _unpacked(file: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _counts(path: Path, size: int) -> "np.ndarray":
    import numpy as np  # noqa: PLC0415 - previews only

    return np.fromfile(path, "<i4", size, offset=_HEAD)
