"""TIFF of Hamamatsu's streak cameras (HPD-TA): an image of wavelengths over time.

References
----------
The description has a line for each section, ``[Scaling],ScalingXUnit="nm",...``. Where an axis is
calibrated, ``ScalingXScalingFile`` tells where in the file its values lie, as floats of 4 bytes
(``#0671744,0672``); ``Focus mode`` and ``Other`` tell that none do. As HyperSpy's reader knows.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import ParsedFile, Signal
from nexuslims_formats.quantities import NUMBER, TEXT, Row, mapped
from nexuslims_formats.rosettasciio.axes import unevenly, unit_of
from nexuslims_formats.tiff.camera import time_of_tag
from nexuslims_formats.tiff.tags import ARTIST, DESCRIPTION, SOFTWARE, Tiff, is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import nested
from nexuslims_formats.values import leaves, lines_of

if TYPE_CHECKING:
    import numpy as np

Sections: TypeAlias = dict[str, dict[str, str]]

_MAKER: Final = "copyright hamamatsu"
_PROGRAM: Final = "HPD-TA"
_SECTION: Final = re.compile(r"\s*\[([^\]]+)\](.*)")
_ENTRY: Final = re.compile(r'([^,="]+)=("[^"]*"|[^,]*)')
_PLACE: Final = re.compile(r"[#*]?(\d{1,12})\b")
_FLOAT_BYTES: Final = 4
_NAMES: Final = {"X": "Wavelength", "Y": "Time"}
_FIELDS: Final[tuple[Row, ...]] = (
    ("exposure_time", "Acquisition/ExposureTime", "s"),
    ("frames", "Acquisition/NrExposure", NUMBER),
    ("binning", "Acquisition/pntBinning", TEXT),
    ("detector_type", "Streak camera/DeviceName", TEXT),
    ("detector_type", "Camera/CameraName", TEXT),
    ("software", "Application/Software", TEXT),
)


class HamamatsuTiffExtractor:
    """Reads the description, and the values of the axes behind the image."""

    name = "hamamatsu_tiff"
    version = "1.0"
    priority = 100
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the artist and the program."""
        if not is_tiff(head):
            return False
        tiff = read_tiff(path)
        return tiff.text(ARTIST).lower().startswith(_MAKER) and tiff.text(SOFTWARE).startswith(
            _PROGRAM
        )

    def open(self, path: Path) -> ParsedFile:
        """Read the description and the directory of the image."""
        tiff = read_tiff(path)
        sections = read_sections(decode(tiff.raw(DESCRIPTION))[0])
        application = sections.get("Application", {})
        described = Described(
            data_type="Imaging",
            metadata=dict(mapped(nested(sections), _FIELDS)),
            extensions=dict(leaves(sections, "instrument")),
            acquired=first_moment(
                time_of_tag(tiff),
                moment("[Application] Date", application.get("Date"), application.get("Time")),
            ),
        )
        signals = [_scaled(tiff, one, sections) for one in image_signals(tiff, described)]
        problem = "" if sections else "its description holds metadata of an unknown form"
        return ParsedFile(
            signals=signals,
            native=sections,
            reader=f"tiff tags {self.version}",
            problems=(problem,) if problem else (),
        )


def read_sections(text: str) -> Sections:
    """Return the sections of a description: ``{"Scaling": {"ScalingXUnit": "nm", ...}, ...}``."""
    found: Sections = {}
    for line in lines_of(text.rstrip("\0")):
        if match := _SECTION.match(line):
            entries = _ENTRY.findall(match[2])
            found[match[1].strip()] = {name.strip(): value.strip('" ') for name, value in entries}
    return found


def _scaled(tiff: Tiff, signal: Signal, sections: Sections) -> Signal:
    """Give the axes of an image the values that lie in the file."""
    scaling = sections.get("Scaling", {})
    axes: list[Axis] = []
    doubts = list(signal.doubts)
    for axis in signal.axes:
        way = axis.name.upper()
        place = _PLACE.match(scaling.get(f"Scaling{way}ScalingFile", ""))
        if not place:
            axes.append(axis)
            continue
        values = _values(tiff, int(place[1]), axis.size)
        name, unit = _NAMES[way], unit_of(scaling.get(f"Scaling{way}Unit"))
        if values is None or values[0] == values[-1]:
            doubts.append(f"the values of its axis {name} are not in the file")
            axes.append(axis)
            continue
        step = float(values[-1] - values[0]) / (axis.size - 1)
        doubts.append(unevenly(name, values, {"scale": step, "units": unit}))
        axes.append(Axis(name=name, size=axis.size, scale=step, offset=float(values[0]), unit=unit))
    return replace(signal, axes=tuple(axes), doubts=tuple(filter(None, doubts)))


def _values(tiff: Tiff, place: int, count: int) -> "np.ndarray | None":
    """Return the values of an axis; None where the file does not have as many finite ones."""
    import numpy as np  # noqa: PLC0415 - this vendor's files only

    with tiff.path.open("rb") as file:
        file.seek(place)
        raw = file.read(count * _FLOAT_BYTES)
    if count < 2 or len(raw) < count * _FLOAT_BYTES:  # noqa: PLR2004 - of one point no step is known
        return None
    values = np.frombuffer(raw, f"{tiff.order}f4").astype(float)
    return values if np.isfinite(values).all() else None
