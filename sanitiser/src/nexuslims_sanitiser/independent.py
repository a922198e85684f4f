"""What readers that are not ours see in a file: its metadata, and its data in bounded blocks."""

import importlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nexuslims_formats.registry import HEAD_BYTES, choose
from nexuslims_formats.tiff import tags
from nexuslims_sanitiser.hdf5 import blocks
from nexuslims_sanitiser.hdf5_datasets import datasets_of
from nexuslims_sanitiser.hidden import text_without_images, without_images

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

Fact: TypeAlias = str | tuple[str]
"""A text; or what a number or a list is, in a tuple of its own, for it is no text to scrub."""

TIFFFILE, H5PY = "tifffile", "h5py"
OURS = "nexuslims_formats"
"""Our own readers, which know nothing of sanitising, for formats that no other library reads."""
_PLACES = (
    tags.STRIP_OFFSETS, tags.STRIP_BYTES, tags.TILE_OFFSETS, tags.TILE_BYTES,
    tags.SUB_DIRECTORIES, tags.JPEG_OFFSET,
)  # fmt: skip
_LONG = 512
_PICTURE = 2  # dimensions
_WHOLE = ("msa", "edax")  # modules that know no lazy reading


def facts(path: Path, reader: str) -> dict[str, Fact]:
    """Return the metadata of a file by name.

    Parameters
    ----------
    path
        The file.
    reader
        ``tifffile``, ``h5py``, or a module of rosettasciio. Of our own readers it returns nothing:
        what they tell is compared apart.

    Raises
    ------
    Exception
        Whatever the reader raises.
    """
    if reader == TIFFFILE:
        return dict(_tiff_facts(path))
    if reader == H5PY:
        return _hdf5_facts(path)
    if reader == OURS:
        return {}
    return {
        f"{index}/{place}": value
        for index, signal in enumerate(_signals(path, reader))
        for part in ("axes", "original_metadata")
        for place, value in _leaves(signal[part], part)
    }


def places_of_tags(path: Path, values: Collection[tuple[int, int]]) -> tuple[str, ...]:
    """Return how the names start under which :func:`facts` has some tags of a TIFF.

    Parameters
    ----------
    path
        The file.
    values
        The tags, each with the place of its directory: that of a page, or else of Exif.
    """
    from tifffile import TiffFile  # noqa: PLC0415 - checks only

    with TiffFile(path) as file:
        pages = {page.aspage().offset: index for index, page in enumerate(file.pages)}
    known = [f"{pages[at]}/{tag}/" for at, tag in values if at in pages]
    exif = any(at not in pages for at, _ in values)
    return (*known, *(f"{index}/{tags.EXIF}/" for index in pages.values() if exif))


def arrays(path: Path, reader: str) -> "Iterator[np.ndarray]":
    """Yield the arrays of a file, in blocks of bounded size.

    Parameters
    ----------
    path
        The file.
    reader
        Which library reads it.
    """
    if reader == TIFFFILE:
        yield from _tiff_pages(path)
    elif reader == H5PY:
        yield from _hdf5_blocks(path)
    elif reader == OURS:
        yield from _own_blocks(path)
    else:
        yield from _rosettasciio_blocks(path, reader)


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Fact]]:
    """Yield the leaves of a tree; of long arrays, which may be data, the kind alone."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}/{key}")
    elif isinstance(value, str | bytes):
        yield place, value if isinstance(value, str) else value.decode("latin-1")
    elif getattr(value, "nbytes", 0) > _LONG:
        yield place, (type(value).__name__,)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value if len(value) <= _LONG else ()):
            yield from _leaves(inner, f"{place}/{index}")
    else:
        yield place, (repr(value),)


def _tiff_facts(path: Path) -> Iterator[tuple[str, Fact]]:
    from tifffile import TiffFile  # noqa: PLC0415 - checks only

    with TiffFile(path) as file:
        for index, page in enumerate(file.pages):
            for tag in page.aspage().tags.values():
                if tag.code not in _PLACES:
                    value = _without_images(tag.value)
                    yield from _leaves(value, f"{index}/{tag.code}/{tag.name}")


def _without_images(value: Any) -> Any:
    if isinstance(value, bytes):
        return without_images(value)
    return text_without_images(value) if isinstance(value, str) else value


def _tiff_pages(path: Path) -> "Iterator[np.ndarray]":
    from tifffile import TiffFile  # noqa: PLC0415 - checks only

    with TiffFile(path) as file:
        for page in file.pages:
            for each in (page.aspage(), *(page.aspage().pages or ())):
                yield from (data for data, *_ in each.aspage().segments() if data is not None)


def _hdf5_facts(path: Path) -> dict[str, Fact]:
    import h5py  # noqa: PLC0415 - checks only

    found: dict[str, Fact] = {}
    with h5py.File(path, "r") as file:
        hidden = {dataset.name for dataset in datasets_of(file)}

        def visit(name: str, node: "h5py.Group | h5py.Dataset") -> None:
            for key, value in node.attrs.items():
                found.update(_plain(value, f"{name}@{key}"))
            if isinstance(node, h5py.Dataset):
                found[name] = (f"{node.shape} {node.dtype}",)
                if node.name not in hidden:
                    found.update(_plain(node[()], f"{name}/"))

        visit("/", file)
        file.visititems(visit)
    return found


def _plain(value: Any, place: str) -> Iterator[tuple[str, Fact]]:
    import numpy as np  # noqa: PLC0415 - checks only

    array = np.asarray(value)
    if array.dtype.hasobject or array.dtype.kind in "SU":
        yield from _leaves(array.tolist(), place)
    else:
        yield place, array.tobytes().decode("latin-1")


def _hdf5_blocks(path: Path) -> "Iterator[np.ndarray]":
    import h5py  # noqa: PLC0415 - checks only

    with h5py.File(path, "r") as file:
        for dataset in datasets_of(file):
            yield from blocks(dataset)


def _own_blocks(path: Path) -> "Iterator[np.ndarray]":
    with path.open("rb") as file:
        extractor = choose(path, file.read(HEAD_BYTES))
    for signal in extractor.open(path).signals:
        pixels = signal.pixels() if signal.pixels else None
        if pixels is not None:
            yield from pixels if pixels.ndim > _PICTURE else [pixels]


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
