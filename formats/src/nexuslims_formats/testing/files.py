"""Small microscope files made from nothing, for the tests of readers and of what uses them."""

import builtins
import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

_FEI_TAG = 34682
_DM_NUMBERS = {3: "i", 5: "I", 6: "f", 7: "d"}


def write_fei_tiff(path: Path, pixels: "np.ndarray[Any, Any]", text: str) -> Path:
    """Write a TIFF with the section text of FEI microscopes.

    Parameters
    ----------
    path
        The file to write.
    pixels
        Rows and columns of one image.
    text
        Content of the vendor's tag: an INI file.
    """
    tag = (_FEI_TAG, "s", 0, text, True)
    tifffile.imwrite(path, pixels, photometric="minisblack", extratags=[tag], metadata=None)
    return path


class DmFile:
    """Builds DM3 and DM4 files of nested dicts; a value is ``(code, number)``, text or bytes.

    Parameters
    ----------
    version
        3 or 4.
    """

    def __init__(self, version: int = 3) -> None:
        self.count = ">I" if version == 3 else ">Q"
        self.version = version

    def bytes(self, tree: dict[str, Any]) -> bytes:
        """Return the file whose root group is ``tree``."""
        body = self._group(tree)
        size = struct.pack(self.count, len(body))
        return struct.pack(">I", self.version) + size + struct.pack(">I", 1) + body + bytes(8)

    def _group(self, tree: dict[str, Any]) -> "builtins.bytes":
        out = struct.pack(">BB", 1, 0) + struct.pack(self.count, len(tree))
        for name, value in tree.items():
            raw = name.encode("latin-1")
            group = isinstance(value, dict)
            body = self._group(value) if group else self._data(value)
            out += struct.pack(">BH", 20 if group else 21, len(raw)) + raw
            out += struct.pack(">Q", len(body)) if self.version == 4 else b""
            out += body
        return out

    def _data(self, value: Any) -> "builtins.bytes":
        if isinstance(value, str):
            raw = value.encode("utf-16-le")
            info: tuple[int, ...] = (20, 4, len(raw) // 2)
            payload = raw
        elif isinstance(value, bytes):
            info, payload = (20, 6, len(value) // 4), value
        else:
            code, number = value
            info = (code,)
            payload = struct.pack("<" + _DM_NUMBERS[code], number)
        head = struct.pack(self.count, len(info)) + b"".join(
            struct.pack(self.count, number) for number in info
        )
        return b"%%%%" + head + payload
