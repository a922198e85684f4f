"""Where everything lies in a TIFF or BigTIFF file, and which numbers in it say where."""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.tiff import tags
from nexuslims_formats.tiff.sis import SIS_TAG
from nexuslims_sanitiser.plan import Span

_DIRECTORIES = (tags.SUB_DIRECTORIES, tags.EXIF, tags.GPS, tags.INTEROPERABILITY)
_OFFSET_KINDS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SEPARATE_PLANES = 2
_SUBSAMPLING = 530
_IMAGE_DEPTH = 32997
_MAX_RUNS = 1 << 22


@dataclass(frozen=True, slots=True)
class Number:
    """A number in the file that says where something lies, or how long it is."""

    at: int
    code: str
    value: int


@dataclass(frozen=True, slots=True)
class Run:
    """A strip, a tile or an embedded thumbnail: ``samples`` are bytes once unpacked."""

    span: Span
    length: Number | None
    rows: int
    columns: int
    samples: int
    bits: int
    compression: int
    photometric: int = 1
    subsampling: tuple[int, ...] = (2, 2)

    @property
    def unpacked(self) -> int:
        """Bytes of the run without compression; rows end at a whole byte."""
        return self.rows * -(-self.columns * self.bits // 8)


@dataclass(frozen=True, slots=True)
class TagValue:
    """A value outside of its directory: the tag's number, its TIFF type, and its bytes' place."""

    directory: int
    tag: int
    kind: int
    span: Span


@dataclass(slots=True)
class Layout:
    """The directories as bytes: what a copy must keep, and the numbers that move with the data."""

    order: str
    structure: list[Span] = field(default_factory=list)
    pointers: list[Number] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    values: list[TagValue] = field(default_factory=list)
    """The values that lie outside of their directory, which may hold images of their own."""
    sis_blocks: set[int] = field(default_factory=set)
    """Where tags point to a block of SIS, which no tag has the length of."""
    surplus: list[Span] = field(default_factory=list)
    """Places and lengths of more strips than the image has."""


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    value_at: int

    @property
    def size(self) -> int:
        return self.count * tags.SIZES.get(self.kind, 0)


def read_layout(path: Path) -> Layout:
    """Read every directory of a file, also those that private and standard tags refer to.

    Raises
    ------
    UnreadableFileError
        The file is truncated within a directory, or no TIFF.
    LimitExceededError
        It claims more than any real file has.
    """
    with path.open("rb") as file:
        head = file.read(16)
        if not tags.is_tiff(head):
            raise UnreadableFileError("the file is named like a TIFF but does not start like one")
        walker = _Walker(file, "<" if head[:2] == b"II" else ">", big=b"+" in head[2:4])
        try:
            walker.walk()
        except struct.error:
            raise UnreadableFileError("the file ends within its TIFF directory") from None
    return walker.layout


class _Walker:
    def __init__(self, file: BinaryIO, order: str, *, big: bool) -> None:
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.big = big
        self.word = "Q" if big else "I"
        self.layout = Layout(order)

    def take(self, code: str, at: int) -> tuple[int, ...]:
        self.file.seek(at)
        code = self.layout.order + code
        return struct.unpack(code, self.file.read(struct.calcsize(code)))

    def pointer(self, at: int, code: str) -> int:
        (value,) = self.take(code, at)
        if value:
            self.layout.pointers.append(Number(at, code, value))
        return value

    def walk(self) -> None:
        head = 16 if self.big else 8
        self.layout.structure.append(Span(0, head))
        following = self.pointer(8 if self.big else 4, self.word)
        seen: set[int] = set()
        while 0 < following < self.size:
            if following in seen:
                raise LimitExceededError("a TIFF directory refers back to itself")
            referred, following = self.directory(following, seen)
            while referred:
                # those of pages below pages; several may share one
                at = referred.pop()
                if at not in seen and at < self.size:
                    referred += self.directory(at, seen)[0]

    def directory(self, at: int, seen: set[int]) -> tuple[list[int], int]:
        """Note a directory; return where those are that its tags refer to, and the next one."""
        if len(seen) >= tags.MAX_PAGES:
            raise LimitExceededError(f"more than {tags.MAX_PAGES} TIFF directories")
        seen.add(at)
        count_code, entry_size = ("Q", 20) if self.big else ("H", 12)
        (count,) = self.take(count_code, at)
        if count > tags.MAX_TAGS:
            raise LimitExceededError(f"a TIFF directory claims {count} tags")
        start = at + struct.calcsize("=" + count_code)
        end = start + count * entry_size
        width = struct.calcsize("=" + self.word)
        self.layout.structure.append(Span(at, min(end + width, self.size) - at))
        entries: dict[int, _Entry] = {}
        for index in range(count):
            code, entry = self.entry(start + index * entry_size, at)
            entries.setdefault(code, entry)
        self.data(entries)
        referred = [value for code in _DIRECTORIES for value in self.targets(entries.get(code))]
        return referred, self.pointer(end, self.word) if end + width <= self.size else 0

    def entry(self, at: int, directory: int) -> tuple[int, _Entry]:
        code, kind = self.take("HH", at)
        (count,) = self.take(self.word, at + 4)
        field_at = at + (12 if self.big else 8)
        size = count * tags.SIZES.get(kind, 0)
        if size <= (8 if self.big else 4):
            return code, _Entry(kind, count, field_at)
        value_at = self.pointer(field_at, self.word)
        if value_at < self.size:
            span = Span(value_at, min(size, self.size - value_at))
            self.layout.structure.append(span)
            self.layout.values.append(TagValue(directory, code, kind, span))
        return code, _Entry(kind, count, value_at)

    def numbers(self, entry: _Entry | None) -> list[Number]:
        """Return the numbers of a tag with their places."""
        if entry is None or entry.kind not in _OFFSET_KINDS:
            return []
        if entry.count > _MAX_RUNS:
            raise LimitExceededError(f"a TIFF tag claims {entry.count} numbers")
        code = _OFFSET_KINDS[entry.kind]
        width = struct.calcsize("=" + code)
        values = self.take(f"{entry.count}{code}", entry.value_at)
        return [Number(entry.value_at + n * width, code, value) for n, value in enumerate(values)]

    def targets(self, entry: _Entry | None) -> list[int]:
        found = [number for number in self.numbers(entry) if number.value]
        self.layout.pointers += found
        return [number.value for number in found]

    def number(self, entries: dict[int, _Entry], code: int, default: int) -> int:
        found = self.numbers(entries.get(code))
        return found[0].value if found else default

    def data(self, entries: dict[int, _Entry]) -> None:
        """Note the strips or tiles of a page, and the thumbnail that Exif keeps as a JPEG."""
        compression = self.number(entries, tags.COMPRESSION, 1)
        photometric = self.number(entries, tags.PHOTOMETRIC, 1)
        self.layout.sis_blocks |= {number.value for number in self.numbers(entries.get(SIS_TAG))}
        offsets = self.numbers(entries.get(tags.TILE_OFFSETS) or entries.get(tags.STRIP_OFFSETS))
        lengths = self.numbers(entries.get(tags.TILE_BYTES) or entries.get(tags.STRIP_BYTES))
        most = self.expected(entries)
        self.layout.surplus += _places([*offsets[most:], *lengths[min(most, len(offsets)) :]])
        self.layout.pointers += [number for number in offsets[:most] if number.value]
        halved = tuple(number.value for number in self.numbers(entries.get(_SUBSAMPLING)))
        offsets = offsets[:most]  # what lies at the others is as bytes that nothing accounts for
        shapes = self.shapes(entries, len(offsets))
        for index, (offset, shape) in enumerate(zip(offsets, shapes, strict=True)):
            length = lengths[index] if index < len(lengths) else None
            held = length.value if length else 0
            run = Run(
                Span(offset.value, held), length, *shape, compression, photometric, halved or (2, 2)
            )
            if not held and compression == 1:
                run = replace(run, span=Span(offset.value, run.unpacked))
            self.layout.runs.append(run)
        thumbnail = self.numbers(entries.get(tags.JPEG_OFFSET))
        if thumbnail and thumbnail[0].value:
            self.layout.pointers.append(thumbnail[0])
            size = self.number(entries, tags.JPEG_BYTES, 0)
            self.layout.runs.append(Run(Span(thumbnail[0].value, size), None, 1, size, 1, 8, 1))

    def expected(self, entries: dict[int, _Entry]) -> int:
        """Return how many strips or tiles an image of its size has at the most."""
        planes = 1
        if self.number(entries, tags.PLANAR, 1) == _SEPARATE_PLANES:
            planes = self.number(entries, tags.SAMPLES, 1)
        width, height = (self.number(entries, code, 0) for code in (tags.WIDTH, tags.HEIGHT))
        if tags.TILE_OFFSETS in entries:
            columns = self.number(entries, tags.TILE_WIDTH, 0) or 1
            rows = self.number(entries, tags.TILE_LENGTH, 0) or 1
            depth = self.number(entries, _IMAGE_DEPTH, 1)
            return -(-width // columns) * -(-height // rows) * planes * depth
        rows = self.number(entries, tags.ROWS_PER_STRIP, height) or 1
        return max(1, -(-height // rows)) * planes

    def shapes(self, entries: dict[int, _Entry], count: int) -> Sequence[tuple[int, int, int, int]]:
        """Return rows, columns, samples and bits per pixel of each strip or tile."""
        depths = [number.value for number in self.numbers(entries.get(tags.BITS))] or [1]
        samples = self.number(entries, tags.SAMPLES, 1)
        if self.number(entries, tags.PLANAR, 1) == _SEPARATE_PLANES:
            samples, bits = 1, depths[0]
        else:
            bits = sum(depths) if len(depths) == samples else depths[0] * samples
        width, height = (self.number(entries, code, 0) for code in (tags.WIDTH, tags.HEIGHT))
        if tags.TILE_OFFSETS in entries:
            size = (
                self.number(entries, tags.TILE_LENGTH, 0),
                self.number(entries, tags.TILE_WIDTH, 0),
            )
            return [(*size, samples, bits)] * count
        rows = min(self.number(entries, tags.ROWS_PER_STRIP, height), height) or 1
        strips = max(1, -(-height // rows))
        return [
            (min(rows, height - index % strips * rows), width, samples, bits)
            for index in range(count)
        ]


def _places(numbers: Sequence[Number]) -> list[Span]:
    return [Span(number.at, struct.calcsize("=" + number.code)) for number in numbers]
