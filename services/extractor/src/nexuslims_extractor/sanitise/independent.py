"""What readers that are not ours see in a file: its metadata, and its data in bounded blocks."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexuslims_extractor.formats import tiff_tags as tags
from nexuslims_extractor.sanitise.hdf5 import blocks, shown
from nexuslims_extractor.sanitise.hidden import without_images

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

TIFFFILE, H5PY = "tifffile", "h5py"
_PLACES = (
    tags.STRIP_OFFSETS, tags.STRIP_BYTES, tags.TILE_OFFSETS, tags.TILE_BYTES,
    tags.SUB_DIRECTORIES, tags.JPEG_OFFSET,
)  # fmt: skip
_LONG = 512
_WHOLE = ("msa", "edax")  # modules that know no lazy reading


def facts(path: Path, reader: str) -> dict[str, str]:
    """Return the metadata of a file by name, as text that can be compared.

    Parameters
    ----------
    path
        The file.
    reader
        ``tifffile``, ``h5py``, or a module of rosettasciio.

    Raises
    ------
    Exception
        Whatever the reader raises.
    """
    if reader == TIFFFILE:
        return dict(_tiff_facts(path))
    if reader == H5PY:
        return _hdf5_facts(path)
    return {
        f"{index}/{place}": value
        for index, signal in enumerate(_signals(path, reader))
        for part in ("axes", "original_metadata")
        for place, value in _leaves(signal[part], part)
    }


def arrays(path: Path, reader: str) -> "Iterator[np.ndarray]":
    """Yield the arrays of a file, in blocks of bounded size."""
    if reader == TIFFFILE:
        yield from _tiff_pages(path)
    elif reader == H5PY:
        yield from _hdf5_blocks(path)
    else:
        yield from _rosettasciio_blocks(path, reader)


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield the leaves of a tree as text; of long lists, which may be data, the length alone."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}/{key}")
    elif getattr(value, "nbytes", 0) > _LONG or (
        isinstance(value, list | tuple) and len(value) > _LONG
    ):
        yield place, f"long {type(value).__name__}"
    else:
        yield place, repr(value)


def _tiff_facts(path: Path) -> Iterator[tuple[str, str]]:
    from tifffile import TiffFile  # noqa: PLC0415 - checks only

    with TiffFile(path) as file:
        for index, page in enumerate(file.pages):
            for tag in page.aspage().tags.values():
                if tag.code not in _PLACES:
                    value = tag.value
                    value = without_images(value) if isinstance(value, bytes) else repr(value)
                    yield f"{index}/{tag.code}", str(value)


def _tiff_pages(path: Path) -> "Iterator[np.ndarray]":
    from tifffile import TiffFile  # noqa: PLC0415 - checks only

    with TiffFile(path) as file:
        for page in file.pages:
            yield page.asarray()
            for inner in getattr(page, "pages", None) or ():
                yield inner.asarray()


def _hdf5_facts(path: Path) -> dict[str, str]:
    import h5py  # noqa: PLC0415 - checks only

    found: dict[str, str] = {}
    with h5py.File(path, "r") as file:
        hidden = {dataset.name for dataset in shown(file)}

        def visit(name: str, node: "h5py.Group | h5py.Dataset") -> None:
            for key, value in node.attrs.items():
                found[f"{name}@{key}"] = _plain(value)
            if isinstance(node, h5py.Dataset):
                value = "" if node.name in hidden else _plain(node[()])
                found[name] = f"{node.shape} {node.dtype} {value}"

        visit("/", file)
        file.visititems(visit)
    return found


def _plain(value: Any) -> str:
    import numpy as np  # noqa: PLC0415 - checks only

    array = np.asarray(value)
    return repr(array.tolist() if array.dtype.hasobject else array.tobytes())


def _hdf5_blocks(path: Path) -> "Iterator[np.ndarray]":
    import h5py  # noqa: PLC0415 - checks only

    with h5py.File(path, "r") as file:
        for dataset in shown(file):
            yield from blocks(dataset)


def _signals(path: Path, reader: str) -> list[dict[str, Any]]:
    read = importlib.import_module(f"rsciio.{reader}").file_reader
    found: list[dict[str, Any]] = read(str(path), lazy=reader not in _WHOLE)
    return found


def _rosettasciio_blocks(path: Path, reader: str) -> "Iterator[np.ndarray]":
    import numpy as np  # noqa: PLC0415 - checks only

    for signal in _signals(path, reader):
        data = signal["data"]
        for block in [data] if reader in _WHOLE else data.blocks.ravel():
            yield np.asarray(block)
