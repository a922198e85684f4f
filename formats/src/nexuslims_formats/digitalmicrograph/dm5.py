"""Gatan DM5: the tags of DigitalMicrograph as HDF5, list entries named ``[0]``, ``[1]``, ..."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexuslims_formats.digitalmicrograph.dm import image_signal, images_of
from nexuslims_formats.digitalmicrograph.tags import Tree
from nexuslims_formats.hdf5.lazy import lazy_array
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.model import ParsedFile

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]

_PIXELS = "data_path"
_DEEPEST = 32


class Dm5Extractor:
    """Reads the tags; the pixels are read for previews only."""

    name = "dm5"
    version = "1.0"
    priority = 100
    extensions = ("dm5",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the extension, and by HDF5's signature."""
        return path.suffix.lower() == ".dm5" and is_hdf5(head)

    def open(self, path: Path) -> ParsedFile:
        """Read every image of the file except its thumbnails."""
        import h5py  # noqa: PLC0415 - HDF5 only

        with h5py.File(path, "r") as file:
            tree = _tree(file)
        signals = []
        for image in images_of(tree):
            data = image["ImageData"]
            place = data.pop(_PIXELS, "") if isinstance(data, dict) else ""
            signal = image_signal(path, "<", image)
            signals.append(
                replace(signal, pixels=partial(lazy_array, path, str(place)) if place else None)
            )
        return ParsedFile(signals=signals, native=tree, reader=f"dm5 {self.version}")


def _tree(group: "h5py.Group", depth: int = 0) -> Tree:
    """Return a group's attributes and groups as a tag tree, with the path of an image's data."""
    import h5py  # noqa: PLC0415 - HDF5 only

    tree: Tree = {_named(name): _plain(value) for name, value in group.attrs.items()}
    for name, item in group.items():
        if isinstance(item, h5py.Group) and depth < _DEEPEST:
            tree[_named(name)] = _tree(item, depth + 1)
        elif name == "Data":
            tree[_PIXELS] = item.name
    return tree


def _named(name: str) -> str:
    """Return the name that a list entry has in DM3 and DM4."""
    return f"TagGroup{name[1:-1]}" if name.startswith("[") and name.endswith("]") else name


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.tolist() if hasattr(value, "tolist") else value
