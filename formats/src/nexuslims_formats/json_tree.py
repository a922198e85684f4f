"""What artifacts of a file are called, and how a vendor's tree becomes JSON."""

import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from pydantic_core import to_json

from nexuslims_contracts.text import clean_text

_ASCII = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_BYTES_KEPT = 64
_NUMBERS_KEPT = 4096
_LONGEST_NAME: Final = 255
"""Bytes that a name may have on the usual file systems."""
_WHOLE: Final = frozenset((int, bool))
_FLOATS: Final = frozenset((float,))
_SEQUENCES: Final = (list, tuple, set, frozenset)
_AS_THEY_ARE: Final = frozenset((int, bool, type(None)))
_LONGEST_ENDING: Final = ".thumb.png"
_LONGEST_FOLDER: Final = 2048
"""Bytes; a path may have 4,096 with the data folder's own."""


def artifact_paths(relative: str, signals: int) -> list[tuple[str, str]]:
    """Return the metadata and preview path of each signal, in the incumbent's layout.

    Parameters
    ----------
    relative
        Path of the file below the data folder.
    signals
        How many datasets it has.

    Returns
    -------
    list
        Names that would be longer than a file's or folder's name may be are shortened, with a
        digest: bytes that are no UTF-8 take four times as many where they are written readably.
    """
    names = [""] if signals == 1 else [f"_signal{index}" for index in range(signals)]
    folder, slash, name = relative.rpartition("/")
    stem = _shortened_folder(folder) + slash
    stem += _shortened(name, len(f"{names[-1]}{_LONGEST_ENDING}"))
    return [(f"{stem}{name}.json", f"{stem}{name}{_LONGEST_ENDING}") for name in names]


def _shortened_folder(folder: str) -> str:
    """Return a path of folders whose names are not too long, nor all of them together."""
    shortened = "/".join(_shortened(name, 0) for name in folder.split("/"))
    if len(shortened.encode("utf-8", "surrogateescape")) <= _LONGEST_FOLDER:
        return shortened
    top, _, below = shortened.partition("/")
    return f"{top}/{_digest(below.encode('utf-8', 'surrogateescape'))}"


def _shortened(name: str, room: int) -> str:
    """Return a name that takes so many bytes more; a digest keeps shortened ones apart."""
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) + room <= _LONGEST_NAME:
        return name
    mark = f"-{_digest(raw)}"
    kept = raw[: _LONGEST_NAME - room - len(mark)].decode("utf-8", "ignore")
    return f"{kept}{mark}"


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]


def to_json_bytes(tree: Mapping[str, Any]) -> bytes:
    """Return a tree as JSON that any parser takes: see :func:`json_safe`."""
    return to_json(json_safe(tree), indent=1) + b"\n"


def json_safe(value: Any) -> Any:
    """Return a value without what JSON or XML cannot hold.

    Control characters and lone surrogates are dropped from texts, numbers that are not finite
    become the words ``NaN``, ``Infinity`` or ``-Infinity``, and bytes that are no text a short
    hexadecimal one. Of long lazy arrays the shape is told.
    """
    kind = type(value)
    if kind in _AS_THEY_ARE:  # the commonest first: a tree has a hundred thousand values
        return value
    if kind is dict:
        return {
            clean_text(str(key)): item if type(item) in _AS_THEY_ARE else json_safe(item)
            for key, item in value.items()
        }
    if kind is str or isinstance(value, str):
        return clean_text(value)
    if kind is list or isinstance(value, _SEQUENCES):
        return list(value) if _are_plain_numbers(value) else [json_safe(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else not_finite(value)
    if isinstance(value, Mapping):
        return json_safe(dict(value))
    return _odd_one(value)


def not_finite(number: float) -> str:
    """Return the word for a number that JSON cannot hold, as JavaScript writes it; else digits."""
    if math.isfinite(number):
        return str(number)
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _odd_one(value: Any) -> Any:
    """Return what is no text, number, list or tree as :func:`json_safe` does."""
    if isinstance(value, int):
        return value
    if isinstance(value, bytes | bytearray):
        return _text_or_hex(bytes(value))
    if is_dataclass(value):
        return {field.name: json_safe(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "compute"):  # dask's arrays
        is_small = getattr(value, "size", 0) <= _NUMBERS_KEPT
        return json_safe(value.compute()) if is_small else f"{value.dtype} array {value.shape}"
    if hasattr(value, "tolist"):  # numpy's scalars and small arrays
        return json_safe(value.tolist())
    return clean_text(str(value))


def _are_plain_numbers(values: Collection[Any]) -> bool:
    """Tell whether all are whole or finite numbers, at the price of one look at each."""
    if _WHOLE.issuperset(map(type, values)):
        return True
    # one that is not finite makes the sum so
    return _FLOATS.issuperset(map(type, values)) and math.isfinite(sum(values))


def _text_or_hex(value: bytes) -> str:
    text = value.rstrip(b"\0")
    if text and not text.translate(None, _ASCII):
        return text.decode("ascii")
    head = value[:_BYTES_KEPT].hex()
    return f"{head}... ({len(value)} bytes)" if len(value) > _BYTES_KEPT else head
