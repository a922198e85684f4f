"""EMSA/MAS spectra (``.msa``, ``.emsa``): a text of keywords, then the counts.

References
----------
ISO 22029: keywords of up to twelve characters, some with their unit behind a hyphen
(``#BEAMKV -kV``); commas or spaces separate numbers. Programs of European computers write decimal
commas all the same: the number of points tells which commas are which.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_contracts.units import known_unit
from nexuslims_formats.energy import calibration
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.locales.numbers import has_decimal_commas
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.quantities import (
    TEXT,
    Quantity,
    Row,
    converted,
    mapped,
    measures,
    number,
    quantity,
    spelled_unit,
)
from nexuslims_formats.times import moment
from nexuslims_formats.values import leaves, lines_of

if TYPE_CHECKING:
    import numpy as np

_MARK: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*#\s*FORMAT\s*:", re.IGNORECASE)
_COMMAS: Final = (re.compile(r"[,\s;]+"), re.compile(r"[\s;]+|,\s+|,$"))
"""What separates numbers: commas too, or only those that are no decimal ones."""
_SHOWN: Final = 40
"""Characters of a text in a warning."""
_LARGEST: Final = 256 << 20
_MULTILINE: Final = ("TITLE", "COMMENT")
_ENTRY: Final = re.compile(r"#\s*([A-Z0-9_#]+)\s*(?:-\s*([^:]*?))?\s*:\s?(.*)", re.IGNORECASE)
_QUANTITY_AND_UNIT: Final = re.compile(r"[^()]*[^()\s]\s*\(([^()]+)\)")
_UNEVEN: Final = 0.1
"""Of a step: what rounding may move a point."""
_DRIFT: Final = 0.05
"""Of the spectrum: what the stated scale may be away at its end."""
_SEM_KV: Final = 30.0
"""Scanning microscopes do not go beyond it; few programs say which microscope it was."""
_TECHNIQUES: Final = {
    "ELS": "EELS", "EELS": "EELS", "EDS": "EDS", "WDS": "WDS", "CLS": "CL", "AES": "AES",
    "XPS": "XPS", "XRF": "XRF", "PES": "PES", "GAM": "GAM",
}  # fmt: skip
FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "BEAMKV", "kV"),
    ("emission_current", "EMISSION", "uA"),
    ("probe_current", "PROBECUR", "nA"),
    ("beam_current", "PROBECUR", "nA"),
    ("magnification", "MAGCAM", "x"),
    ("convergence_angle", "CONVANGLE", "mrad"),
    ("collection_angle", "COLLANGLE", "mrad"),
    ("dwell_time", "DWELLTIME", "ms"),
    ("exposure_time", "INTEGTIME", "ms"),
    ("live_time", "LIVETIME", "s"),
    ("real_time", "REALTIME", "s"),
    ("elevation_angle", "ELEVANGLE", "degree"),
    ("azimuthal_angle", "AZIMANGLE", "degree"),
    ("detector_energy_resolution", "FWHMMNKA", "eV"),
    ("detector_type", "EDSDET", TEXT),
    ("stage_alpha", "XTILTSTGE", "degree"),
    ("stage_beta", "YTILTSTGE", "degree"),
    ("stage_x", "XPOSITION", "mm"),
    ("stage_y", "YPOSITION", "mm"),
    ("stage_z", "ZPOSITION", "mm"),
    ("operator", "OWNER", TEXT),
)


class EmsaExtractor:
    """Reads the keywords, and counts the numbers; they are read for a preview."""

    name = "emsa"
    version = "1.0"
    priority = 100
    extensions = ("msa", "emsa", "ems", "mas")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the keyword FORMAT, in any encoding."""
        del path
        return bool(_MARK.match(head.replace(b"\0", b"").lstrip(b"\xff\xfe")))

    def open(self, path: Path) -> ParsedFile:
        """Read the text."""
        if path.stat().st_size > _LARGEST:
            raise LimitExceededError(f"a spectrum of more than {_LARGEST >> 20} MiB of text")
        entries, units, rows, ends = _parse(decode(path.read_bytes())[0])
        comma = has_decimal_commas(entries.values())
        points = int(number(entries.get("NPOINTS")) or 0)
        places, counts = _points(rows, points, pairs=_is_pairs(entries))
        if not counts:
            raise UnreadableFileError("the file holds no spectrum")
        metadata = _metadata(entries, units)
        axis, doubt = _placed(_axis(entries, units, len(counts), comma=comma), places)
        metadata |= calibration([axis])
        problems = [doubt] if doubt else []
        is_whole = ends or len(counts) == points  # some programs leave the end mark out
        if not is_whole:
            problems.append("the file ends within its spectrum")
        number_of = f"it has {len(counts)} points, but NPOINTS tells {points}"
        if ends and len(counts) < points:
            problems.append(number_of)
        signal = Signal(
            name=entries.get("TITLE") or path.stem,
            dataset_type="Spectrum",
            data_type=_data_type(entries, metadata),
            shape=(len(counts),),
            dtype="float64",
            axes=(axis,),
            metadata=metadata,
            extensions=dict(leaves(entries, "emsa")),
            acquired=moment("EMSA DATE and TIME", entries.get("DATE"), entries.get("TIME")),
            pixels=_opener(counts),
            warnings=("operator",) if "operator" in metadata else (),
            problems=tuple(problems),
            doubts=(*((number_of,) if 0 < points < len(counts) else ()), *_no_numbers(entries)),
        )
        native = {f"{name} -{units[name]}" if name in units else name: text
                  for name, text in entries.items()}  # fmt: skip
        return ParsedFile(signals=[signal], native=native, reader=f"emsa {self.version}")


