"""One file in, a checked copy out, or nothing: what fails leaves no copy behind."""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.hdf5.links import check_links
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.registry import HEAD_BYTES
from nexuslims_sanitiser.archive import pack
from nexuslims_sanitiser.check import check_copy, everything, name_in
from nexuslims_sanitiser.formats import recognise
from nexuslims_sanitiser.plan import SanitiseError, write_copy
from nexuslims_sanitiser.scrub import scrub, words_of
from nexuslims_sanitiser.sidecars import is_sidecar, related

MARK = "_dataZeroed"
_SERIES = re.compile(r"^(?P<stem>.+)(?P<end>_\d+)$")
_HEADER = re.compile(r"^(?P<stem>.+)(?P<end>-tiff?)$")  # NAME-tif.hdr beside NAME.tif
_INFO = re.compile(r"^(?P<stem>.+)(?P<end>_info)$")  # NAME_info.txt beside NAME_movie.mrc
_MOVIE = re.compile(r"^(?P<stem>.+)(?P<end>_(?:movie|final))$")
_STACK = re.compile(  # NAME.mrc.mdoc beside NAME.mrc
    r"^(?P<stem>.+?)(?P<end>(?:_(?:movie|final))?\.\w+)$"
)
_ENDS = {".ser": _SERIES, ".hdr": _HEADER, ".mdoc": _STACK, ".mrc": _MOVIE, ".txt": _INFO}


@dataclass(frozen=True, slots=True)
class Sanitised:
    """What was made of a file."""

    source: Path
    written: tuple[Path, ...]
    """The copy and those of the files that belong to it, or the archive of them."""
    scrubbed: Mapping[str, int] = field(default_factory=dict)
    """How often something was written over, by the field asked for; 0 where the file tells none."""


def sanitise(
    source: Path,
    out: Path,
    *,
    scrub_fields: Sequence[str] = (),
    archive: bool = False,
    workplace: Path | None = None,
) -> Sanitised:
    """Write a copy of a file without its data, check it, and only then leave it in ``out``.

    Parameters
    ----------
    source
        The file; it is only read.
    out
        The folder for the copy, ``NAME_dataZeroed.EXT``; made if it is missing.
    scrub_fields
        Metadata to write over, see :func:`nexuslims_sanitiser.scrub.words_of`.
    archive
        Whether to pack the copies as ``NAME_dataZeroed.tar.gz`` instead.
    workplace
        A folder of the same file system for what is not checked yet; ``out`` if none is named.

    Raises
    ------
    SanitiseError
        The format is none of ours, or the copy is not what it should be.
    ExtractorError
        The file is too damaged to be understood.
    OSError
        It cannot be read, or the copy not be written.
    """
    members = _members(source)
    words = words_of(everything(source), scrub_fields) if scrub_fields else {}
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=workplace or out, prefix=".sanitise-") as text:
        copies = {member: Path(text) / zeroed_name(member) for member in members}
        scrubbed = _write(copies, words)
        _check(copies, words)
        made = list(copies.values())
        if archive:
            made = [pack(copies, Path(text) / f"{name_in(copies[source])}.tar.gz")]
        return Sanitised(source, _moved(made, out), scrubbed)


def zeroed_name(path: Path) -> str:
    """Return the name of a copy; what readers look for at the end of a name stays there."""
    path = path.with_name(path.name.lstrip(".") or MARK)  # no copy is hidden
    if MARK in path.stem:
        return path.name
    end = _ENDS.get(path.suffix.lower())
    if end is not None and (match := end.match(path.stem)):
        return f"{match['stem']}{MARK}{match['end']}{path.suffix}"
    return f"{path.stem}{MARK}{path.suffix}"


def _members(source: Path) -> list[Path]:
    if not source.exists():
        raise SanitiseError("no such file")
    if not source.is_file():
        raise SanitiseError("not a regular file")
    if is_sidecar(source):
        raise SanitiseError("it only goes with the file that it describes: name that one")
    if not source.stat().st_size:
        raise UnreadableFileError("the file is empty")
    with source.open("rb") as file:
        if is_hdf5(file.read(HEAD_BYTES)):
            check_links(source)
    return [source, *related(source)]


def _write(copies: Mapping[Path, Path], words: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    counts = dict.fromkeys(words, 0)
    for member, copy in copies.items():
        if is_sidecar(member):
            copy.write_bytes(member.read_bytes())
        else:
            write_copy(recognise(member).plan(member), member, copy)
        for name, replacements in words.items():
            counts[name] += scrub(copy, replacements)
        # files that tell no time of acquisition are dated by their last change
        facts = member.stat()
        os.utime(copy, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    return counts


def _check(copies: Mapping[Path, Path], words: Mapping[str, Mapping[str, str]]) -> None:
    every = {word: other for found in words.values() for word, other in found.items()}
    for member, copy in copies.items():
        if not is_sidecar(member):
            check_copy(member, copy, recognise(member), every)


def _moved(made: Sequence[Path], out: Path) -> tuple[Path, ...]:
    targets = [out / path.name for path in made]
    for target in targets:
        if target.exists():
            raise SanitiseError(f"{target} exists already: choose another folder with --out")
    return tuple(path.rename(target) for path, target in zip(made, targets, strict=True))
