"""Merlin of Quantum Detectors: a ``.mib`` of frames with a header each, and the ``.hdr`` beside.

References
----------
Fields of a frame's header as public readers have them: ``MQ1``, number, bytes of the header, chips,
width, height, kind of pixels, layout of the chips, chips in use, local time, shutter time in s;
behind ``MQ1A`` the time in UTC, the exposure in ns, and the depth of the counter in bits. ``R64``
are frames as the chips send them: 1, 8, 16 or 32 bits a pixel, in an order of the chips' own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_contracts.file_kinds import Companion
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError, UnsafeFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value
from nexuslims_formats.quantities import number, quantity
from nexuslims_formats.sidecars import is_usable, refuse_odd
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import numpy as np

_MAGIC: Final = b"MQ1,"
_EXTENSION: Final = "MQ1A"
_NAMES: Final = (
    "id", "frame", "offset", "chips", "width", "height", "pixels", "layout", "chips_in_use",
    "time", "shutter_time",
)  # fmt: skip
_HEADER_BYTES: Final = 1 << 12
_BITS: Final = {"U08": 8, "U16": 16, "U32": 32, "U64": 64}
_RAW: Final = "R64"
_RAW_BITS: Final = {"1": 1, "6": 8, "12": 16, "24": 32}
_MOST_PIXELS, _MOST_FRAMES = 1 << 28, 1 << 28
_LARGEST_HDR: Final = 1 << 16
_TIMED: Final = 1 << 12
"""Frames whose times tell how long a line of the scan is."""
_LATE: Final = 0.01
"""Of the frames within lines, those that may come as late as the first of a line."""


@dataclass(frozen=True, slots=True)
class Frames:
    """What the first frame's header tells of all."""

    offset: int
    width: int
    height: int
    bits: int
    is_raw: bool
    fields: Mapping[str, str]

    @property
    def step(self) -> int:
        """Bytes from frame to frame."""
        return self.offset + self.width * self.height * self.bits // 8


class MerlinExtractor:
    """Reads the header of a frame and the ``.hdr``; frames are mapped for previews only."""

    name = "merlin"
    version = "1.0"
    priority = 100
    extensions = ("mib",)
    companions = (Companion(ending=".hdr", of=extensions),)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the magic word."""
        del path
        return head.startswith(_MAGIC)

    def open(self, path: Path) -> ParsedFile:
        """Read what the first frame and the file beside it tell, and count the frames."""
        frames = read_frames(path)
        beside, problems = _read_hdr(path)
        held = path.stat().st_size // frames.step
        begun = -(-path.stat().st_size // frames.step)
        count = int(number(beside.get("Frames in Acquisition (Number)")) or 0) or begun
        if count > _MOST_FRAMES:
            raise LimitExceededError(f"the .hdr claims {count} frames")
        lines = _lines(path, frames, beside, count) if held >= count else ()
        scan = lines or ((count,) if count > 1 else ())
        shape = (*scan, frames.height, frames.width)
        missing = f"the file holds {held} of its {count} frames" if held < count else ""
        extensions = dict(leaves({"frame": dict(frames.fields), "hdr": beside}, "merlin"))
        signal = Signal(
            name=path.stem,
            dataset_type="Diffraction",
            data_type="Diffraction",
            shape=shape,
            dtype=f"uint{max(frames.bits, 8)}",
            axes=_axes(scan, frames),
            metadata=_metadata(frames, beside, scan),
            extensions=extensions,
            acquired=_acquired(frames),
            pixels=None if missing or frames.is_raw else lambda: _map(path, frames, shape),
            undrawn="raw frames are not decoded" if frames.is_raw else "",
            problems=(missing,) if missing else (),
        )
        native: dict[str, Any] = {"frame": dict(frames.fields), "hdr": beside}
        return ParsedFile(
            signals=[signal], native=native, reader=f"merlin {self.version}", problems=problems
        )


def read_frames(path: Path) -> Frames:
    """Read the header of the first frame, which is that of all.

    Raises
    ------
    UnreadableFileError
        It is damaged.
    """
    with path.open("rb") as file:
        words = file.read(_HEADER_BYTES).decode("latin-1").split(",")
    fields = dict(zip(_NAMES, (word.strip("\0 ") for word in words), strict=False))
    try:
        offset, width, height = (int(fields[name]) for name in ("offset", "width", "height"))
        kind = fields["pixels"]
    except (KeyError, ValueError):
        raise UnreadableFileError("the header of its first frame is damaged") from None
    if _EXTENSION in words:
        at = words.index(_EXTENSION)
        names = ("time_utc", "exposure", "depth")
        fields |= {
            name: word.strip("\0 ") for name, word in zip(names, words[at + 1 :], strict=False)
        }
    is_raw = kind == _RAW
    bits = _RAW_BITS.get(fields.get("depth", ""), 0) if is_raw else _BITS.get(kind, 0)
    if not bits or offset <= 0 or not 0 < width * height <= _MOST_PIXELS:
        raise UnreadableFileError(
            f"its first frame claims {width} x {height} pixels {kind} behind {offset} bytes"
        )
    return Frames(offset, width, height, bits, is_raw, fields)


def _read_hdr(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the lines of the ``.hdr`` beside a file, and why one that is there is not read."""
    for beside in (path.with_suffix(".hdr"), path.with_suffix(".HDR")):
        try:
            refuse_odd([beside])
            if not is_usable(beside) or beside.stat().st_size > _LARGEST_HDR:
                continue
            lines = decode(beside.read_bytes())[0].splitlines()
        except UnsafeFileError as error:
            return {}, (str(error),)
        except OSError as error:
            return {}, (f"{beside.name} beside it cannot be read: {error.strerror}",)
        pairs = (line.partition(":\t") for line in lines)
        return {name.strip(): value.strip() for name, between, value in pairs if between}, ()
    return {}, ()


