"""Phenom ``.elid``: the images of a project, and the X-ray analyses made on each.

References
----------
The order of values as HyperSpy's reader of the format knows it, measured on real files: energies in
eV, voltages in V, angles in rad (degrees in the first version), lengths in m, times in s.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import CHANNEL, Axis
from nexuslims_formats.energy import calibration, energy_axis
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError, UnsupportedFileError
from nexuslims_formats.model import ParsedFile, Signal
from nexuslims_formats.phenom.stream import Stream, read_counts
from nexuslims_formats.quantities import converted, quantity, readable_length
from nexuslims_formats.tiff.phenom import described_by_phenom, phenom_tree
from nexuslims_formats.tiff.tags import HEIGHT, SAMPLES, WIDTH, Tag, read_directories
from nexuslims_formats.trees import nested
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import numpy as np

_MARK: Final = b"EID2"
_NEWEST: Final = 4
_MOST: Final = 1 << 16
_LARGEST_SIDE: Final = 1 << 15
_DETECTORS: Final = {0: "Empty", 1: "FastSDD_C2", 2: "FastSDD_C5", 3: "FastSDD_WLS"}
_MSA, _SPOT, _LINE, _MAP, _DIFFERENCE, _REGION, _BUILT = range(1, 8)
_TITLES: Final = {_MSA: "MSA", _SPOT: "Spot", _LINE: "Line", _MAP: "Map", _REGION: "Region"}
_FIELDS: Final = (
    ("acceleration_voltage", "high_tension", "V"),
    ("elevation_angle", "elevation", "rad"),
    ("azimuthal_angle", "azimuth", "rad"),
    ("live_time", "live_time", "s"),
    ("real_time", "real_time", "s"),
    ("detector_energy_resolution", "resolution", "eV"),
    ("working_distance", "working_distance", "m"),
    ("stage_tilt", "sample_tilt", "rad"),
)


@dataclass(slots=True)
class _Image:
    """An image, and what its XML tells of the microscope."""

    label: str
    tree: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    content: bytes = b""

    @property
    def field_size(self) -> float | None:
        """Return the longer side of the image in metres; None where that is not told."""
        look_up = nested(self.tree)
        sides = [
            converted(quantity(look_up(name), "nm"), "m") for name in ("pixelHeight", "pixelWidth")
        ]
        if not all(sides) or len(self.shape) < 2:  # noqa: PLR2004 - rows and columns
            return None
        return max(size * (side or 0.0) for size, side in zip(self.shape[:2], sides, strict=True))


@dataclass(slots=True)
class _Analysis:
    """An analysis as it was read."""

    kind: int
    title: str
    values: dict[str, Any]
    shape: tuple[int, ...]
    energies: tuple[float, float]
    """Start and width of the channels, in eV."""
    counts: tuple[int, int]
    """Where the counts are in the stream, and how many bytes they take."""


class PhenomProjectExtractor:
    """Reads through the whole stream; counts and pixels are kept for previews only."""

    name = "phenom_elid"
    version = "1.0"
    priority = 100
    extensions = ("elid",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the ending, and a compressed stream."""
        return path.suffix.lower() == ".elid" and head.startswith((b"BZh", b"\x1f\x8b"))

    def open(self, path: Path) -> ParsedFile:
        """Read images and analyses."""
        with path.open("rb") as file:
            if file.read(2) != b"BZ":
                raise UnsupportedFileError("a project of a ProSuite older than 3.8")
        stream = Stream(path)
        try:
            if stream.take(4) != _MARK:
                raise UnreadableFileError("the file does not start as a Phenom project")
            version = stream.unpack("i")
            if not 0 <= version <= _NEWEST:
                raise UnsupportedFileError(f"a Phenom project of version {version}")
            signals, problem = _whole(_images(path, stream, version))
        finally:
            stream.close()
        if not signals:
            raise UnreadableFileError(problem or "the project holds no image and no analysis")
        native = {"version": version, "signals": [dict(one.extensions) for one in signals]}
        return ParsedFile(
            signals=signals,
            native=native,
            reader=f"elid {self.version}",
            problems=(problem,) if problem else (),
        )


def _whole(signals: Iterator[Signal]) -> tuple[list[Signal], str]:
    """Return what can be read, and what ended it before its end, in words."""
    found: list[Signal] = []
    try:
        found.extend(signals)
    except UnreadableFileError as error:
        return found, str(error)
    return found, ""


