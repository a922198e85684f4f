"""Gatan DM5: the tags of DigitalMicrograph as HDF5, list entries named ``[0]``, ``[1]``, ..."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexuslims_formats.digitalmicrograph.dm import image_signal, images_of
from nexuslims_formats.digitalmicrograph.tags import Tree
from nexuslims_formats.hdf5.lazy import lazy_array
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.model import ParsedFile, Signal

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

_PIXELS = "data"
_CHANNELS = 4
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
            stored = data.pop(_PIXELS, {}) if isinstance(data, dict) else {}
            signals.append(_with_pixels(path, image_signal(path, "<", image), stored))
        return ParsedFile(signals=signals, native=tree, reader=f"dm5 {self.version}")


def _with_pixels(path: Path, signal: Signal, stored: Tree) -> Signal:
    """Return a signal with what opens its data; those that do not fit its sizes are named.

    Parameters
    ----------
    path
        The file.
    signal
        As its tags tell it.
    stored
        Place, shape and bytes per item of its data; empty if it has none.
    """
    shape, place = tuple(stored.get("shape", ())), str(stored.get("place", ""))
    is_colour = signal.shape == (*shape, _CHANNELS) and stored.get("item_bytes") == _CHANNELS
    if place and (is_colour or shape == signal.shape):
        return replace(signal, pixels=partial(_opened, path, place, is_colour=is_colour))
    is_packed = signal.dtype.startswith("complex")  # half of a Fourier transform
    if not place or is_packed or math.prod(shape) >= math.prod(signal.shape):
        return replace(signal, pixels=None)
    problem = f"the image takes {math.prod(signal.shape)} values, but its data has {shape}"
    return replace(signal, pixels=None, problems=(*signal.problems, problem))


def _opened(path: Path, place: str, *, is_colour: bool) -> "np.ndarray":
    """Return the data of an image; colours, which are stored as one number, as red, green, blue.

    Parameters
    ----------
    path
        The file.
    place
        Where they are in it.
    is_colour
        Whether an item is four bytes of colours.
    """
    import numpy as np  # noqa: PLC0415 - previews only

    array = lazy_array(path, place)
    if not is_colour:
        return array
    packed = np.ascontiguousarray(array)
    return packed.view(np.uint8).reshape(*packed.shape, _CHANNELS)[..., [2, 1, 0]]


def _tree(group: "h5py.Group", depth: int = 0) -> Tree:
    """Return a group's attributes and groups as a tag tree, with where an image's data are."""
    import h5py  # noqa: PLC0415 - HDF5 only

    tree: Tree = {_named(name): _plain(value) for name, value in group.attrs.items()}
    for name, item in group.items():
        if isinstance(item, h5py.Group) and depth < _DEEPEST:
            tree[_named(name)] = _tree(item, depth + 1)
        elif name == "Data":
            tree[_PIXELS] = {
                "place": item.name, "shape": list(item.shape), "item_bytes": item.dtype.itemsize
            }  # fmt: skip
    return tree


def _named(name: str) -> str:
    """Return the name that a list entry has in DM3 and DM4."""
    return f"TagGroup{name[1:-1]}" if name.startswith("[") and name.endswith("]") else name


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.tolist() if hasattr(value, "tolist") else value
