"""What artifacts of a file are called, and how a vendor's tree becomes JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nexuslims_contracts.text import clean_text

_ASCII = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_BYTES_KEPT = 64
_NUMBERS_KEPT = 4096


def artifact_paths(relative: str, signals: int) -> list[tuple[str, str]]:
    """Return the metadata and preview path of each signal, in the incumbent's layout.

    Parameters
    ----------
    relative
        Path of the file below the data folder.
    signals
        How many datasets it has.
    """
    if signals == 1:
        return [(f"{relative}.json", f"{relative}.thumb.png")]
    stem = [f"{relative}_signal{index}" for index in range(signals)]
    return [(f"{name}.json", f"{name}.thumb.png") for name in stem]


def to_json_bytes(tree: Mapping[str, Any]) -> bytes:
    """Return a tree as JSON that any parser takes: see :func:`json_safe`."""
    text = json.dumps(json_safe(tree), ensure_ascii=False, indent=1, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def json_safe(value: Any) -> Any:
    """Return a value without what JSON or XML cannot hold.

    Control characters and lone surrogates are dropped from texts, non-finite numbers become null,
    and bytes that are no text a short hexadecimal one. Of long lazy arrays the shape is told.
    """
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean_text(str(key)): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_safe(item) for item in value]
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


def _text_or_hex(value: bytes) -> str:
    text = value.rstrip(b"\0")
    if text and not text.translate(None, _ASCII):
        return text.decode("ascii")
    head = value[:_BYTES_KEPT].hex()
    return f"{head}... ({len(value)} bytes)" if len(value) > _BYTES_KEPT else head