def _no_numbers(entries: Mapping[str, str]) -> Iterator[str]:
    """Yield in words which numbers of the axis are none, so that it goes without."""
    for name in ("XPERCHAN", "OFFSET", "NPOINTS"):
        text = entries.get(name, "")
        found = number(text)
        if text and (found is None or (name == "NPOINTS" and found < 1)):
            yield f"{name} is {text[:_SHOWN]!r}, which is no number of it"


def _parse(text: str) -> tuple[dict[str, str], dict[str, str], list[str], bool]:
    """Return entries and their units by keyword, the lines of the spectrum, and whether it ends."""
    entries: dict[str, str] = {}
    units: dict[str, str] = {}
    rows: list[str] = []
    in_spectrum = False
    for line in lines_of(text):
        entry = line.strip("\ufeff\0 \t")
        if not entry.startswith("#"):
            if in_spectrum and entry:
                rows.append(entry)
            continue
        match = _ENTRY.match(entry)
        name = match[1].upper() if match else entry.strip("# ").upper()
        if name == "ENDOFDATA":
            return entries, units, rows, True
        if name == "SPECTRUM":
            in_spectrum = True
        elif match:
            value = match[3].strip()
            if name in entries and name in _MULTILINE:
                entries[name] += f" {value}"
            entries.setdefault(name, value)
            if match[2]:
                units.setdefault(name, match[2].strip())
    return entries, units, rows, False


def _is_pairs(entries: Mapping[str, str]) -> bool:
    return entries.get("DATATYPE", "").upper() == "XY"


def _points(rows: list[str], points: int, *, pairs: bool) -> tuple[list[float], list[float]]:
    """Return where the points are, which pairs tell, and their counts.

    Numbers have decimal points or commas, whichever gives the number of points.
    """
    text = "\n".join(rows)
    readings = []
    for separators in _COMMAS:
        flat = _numbers(text, separators)
        if flat is None:
            continue
        reading = (flat[::2], flat[1::2]) if pairs else ([], flat)
        if len(reading[1]) == points:
            return reading
        readings.append(reading)
    if not readings:
        raise UnreadableFileError("the spectrum holds what is no number")
    return readings[0]


