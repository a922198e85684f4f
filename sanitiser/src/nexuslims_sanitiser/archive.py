"""Copies packed into one file, the same bytes for the same copies."""

import gzip
import tarfile
from collections.abc import Mapping
from pathlib import Path

from nexuslims_sanitiser.plan import SanitiseError

_PERMISSIONS = 0o644


def pack(copies: Mapping[Path, Path], archive: Path) -> Path:
    """Pack copies, by the files they were made of, and look into what was packed.

    Nothing of this machine enters it: no owner, no time but that of the last change of a file, and
    no hidden files.

    Parameters
    ----------
    copies
        The files to pack, with the files they were made of.
    archive
        The archive to write.

    Raises
    ------
    SanitiseError
        It holds something else than the copies, or is larger than the originals.
    """
    with (
        archive.open("xb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for copy in sorted(copies.values()):
            _add(tar, copy)
    _check(archive, copies)
    return archive


def _add(tar: tarfile.TarFile, copy: Path) -> None:
    facts = copy.stat()
    item = tarfile.TarInfo(copy.name)
    item.size, item.mtime, item.mode = facts.st_size, int(facts.st_mtime), _PERMISSIONS
    with copy.open("rb") as content:
        tar.addfile(item, content)


def _check(archive: Path, copies: Mapping[Path, Path]) -> None:
    with tarfile.open(archive) as tar:
        names = sorted(tar.getnames())
    if names != sorted(copy.name for copy in copies.values()):
        raise SanitiseError(f"the archive holds {', '.join(names)}")
    before, after = sum(path.stat().st_size for path in copies), archive.stat().st_size
    if after >= before:
        raise SanitiseError(f"the archive is larger than the original: {after} bytes of {before}")
