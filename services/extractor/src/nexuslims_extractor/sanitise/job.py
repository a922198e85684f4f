"""One file in, a checked copy out, or nothing: what fails leaves no copy behind."""

import gzip
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nexuslims_extractor.sanitise.check import check_copy, name_in, replaced, told
from nexuslims_extractor.sanitise.formats import recognise
from nexuslims_extractor.sanitise.plan import SanitiseError, write_copy
from nexuslims_extractor.sanitise.scrub import scrub, words_of

MARK = "_dataZeroed"
_SIDECARS = (".hdr", ".txt")
_SERIES = re.compile(r"^(?P<stem>.+)(?P<number>_\d+)$")


@dataclass(frozen=True, slots=True)
class Sanitised:
    """What was made of a file."""

    source: Path
    written: tuple[Path, ...]
    """The copy and those of the files that belong to it, or the archive of them."""
    scrubbed: int = 0
    """How many words were replaced."""


def sanitise(
    source: Path, out: Path, *, scrub_fields: Sequence[str] = (), archive: bool = False
) -> Sanitised:
    """Write a copy of a file without its data, check it, and only then leave it in ``out``.

    Parameters
    ----------
    source
        The file; it is only read.
    out
        The folder for the copy, ``NAME_dataZeroed.EXT``; made if it is missing.
    scrub_fields
        Metadata to write over, see :func:`nexuslims_extractor.sanitise.scrub.words_of`.
    archive
        Whether to pack the copies as ``NAME_dataZeroed.tar.gz`` instead.

    Raises
    ------
    SanitiseError
        The format is none of ours, or the copy is not what it should be.
    ExtractorError
        The file is too damaged to be understood.
    OSError
        It cannot be read, or the copy not be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    members = _members(source)
    words = words_of(told(source), scrub_fields) if scrub_fields else {}
    with tempfile.TemporaryDirectory(dir=out, prefix=".sanitise-") as text:
        copies = {member: Path(text) / zeroed_name(member) for member in members}
        scrubbed = sum(_copy(member, copy, words) for member, copy in copies.items())
        for member, copy in copies.items():
            if not _is_sidecar(member):
                check_copy(member, copy, recognise(member), replaced(told(member), words))
        made = list(copies.values())
        if archive:
            made = [_packed(copies, Path(text) / f"{name_in(copies[source])}.tar.gz")]
        return Sanitised(source, tuple(_moved(path, out) for path in made), scrubbed)


def zeroed_name(path: Path) -> str:
    """Return the name of a copy; the number of a series stays at its end, as TIA wants it."""
    if MARK in path.stem:
        return path.name
    match = _SERIES.match(path.stem) if path.suffix.lower() == ".ser" else None
    if match:
        return f"{match['stem']}{MARK}{match['number']}{path.suffix}"
    return f"{path.stem}{MARK}{path.suffix}"


def _members(source: Path) -> list[Path]:
    """Return a file and those that belong to it: a series' description, a TIFF's header file."""
    if not source.is_file():
        raise SanitiseError("no such file")
    beside = sorted(source.parent.iterdir())
    suffix, stem = source.suffix.lower(), name_in(source)
    if suffix in (".emi", ".ser"):
        related = [
            path
            for path in beside
            if path.suffix.lower() in (".emi", ".ser") and name_in(path) == stem
        ]
        wanted = [path for path in related if suffix == ".emi" or path.suffix.lower() == ".emi"]
        return [source, *(path for path in wanted if path != source)]
    return [source, *(path for path in beside if _is_sidecar(path) and path.stem == source.stem)]


def _is_sidecar(path: Path) -> bool:
    return path.suffix.lower() in _SIDECARS


def _copy(member: Path, copy: Path, words: Mapping[str, str]) -> int:
    if _is_sidecar(member):
        shutil.copyfile(member, copy)
    else:
        write_copy(recognise(member).plan(member), member, copy)
    count = scrub(copy, words) if words else 0
    # files that tell no time of acquisition are dated by their last change
    facts = member.stat()
    os.utime(copy, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    return count


def _packed(copies: Mapping[Path, Path], archive: Path) -> Path:
    """Pack copies so that the same ones give the same bytes, and look into what was packed."""
    with (
        archive.open("xb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for copy in sorted(copies.values()):
            facts = copy.stat()
            item = tarfile.TarInfo(copy.name)
            item.size, item.mtime, item.mode = facts.st_size, int(facts.st_mtime), 0o644
            with copy.open("rb") as content:
                tar.addfile(item, content)
    with tarfile.open(archive) as tar:
        names = sorted(tar.getnames())
    if names != sorted(copy.name for copy in copies.values()):
        raise SanitiseError(f"the archive holds {', '.join(names)}")
    before, after = sum(path.stat().st_size for path in copies), archive.stat().st_size
    if after >= before:
        raise SanitiseError(f"the archive is larger than the original: {after} bytes of {before}")
    return archive


def _moved(path: Path, out: Path) -> Path:
    target = out / path.name
    if target.exists():
        raise SanitiseError(f"{target} exists already: choose another folder with --out")
    return path.rename(target)
