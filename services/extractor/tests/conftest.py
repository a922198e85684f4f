"""Files for the tests: real ones from the corpus, and small ones made here."""

import gzip
import json
import os
import struct
import tarfile
from pathlib import Path

import pytest
import tifffile

_BESIDE = Path(__file__).parents[3].parent / "shared" / "corpus"


def _corpus_folder():
    told = os.environ.get("NEXUSLIMS_CORPUS")
    folder = Path(told) if told else _BESIDE
    return folder if (folder / "MANIFEST.json").is_file() else None


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Unpack an entry of the corpus by id: ``corpus("dm3__EELS_STO.dm3")`` -> its primary file."""
    folder = _corpus_folder()
    if folder is None:
        pytest.fail("no corpus: run `make corpus`, or set NEXUSLIMS_CORPUS to its folder")
    entries = {e["id"]: e for e in json.loads((folder / "MANIFEST.json").read_text())["entries"]}
    root = tmp_path_factory.mktemp("corpus")

    def unpack(entry_id):
        entry = entries.get(entry_id)
        if entry is None:
            if os.environ.get("CI"):
                pytest.fail(f"{entry_id} is not in the corpus")
            pytest.skip(f"{entry_id} is only in the larger corpus")
        target = root / entry_id
        names = [member["name"] for member in entry["members"]]
        if not target.exists():
            for name, data in _members(folder, entry):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_bytes(data)
        return target / next(name for name in names if entry["primary"].endswith(name))

    return unpack


@pytest.fixture(scope="session")
def truth():
    """What independent readers say is in an entry of the corpus."""
    folder = _corpus_folder()

    def load(entry_id):
        return json.loads((folder / "truth" / f"{entry_id}.json").read_text())

    return load


def _members(folder, entry):
    """Yield name and bytes of each file of an entry, from plain files or one pass of an archive."""
    wanted = []
    for member in entry["members"]:
        if member.get("path"):
            data = (folder / member["path"]).read_bytes()
            gzipped = member.get("encoding") == "gzip"
            yield member["name"], gzip.decompress(data) if gzipped else data
        elif not tarfile.is_tarfile(folder / entry["stored"]):
            yield member["name"], (folder / entry["stored"]).read_bytes()
        else:
            wanted.append(member["name"])
    if not wanted:
        return
    with tarfile.open(folder / entry["stored"]) as archive:
        for item in archive:
            name = item.name.removeprefix("./")
            match = next((want for want in wanted if name.endswith(want)), None)
            if item.isfile() and match:
                yield match, archive.extractfile(item).read()


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


@pytest.fixture
def dm_file():
    """Return the builder of DM files."""
    return DmFile
