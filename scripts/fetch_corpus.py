"""``make corpus``: takes the real test files out of the incumbent's source distribution.

It is downloaded by pip from whatever index pip is set up for, checked, and only its data files are
unpacked: nothing of it is installed or run, except for the metadata step that pip insists on.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tests.corpus import MANIFEST, SESSION_ENTRY, cache_folder

REQUIREMENT = "nexusLIMS==2.8.0"
SHA256 = "3386580c6b2345aeca799be16d99b0ac8f236ae9965f0dd7ead7467e5fd88250"
_DATA = "tests/unit/files"
_SCHEMA = "nexusLIMS/schemas/nexus-experiment.xsd"
_SESSIONS = "test_record_files.tar.gz"
_NO_DATA = {".py", ".md"}


def main() -> int:
    """Fill the cache, unless it is filled."""
    target = cache_folder()
    if (target / MANIFEST).is_file():
        print(f"the corpus is in {target}")
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        sdist = download(Path(scratch))
        fresh = Path(scratch) / "corpus"
        unpack(sdist, fresh)
        document = {"set": "small", "entries": list(describe(fresh / "files"))}
        (fresh / MANIFEST).write_text(json.dumps(document, indent=1), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    print(f"{len(document['entries'])} entries are in {target}")
    return 0


def download(into: Path) -> Path:
    """Fetch the source distribution and make sure that it is the one we know."""
    command = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(into)]
    subprocess.run([sys.executable, "-m", "pip", *command, REQUIREMENT], check=True)
    (sdist,) = into.glob("*.tar.gz")
    found = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{sdist.name} has the SHA-256 {found}, not {SHA256}: it is another file")
    return sdist


def unpack(sdist: Path, into: Path) -> None:
    """Write the data files and the official schema, nothing else."""
    with tarfile.open(sdist) as archive:
        for item in archive:
            inside = PurePosixPath(item.name).relative_to(PurePosixPath(item.name).parts[0])
            if not item.isfile():
                continue
            if str(inside.parent) == _DATA and inside.suffix not in _NO_DATA:
                _write(archive, item, into / "files" / inside.name)
            elif str(inside) == _SCHEMA:
                _write(archive, item, into / "records" / "official-nexus-experiment.xsd")


def _write(archive: tarfile.TarFile, item: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    archive.makefile(item, target)


def describe(files: Path) -> Iterator[dict[str, Any]]:
    """Give each file its entry: with it go the files of the same folder that begin like it."""
    for file in sorted(files.iterdir()):
        stored = f"files/{file.name}"
        if not tarfile.is_tarfile(file):
            yield _entry([file.name], {"path": stored})
            continue
        members = sorted(_members(file))
        for name in members:
            stem = name.removesuffix(PurePosixPath(name).suffix)
            others = [other for other in members if other != name and other.startswith(stem)]
            yield {**_entry([name, *others]), "stored": stored}
        if file.name == _SESSIONS:
            tree = [name for name in members if name.startswith("Titan_TEM/")]
            yield {"id": SESSION_ENTRY, "members": [{"name": n} for n in tree], "stored": stored}


def _members(archive: Path) -> list[str]:
    """Files in an archive, without the companions that macOS adds."""
    with tarfile.open(archive) as stream:
        names = [item.name.removeprefix("./") for item in stream if item.isfile()]
    return [name for name in names if not PurePosixPath(name).name.startswith("._")]


def _entry(names: list[str], place: dict[str, str] | None = None) -> dict[str, Any]:
    """Describe a file and its companions; the id says no format, as nobody has looked inside."""
    primary = PurePosixPath(names[0])
    return {
        "id": f"{primary.suffix.removeprefix('.').lower()}__{primary.name.replace(' ', '_')}",
        "members": [{"name": name, **(place or {})} for name in names],
        "primary": names[0],
    }


if __name__ == "__main__":
    sys.exit(main())
