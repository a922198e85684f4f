"""Where the links of an HDF5 file lead: not out of its folder, and not in circles.

HDF5 follows links to other files, virtual datasets and data stored outside by itself, wherever
they lead. Detectors do split a measurement over files that lie side by side; a file that refers to
anything else is refused before a reader opens it.

HDF5 looks for a linked file beside the one that names it, then in the working directory; for data
stored outside in the working directory only (https://docs.hdfgroup.org/hdf5/v1_14/group___d_c_p_l.html).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nexuslims_formats.errors import LimitExceededError, UnsafeFileError

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]

MAX_OBJECTS = 200_000
MAX_FILES = 1000


@dataclass(frozen=True, slots=True)
class _Reference:
    """What a file says of another one; of raw bytes, or of an HDF5 file."""

    name: str
    is_raw: bool = False

    def target(self, folder: Path) -> Path:
        """Return what HDF5 would open for a file in a folder."""
        places = (Path.cwd(),) if self.is_raw else (folder, Path.cwd())
        there = [place / self.name for place in places]
        return next((one for one in there if one.exists()), there[0]).resolve()


def check_links(path: Path) -> None:
    """Look at every link of a file, and of the files that it refers to.

    Raises
    ------
    UnsafeFileError
        A link leads out of the file's folder.
    LimitExceededError
        The groups contain themselves, or hold more than any real file.
    """
    folder = path.parent.resolve()
    todo, seen = [path.resolve()], {path.resolve()}
    while todo:
        current = todo.pop()
        for reference in _references(current):
            target = reference.target(current.parent)
            if not target.is_relative_to(folder):
                raise UnsafeFileError(f"the file refers to {reference.name!r}, outside its folder")
            if target not in seen and target.is_file():
                seen.add(target)
                todo.append(target)
        if len(seen) > MAX_FILES:
            raise LimitExceededError(f"the file refers to more than {MAX_FILES} others")


def _references(path: Path) -> list[_Reference]:
    """Return what a file says of other files; nothing where it cannot be opened as HDF5."""
    import h5py  # noqa: PLC0415 - HDF5 only

    try:
        with h5py.File(path, "r") as file:
            return list(_found(file))
    except (OSError, RuntimeError, KeyError):
        return []  # damaged: the reader will say how


def _found(file: "h5py.File") -> Iterator[_Reference]:
    """Walk through the groups, each once, and yield what refers to other files."""
    import h5py  # noqa: PLC0415 - HDF5 only

    root = _address(file)
    todo = [(file["/"], frozenset((root,)))]
    seen = {root}
    count = 0
    while todo:
        group, above = todo.pop()
        for name in group:
            count += 1
            if count > MAX_OBJECTS:
                raise LimitExceededError(f"the file holds more than {MAX_OBJECTS} HDF5 objects")
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield _Reference(link.filename)
            if not isinstance(link, h5py.HardLink):
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset):
                yield from _sources(item)
            elif isinstance(item, h5py.Group):
                address = _address(item)
                if address in above:
                    raise LimitExceededError(f"the HDF5 group {item.name!r} contains itself")
                if address not in seen:
                    seen.add(address)
                    todo.append((item, above | {address}))


def _address(item: "h5py.Group") -> object:
    import h5py  # noqa: PLC0415 - HDF5 only

    return h5py.h5o.get_info(item.id).addr


def _sources(item: "h5py.Dataset") -> Iterator[_Reference]:
    """Yield the files that hold a dataset's values in its stead."""
    made = item.id.get_create_plist()
    for index in range(made.get_external_count()):
        name = made.get_external(index)[0].decode("utf-8", "surrogateescape")
        yield _Reference(name, is_raw=True)
    if item.is_virtual:
        yield from (
            _Reference(source.file_name)
            for source in item.virtual_sources()
            if source.file_name != "."
        )
