"""Which of the HDF5 layouts that rosettasciio reads a file has, told by what is in it."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from nexuslims_formats.errors import UnreadableFileError

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]

_TOP = 64
"""How many groups of the highest level are looked at."""


def hdf5_kinds(path: Path) -> tuple[str, ...]:
    """Return the modules of rosettasciio that may read a file, the likeliest first.

    Raises
    ------
    UnreadableFileError
        It is truncated or damaged.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    try:
        with h5py.File(path, "r") as file:
            return tuple(dict.fromkeys(_kinds(file)))
    except (OSError, RuntimeError, KeyError) as error:
        raise UnreadableFileError(f"the HDF5 file is damaged: {error}") from None


def _kinds(file: "h5py.File") -> Iterator[str]:
    import h5py  # noqa: PLC0415 - HDF5 only

    names = set(file)
    if ("Version" in names and "Data" in names) or "version_major" in file.attrs:
        yield "emd"
    if "Experiments" in names:
        yield "hspy"
    if any(name.startswith("Acquisition") for name in names):
        yield "delmic"
    if "entry/instrument/detector" in file or "entry/data/data_000001" in file:
        yield "arina"
    groups = [file.get(name, getlink=False) for name in sorted(names)[:_TOP]]
    attributes = [item.attrs for item in groups if isinstance(item, h5py.Group)]
    below = (
        group.get(name)
        for group in groups
        if isinstance(group, h5py.Group)
        for name in islice(group, _TOP)
        if isinstance(group.get(name, getlink=True), h5py.HardLink)
    )
    attributes_below = (item.attrs for item in below if isinstance(item, h5py.Group))
    if any("emd_group_type" in found for found in chain(attributes, attributes_below)):
        yield "emd"
    if any("NX_class" in found for found in attributes):
        yield "nexus"
