"""Electron events of Falcon cameras (``.eer``): a BigTIFF with a packed list for each frame.

References
----------
Thermo Fisher's EER, as tifffile and imagecodecs read it: compressions 65000 to 65002, and in tag
65001 of the first page an XML of ``item`` elements with a name and, some of them, a unit. What
``sensorPixelSize`` is measured on is not told: it stays an extension.
"""

from pathlib import Path
from typing import Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.errors import UnreadableFileError, UnsafeFileError
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.mrc.epu import epu_beside
from nexuslims_formats.mrc.extended import Acquisition
from nexuslims_formats.quantities import TEXT, Row, mapped, pixel_size
from nexuslims_formats.tiff.tags import COMPRESSION, HEIGHT, WIDTH, is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import image_axes
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import parse_xml
from nexuslims_formats.values import leaves

_TAG: Final = 65001
_COMPRESSIONS: Final = (65000, 65001, 65002)
_FIELDS: tuple[Row, ...] = (
    ("exposure_time", "exposureTime", "s"),
    ("detector_type", "commercialName", TEXT),
    ("acquisition_device", "cameraName", TEXT),
)


class EerExtractor:
    """Reads the description and the number of frames; events are not turned into a picture."""

    name = "eer"
    version = "1.0"
    priority = 100
    extensions = ("eer",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the compression, which no other camera has."""
        return is_tiff(head) and read_tiff(path).integer(COMPRESSION) in _COMPRESSIONS

    def open(self, path: Path) -> ParsedFile:
        """Read the directories, and the XML beside if EPU wrote one."""
        tiff = read_tiff(path)
        problems = [tiff.problem] if tiff.problem else []
        items: dict[str, str] = {}
        beside = Acquisition()
        try:
            items = _items(tiff.raw(_TAG))
            beside = epu_beside(path)
        except (UnreadableFileError, UnsafeFileError) as error:
            problems.append(str(error))
        found: dict[str, Value] = {**beside.metadata, **dict(mapped(items.get, _FIELDS))}
        size = pixel_size(found.get("pixel_height"), found.get("pixel_width"))
        frames = sum(WIDTH in page for page in tiff.pages)
        shape = (frames, tiff.integer(HEIGHT), tiff.integer(WIDTH))
        frame, *plane = image_axes(shape, size, pages=True)
        axes = (Axis(name="frame", size=frame.size, navigate=True), *plane)
        signal = Signal(
            name=path.stem,
            dataset_type="Image",
            data_type="TEM_Imaging",
            shape=shape,
            dtype="uint8",
            axes=axes,
            metadata=found,
            extensions={**beside.extensions, **dict(leaves(items, "eer"))},
            undrawn="the events of a Falcon camera are not decoded",
            acquired=first_moment(moment("EER timestamp", items.get("timestamp")), beside.acquired),
        )
        return ParsedFile(
            signals=[signal],
            native=dict(items),
            reader=f"tiff tags {self.version}",
            problems=tuple(problems),
        )


def _items(raw: bytes) -> dict[str, str]:
    """Return the entries of the XML, each with its unit behind it."""
    if not raw.strip(b"\0"):
        return {}
    root: Any = parse_xml(raw)
    return {
        str(item.get("name")): f"{(item.text or '').strip()} {item.get('unit') or ''}".strip()
        for item in root.iter("item")
    }
