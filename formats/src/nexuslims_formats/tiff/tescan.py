"""Tescan TIFF, with its ``.hdr`` sidecar or with tags alone."""

import re
from pathlib import Path
from typing import Any

from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import Moment, ParsedFile, Value
from nexuslims_formats.quantities import Row, mapped, number, pixel_size
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.tiff.camera import time_of_tag
from nexuslims_formats.tiff.tags import (
    ARTIST,
    HEIGHT,
    MAKE,
    MODEL,
    SOFTWARE,
    Tiff,
    is_tiff,
    read_tiff,
)
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import ini_sections, nested
from nexuslims_formats.values import leaves

TESCAN_TAG = 50431
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "SEM/HV", "V"),
    ("acceleration_voltage", "SEM/AcceleratorVoltage", "V"),
    ("magnification", "MAIN/Magnification", "x"),
    ("working_distance", "SEM/WD", "m"),
    ("beam_current", "SEM/PredictedBeamCurrent", "A"),
    ("emission_current", "SEM/EmissionCurrent", "A"),
    ("dwell_time", "SEM/DwellTime", "s"),
    ("pixel_width", "MAIN/PixelSizeX", "m"),
    ("pixel_height", "MAIN/PixelSizeY", "m"),
    ("scan_rotation", "SEM/ScanRotation", "degree"),
    ("stage_x", "SEM/StageX", "m"),
    ("stage_y", "SEM/StageY", "m"),
    ("stage_z", "SEM/StageZ", "m"),
    ("stage_rotation", "SEM/StageRotation", "degree"),
    ("stage_tilt", "SEM/StageTilt", "degree"),
    ("chamber_pressure", "SEM/ChamberPressure", "Pa"),
    ("detector_type", "SEM/Detector", "text"),
    ("electron_source", "SEM/Gun", "text"),
    ("software", "MAIN/SoftwareVersion", "text"),
    ("operator", "MAIN/FullUserName", "text"),
    ("operator", "MAIN/UserName", "text"),
)


class TescanTiffExtractor:
    """Reads the header file beside the image, and the key=value text within its tag."""

    name = "tescan_tiff"
    version = "1.0"
    priority = 150
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the private tag 50431 or the maker's name."""
        if not is_tiff(head):
            return False
        tiff = read_tiff(path)
        return TESCAN_TAG in tiff.pages[0] or "tescan" in tiff.text(MAKE).lower()

    def open(self, path: Path) -> ParsedFile:
        """Read the image's directory and the sidecar, if it is there."""
        tiff = read_tiff(path)
        sections = _sections(tiff, path)
        metadata: dict[str, Value] = dict(mapped(nested(sections), _FIELDS))
        if "operator" not in metadata and (artist := tiff.text(ARTIST)):
            metadata["operator"] = artist
        main = sections.get("MAIN", {})
        extensions: dict[str, Any] = dict(leaves(sections, "tescan"))
        if model := main.get("Device") or tiff.text(MODEL):
            metadata["microscope"] = model
        if software := tiff.text(SOFTWARE):
            metadata.setdefault("software", software)
        described = Described(
            data_type="SEM_Imaging",
            metadata=metadata,
            extensions=extensions,
            acquired=_acquired(tiff, main),
            pixel_size=pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width")),
            rows=tiff.integer(HEIGHT) - int(number(main.get("ImageStripSize")) or 0) or None,
            warnings=("operator",) if "operator" in metadata else (),
        )
        return ParsedFile(
            signals=image_signals(tiff, described),
            native={"header": sections, "make": tiff.text(MAKE), "model": tiff.text(MODEL)},
            reader=f"tiff tags {self.version}",
        )


def _sections(tiff: Tiff, path: Path) -> dict[str, dict[str, str]]:
    for suffix in (".hdr", ".HDR", f"{path.suffix}.hdr"):
        sidecar = path.with_suffix(suffix)
        if is_usable(sidecar):
            return ini_sections(decode(sidecar.read_bytes())[0])
    # without the sidecar: the same text may stand within the tag, after an embedded thumbnail
    raw = tiff.raw(TESCAN_TAG)
    at = raw.find(b"[MAIN]")
    text = decode(raw[max(at, 0) :])[0] if at >= 0 else raw.decode("latin-1")
    sections = ini_sections(text) if at >= 0 else {}
    if not sections:
        pairs = dict(re.findall(r"([A-Za-z][A-Za-z0-9]{1,30})=([ -~]{1,80})", text))
        sections = {"MAIN": pairs, "SEM": pairs} if pairs else {}
    return sections


def _acquired(tiff: Tiff, main: dict[str, str]) -> Moment | None:
    """Return the time of the TIFF tag, local; the header's is of a clock that may run in UTC."""
    header = moment("header Date and Time", main.get("Date"), main.get("Time"))
    return first_moment(time_of_tag(tiff), header)
