"""Zeiss SEM TIFF: SmartSEM's text in the private tag 34118."""

import re
from pathlib import Path

from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import ParsedFile, Value
from nexuslims_formats.quantities import TEXT, Row, converted, mapped, number, pixel_size
from nexuslims_formats.tiff.tags import WIDTH, Tiff, is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import Described, image_signals, pixel_fields
from nexuslims_formats.times import moment
from nexuslims_formats.values import leaves, lines_of

SMARTSEM_TAG = 34118
_BARE = re.compile(r"[-+0-9.eE]+")
_DISPLAY = 1024
_COMPARED = 8
"""Pages whose parameters are held against each other."""

# each entry is a key line followed by "Name = value unit"; the value tells its own unit
_FIELDS: tuple[Row, ...] = (
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
    ("detector_type", "DP_DETECTOR_CHANNEL", TEXT),
    ("detector_type", "DP_DETECTOR_TYPE", TEXT),
    ("microscope", "DP_SEM", TEXT),
    ("microscope", "SV_SERIAL_NUMBER", TEXT),
    ("software", "SV_VERSION", TEXT),
    ("operator", "SV_USER_NAME", TEXT),
)
_UNKNOWN_FORM = f"tag {SMARTSEM_TAG} holds parameters of an unknown form"


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
        text = decode(tiff.raw(SMARTSEM_TAG))[0]
        parameters = read_parameters(text)
        values = {key: value for key, (_, value) in parameters.items()}
        metadata: dict[str, Value] = dict(mapped(values.get, _FIELDS))
        size = _pixel_size(metadata.get("horizontal_field_width"), tiff.integer(WIDTH))
        if "AP_IMAGE_PIXEL_SIZE" not in values:
            size = size or _of_display(text, tiff.integer(WIDTH))
            metadata |= pixel_fields(size)
        size = size or pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width"))
        described = Described(
            data_type="SEM_Imaging",
            metadata=metadata,
            extensions=dict(leaves(values, "zeiss")),
            acquired=moment("AP_DATE and AP_TIME", values.get("AP_DATE"), values.get("AP_TIME")),
            pixel_size=size,
            warnings=("operator",) if "operator" in metadata else (),
            doubts=_other_pages(tiff),
        )
        return ParsedFile(
            signals=image_signals(tiff, described),
            native={key: f"{name} = {value}" for key, (name, value) in parameters.items()},
            reader=f"tiff tags {self.version}",
            problems=() if metadata else (_UNKNOWN_FORM,),
        )


def _of_display(text: str, columns: int) -> tuple[float, float] | None:
    """Return the pixel size from that of the display, 1024 pixels wide, which has no name.

    References
    ----------
    It is the fourth of the numbers before the first name, in metres, as HyperSpy's reader knows.
    """
    fourth = next(iter(lines_of(text)[3:4]), "")
    metres = number(fourth) if _BARE.fullmatch(fourth.strip()) else None
    size = metres * _DISPLAY / columns if metres and metres > 0 and columns else 0.0
    return (size, size) if size else None


def _other_pages(tiff: Tiff) -> tuple[str, ...]:
    """Return in words that the slices of a stack have parameters of their own."""
    own = {tiff.raw(SMARTSEM_TAG, page) for page in range(min(len(tiff.pages), _COMPARED))}
    several = len(own - {b""}) > 1
    return ("its pages have parameters of their own: those of the first are given",) * several


def read_parameters(text: str) -> dict[str, tuple[str, str]]:
    """Return SmartSEM's parameters: ``{"AP_WD": ("WD", "3.9 mm"), ...}``."""
    parameters: dict[str, tuple[str, str]] = {}
    key = ""
    for line in lines_of(text.replace("\0", "\n")):
        entry = line.strip()
        if "=" not in entry and ":" not in entry:
            key = entry
        elif key:
            name, _, value = entry.partition("=" if "=" in entry else ":")
            parameters.setdefault(key, (name.strip(), value.lstrip(": ").strip()))
            key = ""
    return parameters


def _pixel_size(field: Value | None, columns: int) -> tuple[float, float] | None:
    """Return the pixel size from the width of the field: the tag's own is that before resizing."""
    width = converted(field, "m")
    return (width / columns, width / columns) if width and columns else None
