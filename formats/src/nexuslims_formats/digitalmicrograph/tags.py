"""The tag tree of Gatan DigitalMicrograph files, versions 3 and 4.

Only headers are read: pixels and arrays longer than :data:`ARRAY_BYTES` (look-up tables)
stay in the file and appear as :class:`ArrayRef`. Layout as described at
https://www.er-c.org/cbb/info/dmformat/ and checked against rosettasciio.
"""

import mmap
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError

PIXELS = "Data"
ARRAY_BYTES = 512
"""A longer array of numbers is data, such as a spectrum, and is not read with the tags."""
_MOST_INFO = 4096
MAX_TEXT_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_TAGS = 1_000_000

Tree: TypeAlias = dict[str, Any]

_GROUP, _DATA, _END = 20, 21, 0
_STRUCT, _STRING, _ARRAY = 15, 18, 20
_USHORT = 4
# encoded type -> struct code; all are in the byte order that the header names
_CODES = {
    2: "h", 3: "i", 4: "H", 5: "I", 6: "f", 7: "d", 8: "?", 9: "b", 10: "B", 11: "q", 12: "Q",
}  # fmt: skip


_compiled = lru_cache(256)(struct.Struct)
_TAG = struct.Struct(">BH")
"""Kind, and length of the name."""
_MARK = struct.Struct("4s")
"""Before the description of a value: ``%%%%``."""


@dataclass(frozen=True, slots=True)
class ArrayRef:
    """An array left in the file."""

    offset: int
    size: int
    """Bytes."""


class _Parser:
    """One pass over the bytes of a file."""

    def __init__(self, buffer: "mmap.mmap | bytes") -> None:
        self.buffer = buffer
        self.at = 0
        self.tags = 0
        self.wide = False
        self.order = "<"
        self.set_layout()

    def set_layout(self) -> None:
        """Lay out the counts, and plain values in the byte order: version 4 counts in 64 bits."""
        self.letter = "Q" if self.wide else "I"
        self.counted = _compiled(f">{self.letter}")
        self.plain = {kind: _compiled(self.order + code) for kind, code in _CODES.items()}

    def take(self, layout: struct.Struct) -> tuple[Any, ...]:
        values = layout.unpack_from(self.buffer, self.at)
        self.at += layout.size
        return values

    def count(self) -> int:
        return int(self.take(self.counted)[0])

    def header(self) -> int:
        version = self.count()
        if version not in (3, 4):
            raise UnreadableFileError(f"not a DigitalMicrograph 3 or 4 file: version {version}")
        self.wide = version == 4  # noqa: PLR2004 - the version number itself
        self.set_layout()
        self.count()  # the file's size, which sanitisers and editors leave wrong
        self.order = "<" if self.take(_compiled(">I"))[0] == 1 else ">"
        self.set_layout()
        return version

    def group(self, depth: int = 0) -> Tree:
        if depth > MAX_DEPTH:
            raise LimitExceededError(f"tags nested deeper than {MAX_DEPTH} levels")
        self.at += 2  # whether it is sorted, and open
        tree: Tree = {}
        unnamed = 0
        for _ in range(self.count()):
            kind, length = self.take(_TAG)
            if kind == _END:
                break
            name = bytes(self.buffer[self.at : self.at + length]).decode("latin-1")
            self.at += length
            if not name:
                name, unnamed = f"TagGroup{unnamed}", unnamed + 1
            self.tags += 1
            if self.tags > MAX_TAGS:
                raise LimitExceededError(f"more than {MAX_TAGS} tags")
            if self.wide:
                self.at += 8
            if kind == _GROUP:
                tree[name] = self.group(depth + 1)
            elif kind == _DATA:
                tree[name] = self.data(name)
            else:
                raise UnreadableFileError(f"unknown tag kind {kind} at byte {self.at}")
        return tree

    def data(self, name: str) -> Any:
        if self.take(_MARK)[0] != b"%%%%":
            raise UnreadableFileError(f"tag {name!r} is damaged at byte {self.at - 4}")
        length = self.count()
        if not 0 < length < _MOST_INFO:
            raise LimitExceededError(f"tag {name!r} describes itself with {length} numbers")
        info = self.take(_compiled(f">{length}{self.letter}"))
        if length == 1 and (plain := self.plain.get(info[0])):
            return self.take(plain)[0]
        return self.value(name, info)

    def value(self, name: str, info: tuple[int, ...]) -> Any:
        kind = info[0]
        if kind == _ARRAY:
            return self.array(name, info)
        if kind == _STRING and len(info) > 1:
            return self.text(info[1] * 2)
        values = self.take(_compiled(self.order + _layout(name, info)))
        return list(values) if kind == _STRUCT else values[0]

    def array(self, name: str, info: tuple[int, ...]) -> Any:
        length = info[-1]
        layout = _layout(name, info[1:-1])
        item = struct.calcsize(self.order + layout)
        if not item:
            raise UnreadableFileError(f"tag {name!r} is an array of nothing")
        size = item * length
        if self.at + size > len(self.buffer):
            raise UnreadableFileError(
                f"tag {name!r} ends at byte {self.at + size}, but the file has {len(self.buffer)}"
            )
        is_text = info[1] == _USHORT and name != PIXELS
        if name == PIXELS or size > (MAX_TEXT_BYTES if is_text else ARRAY_BYTES):
            reference = ArrayRef(self.at, size)
            self.at += size
            return reference
        if is_text:
            return self.text(size)
        packed = self.buffer[self.at : self.at + size]
        self.at += size
        if len(layout) == 1:
            return list(struct.unpack(f"{self.order}{length}{layout}", packed))
        return [list(item) for item in struct.iter_unpack(self.order + layout, packed)]

    def text(self, size: int) -> str:
        raw = bytes(self.buffer[self.at : self.at + size])
        self.at += size
        codec = "utf-16-le" if self.order == "<" else "utf-16-be"
        return raw.decode(codec, "replace").rstrip("\0")


def _layout(name: str, info: tuple[int, ...]) -> str:
    """Return the struct codes of a plain value, a struct, or an array's element."""
    try:
        if info[0] == _STRUCT:
            return "".join(_CODES[kind] for kind in info[4::2])
        if info[0] == _ARRAY:
            return f"{info[-1]}{_CODES[info[1]]}"
        return _CODES[info[0]]
    except (KeyError, IndexError):
        raise UnreadableFileError(f"tag {name!r} has the unknown type {info}") from None


def read_tags(path: Path) -> Tree:
    """Read the tag tree of a file, without its pixels.

    Parameters
    ----------
    path
        A ``.dm3`` or ``.dm4`` file.

    Returns
    -------
    dict
        Nested groups; unnamed members are called ``TagGroup0``, ``TagGroup1``, ...

    Raises
    ------
    UnreadableFileError
        The file is truncated, damaged, or no DigitalMicrograph file.
    LimitExceededError
        Its tags nest or count beyond any real file.
    """
    return _read(path)[0]


def end_of_tags(path: Path) -> int:
    """Return the first byte behind the tag tree of a file; errors as of :func:`read_tags`."""
    return _read(path)[1]


def _read(path: Path) -> tuple[Tree, int]:
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer,
    ):
        parser = _Parser(buffer)
        try:
            version = parser.header()
            tree = parser.group()
        except struct.error:
            raise UnreadableFileError(
                f"the file ends within its tags, at byte {parser.at}"
            ) from None
    tree["version"] = version
    tree["byte_order"] = parser.order
    return tree, parser.at
