"""The formats that can be sanitised, how each is recognised, and who reads the copy to check it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nexuslims_formats.bruker.spx import BrukerSpxExtractor
from nexuslims_formats.digitalmicrograph.dm import DigitalMicrographExtractor
from nexuslims_formats.ebsd.text_maps import AngExtractor, CtfExtractor
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.merlin import MerlinExtractor
from nexuslims_formats.registry import HEAD_BYTES
from nexuslims_formats.tia.ser import SERIES_HEAD
from nexuslims_formats.tiff.tags import is_tiff
from nexuslims_sanitiser import binary, frames, mrc, text_data
from nexuslims_sanitiser.hdf5 import plan_hdf5
from nexuslims_sanitiser.independent import H5PY, OURS, TIFFFILE
from nexuslims_sanitiser.plan import Plan, SanitiseError
from nexuslims_sanitiser.tiff import plan_tiff

_MRC_MAGIC = slice(208, 212)


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file; ``reader`` is who checks the copy, see :mod:`.independent`."""

    name: str
    plan: Callable[[Path], Plan]
    reader: str = ""


_MRC = Format("MRC", mrc.plan_mrc, "mrc")
_BY_NAME = {
    ".mrc": _MRC,
    ".ser": Format("damaged TIA series", binary.plan_unreadable),
    ".emi": Format("TIA description", binary.plan_emi, OURS),
    ".spc": Format("EDAX spectrum", binary.plan_spc, "edax"),
}
_TEXTS = (
    (MerlinExtractor(), "mib"), (BrukerSpxExtractor(), "spx"), (AngExtractor(), "ang"),
    (CtfExtractor(), "ctf"),
)  # fmt: skip
_BY_READER = {
    "mib": Format("Merlin", frames.plan_mib, OURS),
    "spx": Format("Bruker spectrum", text_data.plan_spx, OURS),
    "ang": Format("map of orientations (ang)", text_data.plan_ang, OURS),
    "ctf": Format("map of orientations (ctf)", text_data.plan_ctf, OURS),
}
_REFUSED = {
    ".bcf": "its data are in a container of compressed files, in which nothing can be zeroed"
    " without making all of it anew",
    ".png": "its data are compressed; save it as TIFF",
    ".jpg": "its data are compressed, and Exif may hold them again; save it as TIFF",
    ".jpeg": "its data are compressed, and Exif may hold them again; save it as TIFF",
    ".gz": "it is compressed; unpack it",
    ".up1": "it holds patterns and next to no metadata",
    ".up2": "it holds patterns and next to no metadata",
    ".ebsp": "it holds patterns and next to no metadata",
}
"""Why formats that are read are not sanitised."""


def recognise(path: Path) -> Format:
    """Return the format of a file by its first bytes, or by its name where they tell nothing.

    Raises
    ------
    SanitiseError
        It is none that can be sanitised.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    found = _by_content(path, head) or _BY_NAME.get(path.suffix.lower())
    if found is None:
        raise SanitiseError(
            f"{path.name} is of no format that can be sanitised{_reason(path)}; those are TIFF,"
            " DM3/4/5, TIA, HDF5 containers, MRC, blockfile, Merlin, msa, spc, spx, ang, ctf and"
            " BMP"
        )
    return found


def _reason(path: Path) -> str:
    """Return why a format that is read is not sanitised; empty for all others."""
    words = _REFUSED.get(path.suffix.lower(), "")
    return f": {words}" if words else ""


def _by_content(path: Path, head: bytes) -> Format | None:
    if is_tiff(head):
        return Format("TIFF", plan_tiff, TIFFFILE)
    if DigitalMicrographExtractor().supports(path, head):
        return Format("DigitalMicrograph", binary.plan_dm, "digitalmicrograph")
    if head.startswith(SERIES_HEAD):
        return Format("TIA series", binary.plan_series, "tia")
    if is_hdf5(head):
        return Format("HDF5", plan_hdf5, H5PY)
    if head.startswith(b"IMGBLO"):
        return Format("blockfile", binary.plan_blockfile, OURS)
    if head.startswith(b"#FORMAT"):
        return Format("EMSA/MAS", binary.plan_msa, "msa")
    if head[_MRC_MAGIC] == b"MAP ":
        return _MRC
    if head.startswith(b"BM"):
        return Format("BMP", frames.plan_bmp, OURS)
    name = next((name for reader, name in _TEXTS if reader.supports(path, head)), "")
    return _BY_READER[name] if name else None
