"""The files that belong to another: a series' description, a TIFF's header, an ``.mdoc``."""

import re
from pathlib import Path

from nexuslims_formats.mrc.direct_electron import info_beside
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.tiff.tags import is_tiff
from nexuslims_sanitiser.check import name_in
from nexuslims_sanitiser.proven import is_metadata

_TIA = (".emi", ".ser")
_MDOC = ".mdoc"
_SIDECARS = (".hdr", ".txt", _MDOC)
_BMP = b"BM"
_LARGEST = 1 << 20
# Tescan's and Hitachi's sections, JEOL's commands, Direct Electron's server; another may be data
_HEAD = re.compile(rb"(?:\xef\xbb\xbf)?(?:\[\w+\]|\$(?:CM|SEM|\$SM)_|Server Software Version +=)")
_MERLIN_LINE = re.compile(rb"(?:HDR,|End)\s*|[\w ,()/.%-]{1,80}:\t?[^\0-\x08\n-\x1f]{0,250}|")
_MDOC_SECTION = re.compile(rb"^\[(\w+ =[^\r\n]*)\]", re.MULTILINE)


def is_sidecar(path: Path) -> bool:
    """Whether a file is copied as it is, because another one explains it."""
    return path.suffix.lower() in _SIDECARS


def related(source: Path) -> list[Path]:
    """Return the files beside one that a reader of it needs, in the order of their names.

    Raises
    ------
    UnsafeFileError
        One of them is a link that leads outside its folder.
    """
    beside = [path for path in sorted(source.parent.iterdir()) if path != source]
    suffix = source.suffix.lower()
    if suffix in _TIA:
        wanted = _TIA if suffix == ".emi" else (".emi",)
        return [
            path
            for path in beside
            if path.suffix.lower() in wanted
            and name_in(path) == name_in(source)
            and is_usable(path)
        ]
    described = source.with_name(f"{source.name}{_MDOC}")
    if described in beside:
        return [described] if _is_header(described) else []
    if suffix == ".mrc":
        info = info_beside(source)
        return [info] if info is not None and _is_header(info) else []
    if suffix == ".mib":
        return [path for path in beside if path.stem == source.stem and _is_merlin(path)]
    with source.open("rb") as file:
        head = file.read(4)
    if not (is_tiff(head) or head.startswith(_BMP)):
        return []
    stems = (source.stem, f"{source.stem}-{suffix.removeprefix('.')}")  # NAME.hdr, NAME-tif.hdr
    return [path for path in beside if path.stem in stems and _is_header(path)]


def _is_merlin(path: Path) -> bool:
    """Whether a file is the header of Merlin's frames: its names have commas, and no value lines.

    The first and the last line are words alone.
    """
    if path.suffix.lower() != ".hdr" or not is_usable(path) or path.stat().st_size > _LARGEST:
        return False
    lines = path.read_bytes().strip().splitlines()
    return bool(lines) and lines[0].startswith(b"HDR,") and all(map(_MERLIN_LINE.fullmatch, lines))


def _is_header(path: Path) -> bool:
    if not (is_sidecar(path) and is_usable(path)) or path.stat().st_size > _LARGEST:
        return False
    content = path.read_bytes()
    if path.suffix.lower() == _MDOC:
        return is_metadata(_MDOC_SECTION.sub(rb"\1", content))
    head = content.replace(b"\0", b"").removeprefix(b"\xff\xfe")
    return _HEAD.match(head) is not None and is_metadata(content)
