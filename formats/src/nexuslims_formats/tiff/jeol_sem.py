"""The text of JEOL's SEM software: ``$CM_`` and ``$$SM_`` commands with values behind them.

References
----------
Names and units as in sidecars of JSM-6700F to JSM-IT and JXA instruments: voltages in kV, stage
positions in mm, the emission in uA, the probe current in A, the working distance in mm. Newer
programs put the same text, its entries separated by tabs, into the tag MakerNote as well. The
magnification is that of a picture 128 mm wide (odemis, reader of JEOL's text).
"""

import re

from nexuslims_formats.locales.numbers import has_decimal_commas
from nexuslims_formats.model import Value
from nexuslims_formats.quantities import (
    NUMBER,
    OWN_UNIT,
    TEXT,
    Row,
    converted,
    mapped,
    quantity,
    stated,
)
from nexuslims_formats.tiff.sidecar_text import SemText, contradiction, metres, unread_length

MAKER_NOTE, NOTE_HEAD = 37500, b"UNICODE"
_ENTRY = re.compile(r"\$+([A-Z]\w*)[ \t=]*([^\r\n\t\0]*)")
_HEAD = re.compile(r"\s*\$+(?:CM|SM|SEM)_")
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "CM_ACCEL_VOLT", "kV"),
    ("acceleration_voltage", "CM_ACCEL_VOLTAGE", "kV"),
    ("stage_bias", "SM_STAGE_BIAS_VOLT", "kV"),
    ("stage_bias", "SM_GB_BIAS_VOLT", "kV"),
    ("emission_current", "SM_EMI_CURRENT", "uA"),
    ("probe_current", "SM_PROBE_CURRENT", "A"),
    ("magnification", "CM_MAG", "x"),
    ("working_distance", "SM_WD", "mm"),
    ("scan_rotation", "SM_SCAN_ROTATION", "degree"),
    ("dwell_time", "SM_DWELL_TIME", OWN_UNIT),
    ("frames", "SM_INTEGRATION_NUMBER", NUMBER),
    ("frames", "SM_INTEG_NO", NUMBER),
    ("detector_type", "CM_DETECTOR_NAME", "text"),
    ("detector_type", "FE_DETECTOR_NAME", "text"),
    ("detector_type", "CM_DETECTOR", "text"),
    ("detector_type", "SM_DETECTOR", "text"),
    ("detector_type", "CM_SIGNAL", "text"),
    ("signal_name", "CM_SIGNAL_NAME", "text"),
    ("signal_name", "CM_SIGNAL", "text"),
    ("electron_source", "SM_GUN_TYPE", "text"),
    ("microscope", "CM_INSTRUMENT", "text"),
    ("operator", "CM_OPERATOR", "text"),
)
_CURRENTS = ("probe_current", "emission_current")
_PICTURE_WIDTH_M = 0.128
_STAGE = {
    "X": ("stage_x", "mm"),
    "Y": ("stage_y", "mm"),
    "Z": ("stage_z", "mm"),
    "R": ("stage_rotation", "degree"),
    "T": ("stage_tilt", "degree"),
}
_PLACE = re.compile(r"([XYZRT])\s*=\s*(\S+?)(?=[\s,;]*(?:[XYZRT]\s*=|$))")
_LENGTHS = (("CM_FIELD_OF_VIEW", "um"), ("CM_PIXEL_SIZE", "nm"), ("SM_MICRON_MARKER", ""))


def read_jeol(text: str) -> SemText | None:
    """Return what a text of JEOL's tells; None for another text."""
    if not _HEAD.match(text):
        return None
    entries: dict[str, str] = {}
    for name, value in _ENTRY.findall(text):
        entries.setdefault(name, value.strip())
    metadata = _measured(dict(mapped(entries.get, _FIELDS)))
    comma = _comma(entries)
    metadata |= _stage(entries, comma=comma)
    field = _words(entries, "CM_FIELD_OF_VIEW")
    for name, length in zip(
        ("horizontal_field_width", "vertical_field_width"), field, strict=False
    ):
        if value := stated(length, "um", comma=comma):
            metadata[name] = value
    pixel_size = _pixel_size(entries, comma=comma)
    derived = _pixel_size_at(metadata.get("magnification"), _size(entries))
    doubts = [
        unread_length(name, word, unit, comma=comma)
        for name, unit in _LENGTHS
        for word in _words(entries, name)
    ]
    doubts.append(contradiction(*(size and size[1] for size in (pixel_size, derived))))
    return SemText(
        vendor="jeol",
        data_type=_data_type(entries),
        entries=entries,
        metadata=metadata,
        date=entries.get("CM_DATE", ""),
        clock=entries.get("CM_TIME", ""),
        size=_size(entries),
        pixel_size=pixel_size or derived,
        derived=derived is not None and pixel_size is None,
        doubts=tuple(filter(None, doubts)),
    )


