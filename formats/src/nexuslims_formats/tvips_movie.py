"""Movies of TVIPS cameras (``.tvips``): frames with a header each, in a file or in several.

References
----------
The two headers as HyperSpy's reader and tvipsconverter know them: sizes of pixels in nm, or in 1/nm
where the projector showed patterns (mode 2); times in seconds since 1970 and ms. Frames of the
first version have their number and time only. The stage is taken to be in mm, as HyperSpy does. Of
``NAME_000.tvips``, ``NAME_001.tvips`` and so on only the first has the main header.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_contracts.text import printable
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError, UnsupportedFileError
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value
from nexuslims_formats.times import from_unix
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import numpy as np

_HEADER: Final = struct.Struct("<13I")
_NAMES: Final = (
    "size", "version", "columns", "rows", "bits_per_pixel", "offset_x", "offset_y", "binning_x",
    "binning_y", "pixel_size", "high_tension", "magnification", "frame_header_bytes",
)  # fmt: skip
_FRAME: Final = struct.Struct("<4If2I5fI2f")
_FRAME_NAMES: Final = (
    "number", "seconds", "milliseconds", "table", "beam_current", "magnification", "mode", "x", "y",
    "z", "alpha", "beta", "rotator", "temperature", "objective",
)  # fmt: skip
_SHORT_FRAME: Final = 12
_OLD: Final = 1
_DIFFRACTION: Final = 2
_LARGEST_HEADER, _LARGEST_SIDE, _LARGEST_FRAME_HEADER = 1 << 16, 1 << 15, 1 << 16
_TIMED: Final = 1024
"""Frames of which the times tell the step."""
_MOST_PARTS: Final = 1000
_KILOVOLTS: Final = 2000
"""What is above is in V."""
_NUMBERED: Final = re.compile(r"(.+)_(\d{3})(\.tvips)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Movie:
    """What the main header tells, and the files with their first byte and number of frames."""

    header: Mapping[str, int]
    parts: tuple[tuple[Path, int, int], ...]
    problems: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        return (sum(n for *_, n in self.parts), self.header["rows"], self.header["columns"])


class TvipsMovieExtractor:
    """Reads the main header and those of some frames; the pixels are mapped for previews only."""

    name = "tvips_movie"
    version = "1.0"
    priority = 60
    extensions = ("tvips",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the ending, and by a main header; the further files of a movie have none."""
        if path.suffix.lower() != ".tvips":
            return False
        part = _NUMBERED.fullmatch(path.name)
        return _is_header(head) or (part is not None and int(part[2]) > 0)

    def open(self, path: Path) -> ParsedFile:
        """Read the headers, and the sizes of all files of the movie."""
        movie = _movie(path)
        with path.open("rb") as file:
            frames = list(_frames(file, movie))
        first: Mapping[str, Any] = frames[0] if frames else {}
        is_pattern = first.get("mode") == _DIFFRACTION
        when = from_unix(first["seconds"] + first["milliseconds"] / 1000) if first else None
        native = {"header": dict(movie.header), "first_frame": dict(first)}
        signal = Signal(
            name=path.stem,
            dataset_type="Diffraction" if is_pattern else "Image",
            data_type="TEM_Diffraction" if is_pattern else "TEM_Imaging",
            shape=movie.shape,
            dtype=f"uint{movie.header['bits_per_pixel']}",
            axes=(_time_axis(frames, movie.shape[0]), *_plane(movie.header, is_pattern=is_pattern)),
            metadata=dict(_metadata(movie.header, first)),
            extensions=dict(leaves(native, "tvips")),
            acquired=Moment(when, "header of the first frame") if when else None,
            pixels=lambda: _pixels(movie),
            problems=movie.problems,
            doubts=tuple(_doubts(movie.header, first)),
        )
        return ParsedFile(signals=[signal], native=native, reader=f"tvips {self.version}")


def _is_header(head: bytes) -> bool:
    if len(head) < _HEADER.size:
        return False
    found = dict(zip(_NAMES, _HEADER.unpack_from(head), strict=True))
    return (
        _HEADER.size <= found["size"] <= _LARGEST_HEADER
        and found["version"] in (1, 2)
        and all(0 < found[side] <= _LARGEST_SIDE for side in ("rows", "columns"))
        and found["bits_per_pixel"] in (8, 16, 32)
    )


