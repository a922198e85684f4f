"""Small files for the tests, made here; the real ones are the root conftest's."""

import logging
import struct
from collections.abc import Iterator

import pytest
import tifffile


@pytest.fixture(autouse=True)
def _as_quiet_as_before() -> Iterator[None]:
    """Take back what the command line does to logging."""
    ours = logging.getLogger("nexuslims_extractor")
    level = ours.level
    yield
    ours.setLevel(level)


@pytest.fixture
def fei_tiff(tmp_path):
    """Write a TIFF with FEI's section text: ``fei_tiff("name.tif", pixels, text)``."""

    def write(name, pixels, text):
        path = tmp_path / name
        tag = (34682, "s", 0, text, True)
        tifffile.imwrite(path, pixels, photometric="minisblack", extratags=[tag], metadata=None)
        return path

    return write


class DmFile:
    """Builds DM3 and DM4 files of nested dicts; a value is ``(code, number)``, text or bytes."""

    def __init__(self, version=3):
        self.count = ">I" if version == 3 else ">Q"
        self.version = version

    def bytes(self, tree):
        body = self.group(tree)
        size = struct.pack(self.count, len(body))
        return struct.pack(">I", self.version) + size + struct.pack(">I", 1) + body + bytes(8)

    def group(self, tree):
        out = struct.pack(">BB", 1, 0) + struct.pack(self.count, len(tree))
        for name, value in tree.items():
            raw = name.encode("latin-1")
            group = isinstance(value, dict)
            body = self.group(value) if group else self.data(value)
            out += struct.pack(">BH", 20 if group else 21, len(raw)) + raw
            out += struct.pack(">Q", len(body)) if self.version == 4 else b""
            out += body
        return out

    def data(self, value):
        if isinstance(value, str):
            raw = value.encode("utf-16-le")
            info, payload = (20, 4, len(raw) // 2), raw
        elif isinstance(value, bytes):
            info, payload = (20, 6, len(value) // 4), value
        else:
            code, number = value
            info = (code,)
            payload = struct.pack("<" + {3: "i", 5: "I", 6: "f", 7: "d"}[code], number)
        head = struct.pack(self.count, len(info)) + b"".join(
            struct.pack(self.count, number) for number in info
        )
        return b"%%%%" + head + payload


@pytest.fixture(scope="session")
def dm_file():
    """Return the builder of DM files."""
    return DmFile