def _images(path: Path, stream: Stream, version: int) -> Iterator[Signal]:
    for _ in range(_count(stream)):
        content = stream.take(stream.number())
        image = _Image(stream.text(), content=content)
        if content:
            if b"<FeiImage" in content:
                image.tree, _ = phenom_tree(content)
            image.shape = _shape(content)
            yield _image_signal(image)
        for _ in range(_count(stream)):
            analysis = _analysis(stream, version, image.tree)
            if analysis is not None:
                yield _signal(path, image, analysis)


def _count(stream: Stream) -> int:
    found = stream.number()
    if found > _MOST:
        raise LimitExceededError(f"the project claims {found} entries of a list")
    return found


def _shape(content: bytes) -> tuple[int, ...]:
    order, pages, _ = read_directories(BytesIO(content), len(content))

    def value(code: int, default: int) -> int:
        tag: Tag | None = pages[0].get(code)
        if tag is None:
            return default
        size = 2 if tag.kind == 3 else 4  # noqa: PLR2004 - TIFF's SHORT
        raw = content[tag.offset : tag.offset + size]
        return int.from_bytes(raw, "little" if order == "<" else "big")

    sides = value(HEIGHT, 0), value(WIDTH, 0)
    if not all(0 < side <= _LARGEST_SIDE for side in sides):
        raise LimitExceededError(f"an image of the project claims {sides} pixels")
    samples = value(SAMPLES, 1)
    return (*sides, samples) if samples > 1 else sides


def _image_signal(image: _Image) -> Signal:
    described = described_by_phenom(image.tree, image.shape[0], None)
    rows, columns = image.shape[:2]
    axes: list[Axis] = []
    for name, size, metres in zip(
        ("y", "x"), (rows, columns), described.pixel_size or (None, None), strict=True
    ):
        scale, unit = readable_length(metres) if metres else (1.0, "")
        axes.append(Axis(name=name, size=size, scale=scale, unit=unit))
    colour = [Axis(name=CHANNEL, size=image.shape[2])] if len(image.shape) > 2 else []  # noqa: PLR2004
    return Signal(
        name=image.label,
        dataset_type="Image",
        data_type="SEM_Imaging" if image.tree else "Imaging",
        shape=image.shape,
        dtype="uint8",
        axes=(*axes, *colour),
        metadata=described.metadata,
        extensions=described.extensions,
        warnings=tuple(described.warnings),
        acquired=described.acquired,
        pixels=lambda: _decoded(image.content, image.shape),
    )


def _decoded(content: bytes, shape: tuple[int, ...]) -> "np.ndarray":
    import tifffile  # noqa: PLC0415 - previews only

    with tifffile.TiffFile(BytesIO(content)) as file:
        found: np.ndarray = file.pages[0].asarray().reshape(shape)
    return found


def _analysis(stream: Stream, version: int, tree: Mapping[str, Any]) -> _Analysis | None:
    """Read an analysis; None of one that is computed from others."""
    kind = stream.unpack("B")
    if kind not in range(_MSA, _BUILT + 1):
        raise UnreadableFileError(f"the project has an analysis of the unknown kind {kind}")
    stream.skip(stream.number())  # the picture of what was analysed
    found = _spectrum(stream, kind)
    found.values = _description(stream, version, tree)
    number = _choices(stream, version)
    found.title = f"{_TITLES.get(kind, 'Analysis')} {number}"
    if kind == _SPOT:
        stream.skip(16)
    elif kind == _REGION:
        stream.skip(32)
    elif kind == _DIFFERENCE:
        found.title = f"Difference {stream.number()} - {stream.number()}"
    elif kind in (_LINE, _MAP):
        _many_spectra(stream, version, tree, found)
    elif kind == _BUILT:
        stream.text()
        stream.skip(12 * _count(stream))
        return None
    return found


def _spectrum(stream: Stream, kind: int) -> _Analysis:
    start, width, size = stream.unpack("d"), stream.unpack("d"), _count(stream)
    at = stream.at
    length = stream.skip_counts(size)
    return _Analysis(kind, "", {}, (size,), (start, width), (at, length))


def _description(stream: Stream, version: int, tree: Mapping[str, Any]) -> dict[str, Any]:
    """Read what is told of detector and acquisition."""
    names = ("high_tension", "elevation", "azimuth", "live_time", "real_time", "slow_peaking_time",
             "fast_peaking_time", "resolution")  # fmt: skip
    found: dict[str, Any] = {name: stream.unpack("d") for name in names}
    found["instrument"] = stream.text()
    if version == 0:
        found["elevation"] = math.radians(found["elevation"])
        distance = converted(quantity(nested(tree)("workingDistance"), "mm"), "m")
        return found | ({"working_distance": distance} if distance else {})
    more = ("optical_working_distance", "working_distance", "detector_area", "detector_distance",
            "sample_tilt")  # fmt: skip
    found |= {name: stream.unpack("d") for name in more}
    if version >= 3:  # noqa: PLR2004 - of the format
        found["c_correction"] = stream.unpack("d")
        found["detector_type"] = _DETECTORS.get(stream.unpack("B"), "Unknown")
        found["spectrum_correction"] = stream.unpack("B")
    else:
        found["detector_type"] = "FastSDD_C2"
    return found


