"""The formats that can be sanitised, how each is recognised, and who reads the copy to check it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nexuslims_extractor.formats.dm import DigitalMicrographExtractor
from nexuslims_extractor.formats.tia_series import SERIES_HEAD
from nexuslims_extractor.formats.tiff_tags import is_tiff
from nexuslims_extractor.plugins import HEAD_BYTES
from nexuslims_extractor.sanitise import binary
from nexuslims_extractor.sanitise.hdf5 import plan_hdf5
from nexuslims_extractor.sanitise.plan import Plan, SanitiseError
from nexuslims_extractor.sanitise.tiff import plan_tiff

if TYPE_CHECKING:
    import numpy as np

HDF5_HEAD = b"\x89HDF\r\n\x1a\n"
_HDF5_STARTS = (0, 512, 1024, 2048)
_MRC_MAGIC = slice(208, 212)


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: ``reader`` names rosettasciio's module, ``tifffile`` or ``h5py``."""

    name: str
    plan: Callable[[Path], Plan]
    reader: str = ""


def recognise(path: Path) -> Format:
    """Return the format of a file by its first bytes, or by its name where they tell nothing.

    Raises
    ------
    SanitiseError
        It is none that can be sanitised.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    suffix = path.suffix.lower()
    if is_tiff(head):
        return Format("TIFF", plan_tiff, "tifffile")
    if DigitalMicrographExtractor().supports(path, head):
        return Format("DigitalMicrograph", binary.plan_dm, "digitalmicrograph")
    if head.startswith(SERIES_HEAD):
        return Format("TIA series", binary.plan_series, "tia")
    if any(head.startswith(HDF5_HEAD, start) for start in _HDF5_STARTS):
        return Format("HDF5", plan_hdf5, "h5py")
    if head.startswith(b"IMGBLO"):
        return Format("blockfile", binary.plan_blockfile)
    if head.startswith(b"#FORMAT"):
        return Format("EMSA/MAS", binary.plan_msa, "msa")
    if head[_MRC_MAGIC] == b"MAP " or suffix == ".mrc":
        return Format("MRC", binary.plan_mrc, "mrc")
    if suffix == ".emi":
        return Format("TIA description", binary.plan_emi)
    if suffix == ".spc":
        return Format("EDAX spectrum", binary.plan_spc, "edax")
    raise SanitiseError(
        "not a format that can be sanitised: TIFF, DM3/4/5, TIA, HDF5 containers, MRC, blockfile, "
        "msa and spc can"
    )


def arrays(path: Path, reader: str) -> "Iterator[np.ndarray]":
    """Yield the arrays that an independent reader finds in a file, in blocks of bounded size."""
    if reader == "tifffile":
        yield from _tiff_pages(path)
    elif reader == "h5py":
        yield from _hdf5_blocks(path)
    else:
        yield from _rosettasciio_blocks(path, reader)


def _tiff_pages(path: Path) -> "Iterator[np.ndarray]":
    from tifffile import TiffFile  # noqa: PLC0415 - checks only

    with TiffFile(path) as file:
        for page in file.pages:
            yield page.asarray()
            for inner in getattr(page, "pages", None) or ():
                yield inner.asarray()


def _hdf5_blocks(path: Path) -> "Iterator[np.ndarray]":
    import h5py  # type: ignore[import-untyped]  # noqa: PLC0415 - checks only

    from nexuslims_extractor.sanitise.hdf5 import blocks, shown  # noqa: PLC0415 - checks only

    with h5py.File(path, "r") as file:
        for dataset in shown(file):
            yield from blocks(dataset)


def _rosettasciio_blocks(path: Path, reader: str) -> "Iterator[np.ndarray]":
    import importlib  # noqa: PLC0415 - checks only

    import numpy as np  # noqa: PLC0415 - checks only

    read = importlib.import_module(f"rsciio.{reader}").file_reader
    lazy = reader not in ("msa", "edax")
    for signal in read(str(path), lazy=lazy):
        data = signal["data"]
        for block in data.blocks.ravel() if lazy else [data]:
            yield np.asarray(block)
