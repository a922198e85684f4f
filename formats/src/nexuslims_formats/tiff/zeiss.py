"""Zeiss SEM TIFF: SmartSEM's text in the private tag 34118."""

from pathlib import Path
from typing import Any

from nexuslims_formats.model import Moment, ParsedFile, Value
from nexuslims_formats.tiff.tags import WIDTH, is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.values import leaves, lines_of, local_time, quantity

SMARTSEM_TAG = 34118
_LENGTHS = {"nm": 1e-9, "µm": 1e-6, "um": 1e-6, "mm": 1e-3, "pm": 1e-12, "m": 1.0}

# each entry is a key line followed by "Name = value unit"; the value tells its own unit
_FIELDS: tuple[tuple[str, str, str], ...] = (
    ("acceleration_voltage", "AP_ACTUALKV", "kV"),
    ("acceleration_voltage", "AP_MANUALKV", "kV"),
    ("magnification", "AP_MAG", "x"),
    ("working_distance", "AP_WD", "mm"),
    ("probe_current", "AP_IPROBE", "pA"),
    ("beam_current", "AP_BEAM_CURRENT", "uA"),
    ("extraction_voltage", "AP_ACTUALEXTRACTOR", "kV"),
    ("filament_current", "AP_ACTUALCURRENT", "A"),
    ("horizontal_field_width", "AP_WIDTH", "um"),
    ("vertical_field_width", "AP_HEIGHT", "um"),
    ("pixel_width", "AP_IMAGE_PIXEL_SIZE", "nm"),
    ("pixel_width", "AP_PIXEL_SIZE", "nm"),
    ("pixel_height", "AP_IMAGE_PIXEL_SIZE", "nm"),
    ("pixel_height", "AP_PIXEL_SIZE", "nm"),
    ("frame_time", "AP_FRAME_TIME", "s"),
    ("dwell_time", "DP_DWELL_TIME", "ns"),
    ("scan_rotation", "AP_SCANROTATION", "degree"),
    ("stage_x", "AP_STAGE_AT_X", "mm"),
    ("stage_y", "AP_STAGE_AT_Y", "mm"),
    ("stage_z", "AP_STAGE_AT_Z", "mm"),
    ("stage_tilt", "AP_STAGE_AT_T", "degree"),
    ("stage_rotation", "AP_STAGE_AT_R", "degree"),
    ("chamber_pressure", "AP_SYSTEM_VAC", "mbar"),
)
_TEXTS = (
    ("detector_type", "DP_DETECTOR_CHANNEL"),
    ("detector_type", "DP_DETECTOR_TYPE"),
    ("microscope", "DP_SEM"),
    ("microscope", "SV_SERIAL_NUMBER"),
    ("software", "SV_VERSION"),
    ("operator", "SV_USER_NAME"),
)


class ZeissTiffExtractor:
    """Reads SmartSEM's parameters."""

    name = "zeiss_tiff"
    version = "1.0"
    priority = 100
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the private tag 34118 and the parameters in it."""
        return is_tiff(head) and b"AP_" in read_tiff(path).raw(SMARTSEM_TAG)

    def open(self, path: Path) -> ParsedFile:
        """Read the parameters and the directory of the image."""
        tiff = read_tiff(path)
        told = read_parameters(tiff.raw(SMARTSEM_TAG).decode("cp1252", "replace"))
        metadata: dict[str, Value] = {}
        for field, key, default in _FIELDS:
            value = _value(told.get(key, ("", ""))[1], default)
            if value is not None and field not in metadata:
                metadata[field] = value
        for field, key in _TEXTS:
            text = told.get(key, ("", ""))[1]
            if text and field not in metadata:
                metadata[field] = text
        when = local_time(told.get("AP_DATE", ("", ""))[1], told.get("AP_TIME", ("", ""))[1])
        extensions: dict[str, Any] = dict(
            leaves({key: value for key, (_, value) in told.items()}, "zeiss")
        )
        described = Described(
            data_type="SEM_Imaging",
            metadata=metadata,
            extensions=extensions,
            acquired=Moment(when, "AP_DATE and AP_TIME") if when else None,
            pixel_size=_pixel_size(metadata.get("horizontal_field_width"), tiff.integer(WIDTH)),
            warnings=("operator",) if "operator" in metadata else (),
        )
        return ParsedFile(
            signals=image_signals(tiff, described),
            native={key: f"{name} = {value}" for key, (name, value) in told.items()},
            reader=f"tiff tags {self.version}",
        )


def read_parameters(text: str) -> dict[str, tuple[str, str]]:
    """Return SmartSEM's parameters: ``{"AP_WD": ("WD", "3.9 mm"), ...}``."""
    told: dict[str, tuple[str, str]] = {}
    key = ""
    for line in lines_of(text.replace("\0", "\n")):
        entry = line.strip()
        if "=" not in entry and ":" not in entry:
            key = entry
        elif key:
            name, _, value = entry.partition("=" if "=" in entry else ":")
            told.setdefault(key, (name.strip(), value.lstrip(": ").strip()))
            key = ""
    return told


def _value(text: str, default: str) -> tuple[float, str] | None:
    found = quantity(text, default)
    if found is None:
        return None
    amount, unit = found
    if default == "x":
        return (amount * 1000.0 if unit.upper().startswith("K") else amount), "x"
    return amount, "degree" if unit in ("°", "deg") else unit


def _pixel_size(field: Value | None, columns: int) -> tuple[float, float] | None:
    """Return the pixel size from the width of the field: the one told is that before resizing."""
    if not isinstance(field, tuple) or field[1] not in _LENGTHS or not columns:
        return None
    metres = field[0] * _LENGTHS[field[1]] / columns
    return metres, metres
