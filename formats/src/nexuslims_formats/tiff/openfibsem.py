"""OpenFIBSEM and AutoLamella: a TIFF whose description is JSON.

References
----------
``fibsem.structures.FibsemImageMetadata``: lengths in metres, times in seconds, voltages in V,
currents in A, the stage's and the scan's angles in radians, the timestamp in seconds since 1970.
"""

import json
from pathlib import Path
from typing import Any

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import Moment, ParsedFile, Value
from nexuslims_formats.quantities import TEXT, Row, mapped, pixel_size
from nexuslims_formats.tiff.tags import Tiff, is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import from_unix
from nexuslims_formats.trees import nested
from nexuslims_formats.values import leaves

_MARKS = (b'"pixel_size"', b'"microscope_state"')
_UNKNOWN = ("", "unknown", "null", "none")
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "microscope_state/{beam}_beam/voltage", "V"),
    ("beam_current", "microscope_state/{beam}_beam/beam_current", "A"),
    ("working_distance", "microscope_state/{beam}_beam/working_distance", "m"),
    ("scan_rotation", "microscope_state/{beam}_beam/scan_rotation", "rad"),
    ("dwell_time", "image/dwell_time", "s"),
    ("dwell_time", "microscope_state/{beam}_beam/dwell_time", "s"),
    ("horizontal_field_width", "image/hfw", "m"),
    ("horizontal_field_width", "microscope_state/{beam}_beam/hfw", "m"),
    ("pixel_width", "pixel_size/x", "m"),
    ("pixel_height", "pixel_size/y", "m"),
    ("stage_x", "microscope_state/stage_position/x", "m"),
    ("stage_y", "microscope_state/stage_position/y", "m"),
    ("stage_z", "microscope_state/stage_position/z", "m"),
    ("stage_rotation", "microscope_state/stage_position/r", "rad"),
    ("stage_tilt", "microscope_state/stage_position/t", "rad"),
    ("detector_type", "microscope_state/{beam}_detector/type", TEXT),
    ("microscope", "system/info/model", TEXT),
    ("operator", "user/name", TEXT),
)


class OpenFibsemExtractor:
    """Reads the JSON of the description, and the directory of the image."""

    name = "openfibsem"
    version = "1.0"
    priority = 90
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by a description that is JSON with OpenFIBSEM's names."""
        if not is_tiff(head):
            return False
        text = read_tiff(path).described(_MARKS[0])
        return text.startswith(b"{") and all(mark in text for mark in _MARKS)

    def open(self, path: Path) -> ParsedFile:
        """Read the description; an image with a damaged one is still a dataset."""
        tiff = read_tiff(path)
        tree, problem = _tree(tiff)
        return ParsedFile(
            signals=image_signals(tiff, _described(tree)),
            native=tree,
            reader=f"tiff tags {self.version}",
            problems=(problem,) if problem else (),
        )


def _tree(tiff: Tiff) -> tuple[dict[str, Any], str]:
    try:
        tree = json.loads(decode(tiff.described(_MARKS[0]).rstrip(b"\0"))[0])
    except (ValueError, RecursionError) as error:
        return {}, f"its description is damaged: {error}"
    if not isinstance(tree, dict):
        raise UnreadableFileError("its description is no JSON object")
    return tree, ""


def _described(tree: dict[str, Any]) -> Described:
    look_up = nested(tree)
    ion = str(look_up("image/beam_type") or "").upper() == "ION"
    beam = "ion" if ion else "electron"
    table = tuple((field, path.format(beam=beam), unit) for field, path, unit in _FIELDS)
    metadata: dict[str, Value] = {
        field: value
        for field, value in mapped(look_up, table)
        if not isinstance(value, str) or value.lower() not in _UNKNOWN
    }
    if software := look_up("experiment/application"):
        metadata["software"] = f"{software} {look_up('experiment/fibsem_version') or ''}".strip()
    seconds = look_up("microscope_state/timestamp")
    when = from_unix(seconds) if isinstance(seconds, int | float) else None
    return Described(
        data_type="FIB_Imaging" if ion else "SEM_Imaging",
        metadata=metadata,
        extensions=dict(leaves(tree, "openfibsem")),
        acquired=Moment(when, "microscope_state timestamp") if when else None,
        pixel_size=pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width")),
        warnings=("operator",) if "operator" in metadata else (),
    )