def _placed(axis: Axis, places: list[float]) -> tuple[Axis, str]:
    """Return an axis as the places of the points tell it, and what speaks against its scale."""
    if len(places) < 2:  # noqa: PLR2004 - of one point no scale is known
        return axis, ""
    scale = (places[-1] - places[0]) / (len(places) - 1)
    even = all(
        abs(place - places[0] - index * scale) <= _UNEVEN * abs(scale)
        for index, place in enumerate(places)
    )
    if not even and _is_near(axis, places):
        return axis, ""
    if not even:
        plain = Axis(name=axis.name, size=axis.size)
        return plain, "its points are not evenly spaced: the axis has no one scale"
    doubt = ""
    if abs(axis.scale - scale) + abs(axis.offset - places[0]) > _UNEVEN * abs(scale):
        doubt = (
            f"its points are {scale:g} apart from {places[0]:g}, but XPERCHAN and OFFSET tell"
            f" {axis.scale:g} and {axis.offset:g}"
        )
    return axis.model_copy(update={"scale": scale, "offset": places[0]}), doubt


def _is_near(axis: Axis, places: list[float]) -> bool:
    """Whether the stated scale leads to within a channel of each point, and so to its end.

    The example of the standard itself (ISO 22029) leaves out parts of two channels of 21.
    """
    most = min(abs(axis.scale), _DRIFT * abs(places[-1] - places[0]))
    stated = (axis.offset + index * axis.scale for index in range(len(places)))
    return all(abs(place - one) <= most for place, one in zip(places, stated, strict=True))


def _numbers(text: str, separators: re.Pattern[str]) -> list[float] | None:
    """Return the numbers of a text; None if there is anything else in it."""
    words = " ".join(separators.split(text)).replace(",", ".").split()
    try:
        return list(map(float, words))
    except ValueError:
        return None


def _metadata(entries: Mapping[str, str], units: Mapping[str, str]) -> dict[str, Value]:
    def with_unit(name: str) -> Any:
        text, unit = entries.get(name), units.get(name)
        return f"{text} {unit}" if text and unit and quantity(text) is not None else text

    return dict(mapped(with_unit, FIELDS))


def _axis(
    entries: Mapping[str, str], units: Mapping[str, str], size: int, *, comma: bool | None
) -> Axis:
    """Return the axis; its unit may stand behind the quantity, as in ``Energy Loss (eV)``."""
    unit = entries.get("XUNITS", "") or units.get("XPERCHAN", "")
    if (match := _QUANTITY_AND_UNIT.fullmatch(unit)) and known_unit(match[1]):
        unit = match[1]
    unit = known_unit(unit) or unit
    name = entries.get("XLABEL", "")
    scale, start = (
        _in_unit(quantity(entries.get(one), units.get(one, ""), comma=comma), unit)
        for one in ("XPERCHAN", "OFFSET")
    )
    if not scale:
        return Axis(name=name, size=size)
    return Axis(name=name, size=size, scale=scale, offset=start or 0.0, unit=unit)


def _in_unit(value: Quantity | None, unit: str) -> float | None:
    """Return a number in the unit of the axis: it may come with one of its own."""
    if value is None:
        return None
    found = converted((value[0], spelled_unit(value[1])), unit) if measures(unit) else None
    return value[0] if found is None else found


def _data_type(entries: Mapping[str, str], metadata: Mapping[str, Value]) -> str:
    signal = entries.get("SIGNALTYPE", "").upper()
    technique = _TECHNIQUES.get(signal, signal.title()) or "Spectrum"
    voltage = metadata.get("acceleration_voltage")
    is_sem = isinstance(voltage, tuple) and voltage[1] == "kV" and voltage[0] <= _SEM_KV
    mode = "SEM" if is_sem and technique != "EELS" else "TEM"
    if entries.get("OPERMODE", "").upper().startswith("SC") and mode == "TEM":
        mode = "STEM"
    return f"{mode}_{technique}"


def _opener(counts: list[float]) -> "Callable[[], np.ndarray]":
    def open_pixels() -> "np.ndarray":
        import numpy as np  # noqa: PLC0415 - previews only

        return np.asarray(counts)

    return open_pixels