def _movie(path: Path) -> _Movie:
    part = _NUMBERED.fullmatch(path.name)
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
    if not _is_header(head):
        if part is None:
            raise UnreadableFileError("the main header tells no movie")
        first = printable(f"{part[1]}_000{part[3]}")
        raise UnsupportedFileError(f"a part of the movie of which {first} is the first")
    header = dict(zip(_NAMES, _HEADER.unpack(head), strict=True))
    if header["version"] == _OLD:
        header["frame_header_bytes"] = _SHORT_FRAME
    if not _SHORT_FRAME <= header["frame_header_bytes"] <= _LARGEST_FRAME_HEADER:
        raise LimitExceededError(
            f"the movie claims headers of {header['frame_header_bytes']} bytes for its frames"
        )
    parts, problems = [], []
    for number, file_path in enumerate(_files(path)):
        start = 0 if number else header["size"]
        count, rest = divmod(max(file_path.stat().st_size - start, 0), _record(header))
        parts.append((file_path, start, count))
        if rest:
            problems.append(f"{printable(file_path.name)} ends within its frame {count + 1}")
    if not sum(count for *_, count in parts):
        raise UnreadableFileError("the movie holds no whole frame")
    return _Movie(header, tuple(parts), tuple(problems))


def _files(path: Path) -> Iterator[Path]:
    """Yield the first file of a movie, and those that follow it."""
    yield path
    part = _NUMBERED.fullmatch(path.name)
    for number in range(1, _MOST_PARTS if part and int(part[2]) == 0 else 0):
        following = path.with_name(f"{part[1]}_{number:03d}{part[3]}") if part else path
        if not following.is_file():
            return
        yield following


def _record(header: Mapping[str, int]) -> int:
    """Return the bytes of a frame with its header."""
    pixels = header["rows"] * header["columns"] * header["bits_per_pixel"] // 8
    return header["frame_header_bytes"] + pixels


def _frames(file: Any, movie: _Movie) -> Iterator[dict[str, Any]]:
    """Yield the headers of the first frames."""
    _, start, count = movie.parts[0]
    is_short = movie.header["frame_header_bytes"] < _FRAME.size
    form = struct.Struct("<3I") if is_short else _FRAME
    for number in range(min(count, _TIMED)):
        file.seek(start + number * _record(movie.header))
        yield dict(zip(_FRAME_NAMES, form.unpack(file.read(form.size)), strict=False))


def _time_axis(frames: list[dict[str, Any]], size: int) -> Axis:
    """Return the axis of the frames, in seconds since the first where their times tell a step."""
    times = [frame["seconds"] * 1000 + frame["milliseconds"] for frame in frames]
    steps = [after - before for before, after in pairwise(times)]
    step = median(steps) / 1000 if steps else 0.0
    if step <= 0:
        return Axis(name="frame", size=size, navigate=True)
    return Axis(name="time", size=size, scale=step, unit="s", navigate=True)


def _plane(header: Mapping[str, int], *, is_pattern: bool) -> Iterator[Axis]:
    scale, unit = (float(header["pixel_size"]), "1/nm" if is_pattern else "nm")
    if not scale:
        scale, unit = 1.0, ""
    for name, side, offset in (("dy", "rows", "offset_y"), ("dx", "columns", "offset_x")):
        start = float(header[offset])
        yield Axis(name=name, size=header[side], scale=scale, offset=start, unit=unit)


def _metadata(header: Mapping[str, int], first: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    volts = float(header["high_tension"])
    if volts:
        yield "acceleration_voltage", (volts, "V" if volts > _KILOVOLTS else "kV")
    if header["magnification"]:
        yield "magnification", (float(header["magnification"]), "x")
    if header["binning_x"] and header["binning_y"]:
        yield "binning", f"{header['binning_x']} x {header['binning_y']}"
    if first.get("beam_current"):
        yield "beam_current", (float(first["beam_current"]), "nA")
    for name, unit in (("x", "mm"), ("y", "mm"), ("z", "mm"), ("alpha", "degree"),
                       ("beta", "degree")):  # fmt: skip
        if name in first:
            yield f"stage_{name}", (float(first[name]), unit)


def _doubts(header: Mapping[str, int], first: Mapping[str, Any]) -> Iterator[str]:
    if first.get("mode") == _DIFFRACTION and header["magnification"]:
        yield "the magnification of a movie of patterns may be their camera length"
    if any(first.get(name) for name in "xyz"):
        yield "the stage is taken to be in mm: the file does not tell its unit"


def _pixels(movie: _Movie) -> "np.ndarray":
    """Map the frames; those of several files as one array that is read where it is asked for."""
    import numpy as np  # noqa: PLC0415 - previews only

    header = movie.header
    record = np.dtype(
        [("head", f"V{header['frame_header_bytes']}"),
         ("pixels", f"<u{header['bits_per_pixel'] // 8}", (header["rows"], header["columns"]))]
    )  # fmt: skip
    held = [part for part in movie.parts if part[2]]
    mapped = [
        np.memmap(path, record, "r", offset=start, shape=(count,))["pixels"]
        for path, start, count in held
    ]
    if len(mapped) == 1:
        only: np.ndarray = mapped[0]
        return only
    from dask import array  # noqa: PLC0415 - movies of several files only

    one_after_another: Any = array
    whole: np.ndarray = one_after_another.concatenate(list(map(array.from_array, mapped)))
    return whole