def _choices(stream: Stream, version: int) -> int:
    """Pass over elements and settings, and return the number of the analysis."""
    for _ in range(2):  # elements that are included, and excluded
        stream.skip(_count(stream))
    stream.skip(4 * _count(stream))  # channels of the background
    stream.skip(3 * _count(stream))  # oxides
    stream.skip(1)
    number: int = stream.unpack("i")
    stream.skip(2 * _count(stream))  # lines that were chosen
    if version >= 2:  # noqa: PLR2004 - of the format
        stream.skip(1)
    if version >= 4:  # noqa: PLR2004 - of the format
        stream.skip(_count(stream))
    return number


def _many_spectra(stream: Stream, version: int, tree: Mapping[str, Any], found: _Analysis) -> None:
    """Read a line or a map of spectra into an analysis.

    Parameters
    ----------
    stream, version
        Of the project.
    tree
        Of the image.
    found
        The analysis; its sum spectrum gives way to all of them.
    """
    stream.skip(32)  # where on the image
    if found.kind == _MAP:
        stream.skip(8 * _count(stream))  # colours
        columns, rows = _side(stream), _side(stream)
        places: tuple[int, ...] = (rows, columns)
    else:
        places = (_side(stream),)
    channels = _count(stream)
    stream.skip(16)  # start and width of the channels again
    times = {name: found.values[name] for name in ("live_time", "real_time")}
    found.values = _description(stream, version, tree) | times
    vary = stream.unpack("?"), stream.unpack("?")
    at = stream.at
    length = stream.skip_counts(math.prod(places) * channels)
    for varies in vary:
        stream.skip(8 * (math.prod(places) if varies else 1))
    if found.kind == _LINE:
        stream.skip(1)
    found.shape, found.counts = (*places, channels), (at, length)


def _side(stream: Stream) -> int:
    found = stream.number()
    if not 0 < found <= _LARGEST_SIDE:
        raise LimitExceededError(f"an analysis of the project claims {found} points along a side")
    return found


def _signal(path: Path, image: _Image, analysis: _Analysis) -> Signal:
    described = described_by_phenom(image.tree, image.shape[0] if image.shape else 0, None)
    own = ("pixel_width", "pixel_height", "detector_type", "acceleration_voltage", "frames")
    metadata = {name: value for name, value in described.metadata.items() if name not in own}
    for name, source, unit in _FIELDS:
        value = analysis.values.get(source)
        if isinstance(value, float) and math.isfinite(value) and (value or unit == "rad"):
            metadata[name] = (value, unit)
    if "detector_type" in analysis.values:
        metadata["detector_type"] = analysis.values["detector_type"]
    start, width = analysis.energies
    energy = energy_axis(analysis.shape[-1], width / 1000, start / 1000, "keV")
    axes = (*_places(image, analysis), energy)
    at, length = analysis.counts
    values = {f"phenom_eds_{name}": value for name, value in analysis.values.items()}
    return Signal(
        name=f"{image.label}, {analysis.title}",
        dataset_type="SpectrumImage" if len(axes) > 1 else "Spectrum",
        data_type="SEM_EDS",
        shape=analysis.shape,
        dtype="uint32",
        axes=axes,
        metadata=metadata | calibration(axes),
        extensions={**described.extensions, **dict(leaves(values))},
        warnings=tuple(name for name in described.warnings if name in metadata),
        acquired=described.acquired,
        pixels=lambda: read_counts(path, at, length).reshape(analysis.shape),
    )


def _places(image: _Image, analysis: _Analysis) -> Iterator[Axis]:
    """Yield the axes of a map, which spans the part of the image that was scanned; or of a line."""
    if analysis.kind == _LINE:
        yield Axis(name="point", size=analysis.shape[0], navigate=True)
    if analysis.kind != _MAP:
        return
    part = quantity(nested(image.tree)("acquisition/scan/scanScale"))
    side = (image.field_size or 0.0) * (part[0] if part else 1.0)
    for name, size in zip(("y", "x"), analysis.shape, strict=False):
        scale, unit = readable_length(side / size) if side > 0 else (1.0, "")
        yield Axis(name=name, size=size, scale=scale, unit=unit, navigate=True)