def _comma(entries: dict[str, str]) -> bool | None:
    """Return whether commas are decimal ones; None where nothing tells."""
    words = [entries.get(name, "") for _, name, unit in _FIELDS if unit != TEXT]
    places = _words(entries, "CM_STAGE_POSITION", "CM_STAGE_POS")
    return has_decimal_commas(
        [*words, *places, *(word for name, _ in _LENGTHS for word in _words(entries, name))]
    )


def _measured(metadata: dict[str, Value]) -> dict[str, Value]:
    """Leave out currents of zero: the program writes them where nothing was measured."""
    return {
        field: value
        for field, value in metadata.items()
        if field not in _CURRENTS or not isinstance(value, tuple) or value[0]
    }


def _words(entries: dict[str, str], *names: str) -> list[str]:
    """Return the words of the first entry that has any; a unit may stand apart from its number."""
    text = next((entries[name] for name in names if entries.get(name)), "")
    return re.sub(r"(?<=\d)\s+(?=[^\d\s.+-])", "", text).split()


def _stage(entries: dict[str, str], *, comma: bool | None) -> dict[str, Value]:
    """Return the stage's position: five numbers in order, or each named (``X=1.2,Y=3.4``)."""
    found: dict[str, Value] = {}
    words = _words(entries, "CM_STAGE_POSITION", "CM_STAGE_POS")
    for axis, place in _PLACE.findall(" ".join(words)) or zip(_STAGE, words, strict=False):
        field, unit = _STAGE[axis]
        if value := stated(place, unit, comma=comma):
            found[field] = value
    return found


def _data_type(entries: dict[str, str]) -> str:
    """Return the technique; JEOL's transmission microscopes (JEM) write the same text."""
    if not entries.get("CM_INSTRUMENT", "").upper().startswith("JEM"):
        return "SEM_Imaging"
    return "TEM_Imaging" if entries.get("CM_SIGNAL", "").upper() == "TEM" else "STEM_Imaging"


def _size(entries: dict[str, str]) -> tuple[int, int] | None:
    size = [
        int(word) for word in _words(entries, "CM_IMAGE_SIZE", "CM_FULL_SIZE") if word.isdecimal()
    ]
    return (size[0], size[1]) if len(size) > 1 and min(size[:2]) > 0 else None


def _pixel_size_at(
    magnification: Value | None, size: tuple[int, int] | None
) -> tuple[float, float] | None:
    """Return the pixel size that a magnification means: JEOL's is that of a picture 128 mm wide."""
    times = converted(magnification, "x")
    if not times or times <= 0 or size is None:
        return None
    pixel = _PICTURE_WIDTH_M / times / size[0]
    return pixel, pixel


def _pixel_size(entries: dict[str, str], *, comma: bool | None) -> tuple[float, float] | None:
    """Return the pixel size: of the field, of a pixel, or of the scale bar, the least precise."""
    size = _size(entries)
    field = [metres(one, "um", comma=comma) for one in _words(entries, "CM_FIELD_OF_VIEW")]
    if size and len(field) > 1 and field[0] and field[1]:
        return field[1] / size[1], field[0] / size[0]
    pixel = [metres(one, "nm", comma=comma) for one in _words(entries, "CM_PIXEL_SIZE")]
    if pixel and pixel[0]:
        return (pixel[1] if len(pixel) > 1 and pixel[1] else pixel[0]), pixel[0]
    marker = metres(entries.get("SM_MICRON_MARKER", ""), comma=comma)
    bar = quantity(entries.get("SM_MICRON_BAR", ""), "")
    if marker and bar and bar[0] > 0:
        return marker / bar[0], marker / bar[0]
    return None
