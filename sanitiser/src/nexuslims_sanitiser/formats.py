"""The formats that can be sanitised, how each is recognised, and who reads the copy to check it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nexuslims_formats.digitalmicrograph.dm import DigitalMicrographExtractor
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.registry import HEAD_BYTES
from nexuslims_formats.tia.ser import SERIES_HEAD
from nexuslims_formats.tiff.tags import is_tiff
from nexuslims_sanitiser import binary
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


_MRC = Format("MRC", binary.plan_mrc, "mrc")
_BY_NAME = {
    ".mrc": _MRC,
    ".ser": Format("damaged TIA series", binary.plan_unreadable),
    ".emi": Format("TIA description", binary.plan_emi, OURS),
    ".spc": Format("EDAX spectrum", binary.plan_spc, "edax"),
}


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
            f"{path.name} is of no format that can be sanitised; those are TIFF, DM3/4/5, TIA, "
            "HDF5 containers, MRC, blockfile, msa and spc"
        )
    return found


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
    return None