def _lines(
    path: Path, frames: Frames, beside: Mapping[str, str], count: int
) -> tuple[int, int] | None:
    """Return lines and frames of each, by the trigger or by when frames came; None if unknown."""
    length = int(number(beside.get("Frames per Trigger (Number)")) or 0)
    if length <= 1:
        length = _line_by_times(path, frames, count)
    if length <= 1 or count % length or length == count:
        return None
    return count // length, length


def _line_by_times(path: Path, frames: Frames, count: int) -> int:
    """Return how many frames come before one is late, as the first of each line is; 0 if none."""
    times: list[int] = []
    with path.open("rb") as file:
        for index in range(min(count, _TIMED)):
            file.seek(index * frames.step)
            words = file.read(frames.offset).decode("latin-1").split(",")
            if _EXTENSION not in words[:-1]:
                return 0
            when = _nanoseconds(words[words.index(_EXTENSION) + 1])
            if when is None:
                return 0
            times.append(when)
    return _period([later - earlier for earlier, later in pairwise(times)])


def _period(waits: Sequence[int]) -> int:
    """Return after how many frames a wait is longer than the mean, if it is each time."""
    mean = sum(waits) / max(len(waits), 1)
    late = [wait > mean for wait in waits]
    if True not in late:
        return 0
    period = late.index(True) + 1
    ends = late[period - 1 :: period]
    others = sum(late) - sum(ends)
    return period if all(ends) and others <= len(waits) * _LATE else 0


def _nanoseconds(text: str) -> int | None:
    """Return when a frame came, in ns, which a datetime does not have."""
    whole, _, part = text.strip("Z\0 ").partition(".")
    try:
        seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
        return seconds * 10**9 + int(part.ljust(9, "0")[:9])
    except ValueError:
        return None


def _axes(scan: Sequence[int], frames: Frames) -> tuple[Axis, ...]:
    names = ("frame",) if len(scan) == 1 else ("scan_y", "scan_x")
    steps = [
        Axis(name=name, size=size, navigate=True)
        for name, size in zip(names, scan, strict=bool(scan))
    ]
    height = Axis(name="height", size=frames.height)
    return (*steps, height, Axis(name="width", size=frames.width))


def _metadata(frames: Frames, beside: Mapping[str, str], scan: Sequence[int]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    exposure = quantity(frames.fields.get("exposure")) or quantity(
        frames.fields.get("shutter_time"), "s"
    )
    if exposure:
        found["exposure_time"] = exposure
        if scan:
            found["dwell_time"] = exposure
    for name, line in (("software", "Software Version"), ("acquisition_device", "Readout System")):
        if text := beside.get(line):
            found[name] = text
    return found


def _acquired(frames: Frames) -> Moment | None:
    return first_moment(
        moment("frame header, UTC", frames.fields.get("time_utc")),
        moment("frame header", frames.fields.get("time")),
    )


def _map(path: Path, frames: Frames, shape: tuple[int, ...]) -> "np.ndarray":
    """Map the frames, the lowest line of the detector last."""
    import numpy as np  # noqa: PLC0415 - previews only

    pixels = (f">u{frames.bits // 8}", (frames.height, frames.width))
    kind = np.dtype([("head", "V", frames.offset), ("data", *pixels)])
    count = math.prod(shape[:-2])
    mapped = np.memmap(path, kind, "r", shape=(count,))["data"]
    return mapped.reshape(shape)[..., ::-1, :]
