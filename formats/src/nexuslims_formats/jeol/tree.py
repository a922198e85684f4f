"""The tree of names and values in which JEOL's Analysis Station keeps what it knows.

An entry is a mark (1), the length of its name, the name, a type, the length of its value and the
value; what follows up to its end (a mark of -1) stands below it. Texts are ASCII or Shift-JIS.

References
----------
The structure as HyperSpy's documentation of the format describes it, measured on real files.
"""

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import Moment

if TYPE_CHECKING:
    import numpy as np

_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - local time, as the file has it
_LATEST_DAY: Final = 110_000
"""In the year 2201."""
_BEGIN, _END = 1, -1
_NODE: Final = 0
_TYPES: Final = {
    1: "B", 2: "H", 3: "i", 4: "f", 5: "d", 6: "B", 7: "H", 8: "i", 9: "f", 10: "d", 11: "?",
    14: "H", 65552: "?", 65553: "?",
}  # fmt: skip
_TEXTS: Final = (12, 13, 20)
_CHOICE: Final = 14
_MOST_ENTRIES, _DEEPEST, _LONGEST_NAME = 100_000, 64, 1024
_KEPT_BYTES: Final = 4096
"""Of a value: what is longer is data, of which the place is kept."""
_PIXELS: Final = "Bits"
_BROKEN_NAMES: Final = {b"\xce\xdf\xb0\xc4": "Port"}
_LOST_BYTE: Final = b"\xde"


@dataclass(frozen=True, slots=True)
class DataPlace:
    """Where an array of the tree lies in its file."""

    offset: int
    size: int
    """In bytes."""
    kind: str
    """Of an item, as :mod:`struct` names it."""

    @property
    def count(self) -> int:
        """Return how many items it has."""
        return self.size // struct.calcsize(f"<{self.kind}")

    def read(self, path: Path) -> "np.ndarray":
        """Return its items."""
        import numpy as np  # noqa: PLC0415 - previews only

        return np.fromfile(path, f"<{self.kind}", self.count, offset=self.offset)


def read_tree(file: BinaryIO, start: int, size: int) -> dict[str, Any]:
    """Return a tree as nested dicts.

    Parameters
    ----------
    file
        Open for reading.
    start
        Where the mark of its first entry is.
    size
        Of the file: no value reaches beyond it.

    Raises
    ------
    UnreadableFileError
        The tree does not hold together.
    LimitExceededError
        It holds more than any real file.
    """
    root: dict[str, Any] = {}
    open_nodes: list[dict[str, Any]] = [root]
    file.seek(start)
    for _ in range(_MOST_ENTRIES):
        (mark,) = _unpacked(file, "<b")
        if mark == _BEGIN:
            open_nodes.append(_entry(file, open_nodes[-1], size))
            if len(open_nodes) > _DEEPEST:
                raise LimitExceededError(f"the tree is deeper than {_DEEPEST} levels")
        elif mark == _END and len(open_nodes) > 1:
            open_nodes.pop()
        elif len(open_nodes) == 1:
            return root
        else:
            raise UnreadableFileError(f"the tree is damaged at byte {file.tell()}")
    raise LimitExceededError(f"the tree holds more than {_MOST_ENTRIES} entries")


def _entry(file: BinaryIO, parent: dict[str, Any], size: int) -> dict[str, Any]:
    """Read an entry into its parent, and return where what stands below it goes."""
    (length,) = _unpacked(file, "<i")
    if not 0 < length <= _LONGEST_NAME:
        raise UnreadableFileError(f"the tree is damaged at byte {file.tell()}")
    name = _name(file.read(length))
    kind, length = _unpacked(file, "<2i")
    if length < 0 or file.tell() + length > size:
        raise UnreadableFileError(f"the file ends within the value of {name!r}")
    value = _value(file, kind, length, is_data=name == _PIXELS)
    below: dict[str, Any] = {}
    if name[-5:-1] == "PAGE":
        parent[f"{name}_{value}"] = below
    elif kind == _NODE:
        parent[name] = below
    elif name in ("CountRate", "DeadTime"):
        below["value"] = value
        parent[name] = below
    elif kind == _CHOICE:
        below["index"] = value
        parent[name] = below
    elif name != "Limits":
        parent[name] = value
    return below


def _value(file: BinaryIO, kind: int, length: int, *, is_data: bool) -> Any:
    """Return a value; of one that is data its place."""
    if kind in _TEXTS:
        if length > _KEPT_BYTES:
            file.seek(length, 1)
            return None
        parts = [text(part) for part in file.read(length).rstrip(b"\0").split(b"\0")]
        return parts[0] if len(parts) == 1 else parts
    code = _TYPES.get(kind)
    if code is None or is_data or length > _KEPT_BYTES:
        place = DataPlace(file.tell(), length, code or "B")
        file.seek(length, 1)
        return place if code else None
    count = length // struct.calcsize(f"<{code}")
    raw = file.read(length)
    values = [_shortest(one, code) for one in struct.unpack_from(f"<{count}{code}", raw)]
    return values[0] if count == 1 else values


def _shortest(value: Any, code: str) -> Any:
    """Return a number of single precision as its shortest decimal form."""
    return float(f"{value:.7g}") if code == "f" else value


def text(raw: bytes) -> str:
    """Return a text that ends at its first NUL; Shift-JIS where it is no UTF-8."""
    raw = raw.split(b"\0", 1)[0]
    return raw.decode("ascii") if raw.isascii() else decode(raw)[0]


def _name(raw: bytes) -> str:
    raw = raw.rstrip(b"\0")
    return _BROKEN_NAMES.get(raw) or text(raw.removesuffix(_LOST_BYTE))


def _unpacked(file: BinaryIO, form: str) -> tuple[Any, ...]:
    raw = file.read(struct.calcsize(form))
    if len(raw) < struct.calcsize(form):
        raise UnreadableFileError("the file ends within its tree")
    return struct.unpack(form, raw)


def moment_of(days: Any, source: str) -> Moment | None:
    """Return the local time of days since 1899-12-30; None where it is not set.

    Parameters
    ----------
    days
        As the file has them.
    source
        For people.
    """
    if not isinstance(days, int | float) or not 1 < days < _LATEST_DAY:
        return None
    return Moment(_EPOCH + timedelta(seconds=round(days * 86400)), source)
