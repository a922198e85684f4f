"""Images of Phenom desktop microscopes: the XML ``FeiImage`` in TIFF's tag 34683 or in a JPEG.

References
----------
Measured on images within ``.elid`` projects (Phenom XL): every value has its unit in an attribute,
the high voltage is negative, ``databarHeight`` counts the rows of words below the image.
"""

from pathlib import Path
from typing import Any

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import Moment, ParsedFile, Value
from nexuslims_formats.quantities import NUMBER, TEXT, Row, mapped, number, pixel_size
from nexuslims_formats.tiff.camera import time_of_tag
from nexuslims_formats.tiff.tags import HEIGHT, is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import nested, parse_xml
from nexuslims_formats.values import leaves

XML_TAG = 34683
_START, _END = b"<FeiImage", b"</FeiImage>"
_EDGE_BYTES = 1 << 16
"""So much at the start and at the end of a JPEG is searched."""
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "acquisition/scan/highVoltage", "kV"),
    ("emission_current", "acquisition/scan/emissionCurrent", "uA"),
    ("spot_size", "acquisition/scan/spotSize", NUMBER),
    ("dwell_time", "acquisition/scan/dwellTime", "ns"),
    ("scan_rotation", "acquisition/scan/rotation", "degree"),
    ("detector_type", "acquisition/scan/detector", TEXT),
    ("working_distance", "workingDistance", "mm"),
    ("pixel_width", "pixelWidth", "nm"),
    ("pixel_height", "pixelHeight", "nm"),
    ("stage_x", "samplePosition/x", "m"),
    ("stage_y", "samplePosition/y", "m"),
    ("frames", "integrations", NUMBER),
    ("operator", "currentUser", TEXT),
    ("software", "instrument/softwareVersion", TEXT),
    ("microscope", "instrument/edition", TEXT),
    ("microscope", "instrument/type", TEXT),
)


class PhenomTiffExtractor:
    """Reads the XML of the tag, and the directory of the image."""

    name = "phenom_tiff"
    version = "1.0"
    priority = 110
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the root of the XML in tag 34683."""
        return is_tiff(head) and _START in read_tiff(path).raw(XML_TAG)

    def open(self, path: Path) -> ParsedFile:
        """Read the XML; an image with a damaged one is still a dataset."""
        tiff = read_tiff(path)
        tree, problem = phenom_tree(tiff.raw(XML_TAG))
        rows = tiff.integer(HEIGHT)
        return ParsedFile(
            signals=image_signals(tiff, described_by_phenom(tree, rows, time_of_tag(tiff))),
            native=tree,
            reader=f"tiff tags {self.version}",
            problems=(problem,) if problem else (),
        )


def phenom_xml_of(image: Path) -> bytes:
    """Return the XML that a program put at the start or the end of an image; empty if none."""
    size = image.stat().st_size
    with image.open("rb") as file:
        edges = file.read(_EDGE_BYTES)
        file.seek(max(len(edges), size - _EDGE_BYTES))
        edges += file.read()
    start = edges.find(_START)
    end = edges.find(_END, start)
    return edges[start : end + len(_END)] if start >= 0 and end >= 0 else b""


def phenom_tree(raw: bytes) -> tuple[dict[str, Any], str]:
    """Return what the XML holds, and what is wrong with it, in words.

    Parameters
    ----------
    raw
        Bytes with the XML in them.
    """
    start, end = raw.find(_START), raw.rfind(_END)
    try:
        root = parse_xml(raw[start : end + len(_END)])
    except UnreadableFileError as error:
        return {}, f"the XML of the microscope is damaged: {error}"
    tree = _tree(root)
    return (tree, "") if isinstance(tree, dict) else ({}, "the XML of the microscope is empty")


def described_by_phenom(tree: dict[str, Any], rows: int, taken: Moment | None) -> Described:
    """Return what the XML tells of an image.

    Parameters
    ----------
    tree
        The XML, as :func:`phenom_tree` gives it.
    rows
        Of the image, the strip of words included.
    taken
        When it was taken by what the image itself tells.
    """
    metadata: dict[str, Value] = dict(mapped(nested(tree), _FIELDS))
    voltage = metadata.get("acceleration_voltage")
    if isinstance(voltage, tuple):
        metadata["acceleration_voltage"] = (abs(voltage[0]), voltage[1])
    if "pixel_width" in metadata:
        metadata.setdefault("pixel_height", metadata["pixel_width"])
    strip = int(number(tree.get("databarHeight")) or 0)
    return Described(
        data_type="SEM_Imaging",
        metadata=metadata,
        extensions=dict(leaves(tree, "phenom")),
        acquired=first_moment(moment("FeiImage time", tree.get("time")), taken),
        pixel_size=pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width")),
        rows=rows - strip if 0 < strip < rows else None,
        warnings=("operator",) if "operator" in metadata else (),
    )


def _tree(element: Any) -> Any:
    """Return an element as nested dicts, each value with its unit behind it."""
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        text = (element.text or "").strip()
        unit = element.get("unit", "")
        return f"{text} {unit}" if text and unit else text
    found: dict[str, Any] = {}
    for child in children:
        found.setdefault(child.tag, _tree(child))
    return found
