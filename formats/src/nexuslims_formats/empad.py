"""EMPAD, the pixel-array detector of Cornell and Thermo Fisher: an XML and the ``.raw`` it names.

References
----------
Names and units as in HyperSpy's reader of the format: patterns of 128 x 128 single-precision values
with two further lines each, lengths in m, the exposure in ms. Newer software keeps the size of the
scan in the name of the raw file, and its field of view too large by a factor that it states.
"""

import math
import re
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_contracts.text import printable
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.quantities import NUMBER, Row, mapped, number, readable_length
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.times import moment
from nexuslims_formats.trees import nested, parse_xml
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import numpy as np

_SIDE: Final = 128
_LINES: Final = 130
_FRAME_BYTES: Final = _SIDE * _LINES * 4
_LARGEST: Final = 16 << 20
_MOST_POINTS: Final = 1 << 26
_NAMED: Final = re.compile(r"_x(\d+)(?:_y(\d+))?")
_VIEW: Final = "iom_measurements/full_scan_field_of_view"
_OLD_VIEW: Final = "iom_measurements/optics.get_full_scan_field_of_view"
_FIELDS: tuple[Row, ...] = (
    ("exposure_time", "exposure_time", "ms"),
    ("acceleration_voltage", "iom_measurements/high_voltage", "V"),
    ("camera_length", "iom_measurements/nominal_camera_length", "m"),
    ("spot_size", "iom_measurements/spot_size_index", NUMBER),
)
_NUMBERS: Final = re.compile(r"[-+0-9.eE]+")


class EmpadExtractor:
    """Reads the XML; the patterns are mapped into memory for a preview only."""

    name = "empad"
    version = "1.0"
    priority = 100
    extensions = ("xml",)
    endings: tuple[str, ...] = ()
    """Any software writes XML."""

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the root, and the element that names the raw file."""
        del path
        return b"<root" in head and b"<raw_file" in head

    def open(self, path: Path) -> ParsedFile:
        """Read the XML, and look at the length of the raw file."""
        if path.stat().st_size > _LARGEST:
            raise LimitExceededError(f"an XML of more than {_LARGEST >> 20} MiB")
        tree = _tree(parse_xml(path.read_bytes()))
        if not isinstance(tree, dict):
            raise UnreadableFileError("the XML is empty")
        look_up = nested(tree)
        name = PureWindowsPath(str(look_up("raw_file/filename") or "")).name
        shape = _scan(look_up, name)
        raw = path.with_name(name) if name else path
        there = bool(name) and is_usable(raw)
        held = raw.stat().st_size // _FRAME_BYTES if there else 0
        problem = ""
        if not there:
            problem = f"{printable(name) or 'the raw file'} beside it is not there"
        elif held < math.prod(shape):
            problem = f"{printable(name)} holds {held} of its {math.prod(shape)} patterns"
        metadata: dict[str, Value] = {"detector_type": "EMPAD", **dict(mapped(look_up, _FIELDS))}
        signal = Signal(
            name=path.stem,
            dataset_type="Diffraction",
            data_type="STEM_Diffraction",
            shape=(*shape, _SIDE, _SIDE),
            dtype="float32",
            axes=(*_scan_axes(look_up, shape), *_pattern_axes(look_up)),
            metadata=metadata,
            extensions=dict(leaves(tree, "empad")),
            acquired=moment("timestamp", look_up("timestamp/isoformat")),
            pixels=None if problem else lambda: _map(raw, shape),
            problems=(problem,) if problem else (),
        )
        return ParsedFile(signals=[signal], native=tree, reader=f"empad {self.version}")


def _tree(element: Any) -> Any:
    """Return an element as nested dicts, its attributes among its children."""
    children = [child for child in element if isinstance(child.tag, str)]
    found: dict[str, Any] = {str(name): value for name, value in element.attrib.items()}
    for child in children:
        found.setdefault(child.tag, _tree(child))
    text = (element.text or "").strip()
    return found or text


def _scan(look_up: Any, name: str) -> tuple[int, ...]:
    """Return how many patterns there are along each axis: a series, or rows and columns."""
    series = number(look_up("scan_parameters/series_count"))
    sides = [number(look_up(one)) for one in ("pix_y", "pix_x")]
    match = _NAMED.search(name)
    if series:
        shape: tuple[int, ...] = (int(series),)
    elif all(sides):
        shape = tuple(int(side or 0) for side in sides)
    elif match:
        shape = (int(match[2]), int(match[1])) if match[2] else (int(match[1]),)
    else:
        raise UnreadableFileError("the XML does not tell the size of the scan")
    if not all(side > 0 for side in shape) or math.prod(shape) > _MOST_POINTS:
        raise LimitExceededError(f"the XML claims a scan of {shape}")
    return shape


def _scan_axes(look_up: Any, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    if len(shape) == 1:
        return (Axis(name="pattern", size=shape[0], navigate=True),)
    pitches = _pitches(look_up, shape)
    axes = []
    for name, size, pitch in zip(("scan_y", "scan_x"), shape, pitches, strict=True):
        scale, unit = readable_length(pitch) if pitch else (1.0, "")
        axes.append(Axis(name=name, size=size, scale=scale, unit=unit, navigate=True))
    return tuple(axes)


def _pitches(look_up: Any, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the distance of lines and of points in m; zero where it is not told."""
    old = [float(word) for word in _NUMBERS.findall(str(look_up(_OLD_VIEW) or "")) if number(word)]
    if len(old) == 2:  # noqa: PLR2004 - both sides
        return old[0] / shape[0], old[1] / shape[1]
    width, factor = number(look_up(f"{_VIEW}/x")), number(look_up(f"{_VIEW}/scale_factor"))
    if not width or not factor:
        return 0.0, 0.0
    pitch = width / factor / max(shape)
    return pitch, pitch


def _pattern_axes(look_up: Any) -> tuple[Axis, Axis]:
    """Return the axes of a pattern, from its centre; in 1/nm where they are calibrated."""
    step = number(look_up("iom_measurements/calibrated_pixelsize"))
    scale, unit = (step * 1e9, "1/nm") if step and step > 0 else (1.0, "")
    height, width = (
        Axis(name=name, size=_SIDE, scale=scale, offset=-_SIDE // 2 * scale, unit=unit)
        for name in ("height", "width")
    )
    return height, width


def _map(raw: Path, shape: tuple[int, ...]) -> "np.ndarray":
    import numpy as np  # noqa: PLC0415 - previews only

    frames = np.memmap(raw, "<f4", "r", shape=(*shape, _LINES, _SIDE))
    return frames[..., :_SIDE, :]
