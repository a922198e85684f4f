"""HyperSpy's ``.zspy``, a zarr store in a zip file or a folder, as rosettasciio would give it.

References
----------
Zarr storage specification, version 2; the tree of HyperSpy's HDF5 format.
"""

import json
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.rosettasciio.parts import UNREAD, Part

if TYPE_CHECKING:
    import numpy as np

_MEMBERS: Final = 200_000
_ATTRIBUTE_BYTES: Final = 16 << 20
_DATA_BYTES: Final = 256 << 20
_ROOT: Final = "Experiments/"
_NONE: Final = "_None_"


@dataclass(frozen=True, slots=True)
class _Store:
    """The members of a store by name, with their sizes in bytes, and what reads one."""

    sizes: Mapping[str, int]
    read: Callable[[str], bytes]

    def content(self, name: str, largest: int) -> bytes | None:
        """Return a member; None where there is none."""
        size = self.sizes.get(name)
        if size is None:
            return None
        if size > largest:
            raise LimitExceededError(f"{name} claims {size} bytes")
        return self.read(name)


def read_zspy(path: Path) -> list[Part]:
    """Read the attributes of every experiment, and the data where it is small.

    Raises
    ------
    UnreadableFileError
        It is no such store.
    LimitExceededError
        It holds more than any real one.
    """
    with _opened(path) as store:
        names = sorted(
            {
                name.removeprefix(_ROOT).partition("/")[0]
                for name in store.sizes
                if name.startswith(_ROOT) and "/" in name.removeprefix(_ROOT)
            }
        )
        return [_experiment(store, f"{_ROOT}{name}/") for name in names]


@contextmanager
def _opened(path: Path) -> Iterator[_Store]:
    if path.is_dir():
        yield _Store(_files_below(path), lambda name: (path / name).read_bytes())
        return
    try:
        with zipfile.ZipFile(path) as file:
            if len(file.NameToInfo) > _MEMBERS:
                raise LimitExceededError(f"the zip file has more than {_MEMBERS} members")
            yield _Store({one.filename: one.file_size for one in file.infolist()}, file.read)
    except zipfile.BadZipFile as error:
        raise UnreadableFileError(f"the zip file is damaged: {error}") from error


def _files_below(path: Path) -> dict[str, int]:
    """Return the sizes of the files of a folder and those below; links are not followed."""
    sizes: dict[str, int] = {}
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            if not file.is_symlink() and file.is_file():
                sizes[file.relative_to(path).as_posix()] = file.stat().st_size
        if len(sizes) > _MEMBERS:
            raise LimitExceededError(f"the folder has more than {_MEMBERS} files")
    return sizes


def _experiment(store: _Store, root: str) -> Part:
    header = _json(store, f"{root}data/.zarray")
    if not isinstance(header.get("shape"), list) or not isinstance(header.get("dtype"), str | list):
        raise UnreadableFileError(f"{root} tells no shape of its data")
    data, read = _data(store, f"{root}data/", header)
    part: Part = {
        "data": data,
        "axes": list(_axes(store, root)),
        "metadata": _tree(store, f"{root}metadata/"),
        "original_metadata": _tree(store, f"{root}original_metadata/"),
    }
    return part if read else {**part, UNREAD: True}


def _axes(store: _Store, root: str) -> Iterator[dict[str, Any]]:
    number = 0
    while f"{root}axis-{number}/.zattrs" in store.sizes:
        attributes = _json(store, f"{root}axis-{number}/.zattrs")
        axis = {key: value for key, value in attributes.items() if value != _NONE}
        yield {**axis, "index_in_array": number}
        number += 1


def _tree(store: _Store, root: str) -> dict[str, Any]:
    """Return the attributes below a group as nested dicts."""
    tree: dict[str, Any] = {}
    for name in store.sizes:
        if name.startswith(root) and name.endswith(".zattrs"):
            node = tree
            for step in name.removeprefix(root).split("/")[:-1]:
                node = node.setdefault(step, {})
            node.update({k: v for k, v in _json(store, name).items() if v != _NONE})
    return tree


def _json(store: _Store, name: str) -> dict[str, Any]:
    text = store.content(name, _ATTRIBUTE_BYTES)
    try:
        content = json.loads(text) if text is not None else {}
    except ValueError as error:
        raise UnreadableFileError(f"{name} is damaged: {error}") from error
    return content if isinstance(content, dict) else {}


def _data(store: _Store, root: str, header: dict[str, Any]) -> "tuple[np.ndarray, bool]":
    """Return the array, and whether it holds the values; a large one has only its shape."""
    import numpy as np  # noqa: PLC0415 - this format only

    fields = header["dtype"]  # a list of names and types: the colours of a picture
    shape = tuple(header["shape"])
    dtype = np.dtype(list(map(tuple, fields)) if isinstance(fields, list) else fields)
    size = math.prod(shape) * dtype.itemsize
    if size > _DATA_BYTES or dtype.hasobject or header.get("filters"):
        return np.broadcast_to(np.zeros((), dtype if not dtype.hasobject else "O"), shape), False
    array = np.full(shape, 0 if dtype.names else header.get("fill_value") or 0, dtype)
    chunks = tuple(header["chunks"])
    separator = str(header.get("dimension_separator") or ".")
    counts = [math.ceil(length / step) for length, step in zip(shape, chunks, strict=True)]
    for index in np.ndindex(*counts):
        name = root + separator.join(map(str, index))
        packed = store.content(name, _DATA_BYTES)
        if packed is None:
            continue
        content = _decoded(packed, header.get("compressor"))
        try:
            chunk = np.frombuffer(content, dtype)[: math.prod(chunks)].reshape(chunks)
        except ValueError as error:
            raise UnreadableFileError(f"the chunk {name} is damaged: {error}") from error
        place = tuple(
            slice(at * step, min((at + 1) * step, length))
            for at, step, length in zip(index, chunks, shape, strict=True)
        )
        array[place] = chunk[tuple(slice(0, one.stop - one.start) for one in place)]
    return array, True


def _decoded(content: bytes, compressor: Any) -> bytes:
    import imagecodecs  # noqa: PLC0415 - this format only

    codec = (compressor or {}).get("id", "")
    codecs: dict[str, Callable[[bytes], Any]] = {
        "": bytes,
        "blosc": imagecodecs.blosc_decode,
        "zstd": imagecodecs.zstd_decode,
        "zlib": imagecodecs.zlib_decode,
        "gzip": imagecodecs.gzip_decode,
        "lz4": imagecodecs.lz4_decode,
    }
    decode = codecs.get(codec)
    if decode is None:
        raise UnreadableFileError(f"its data are compressed by the unknown codec {codec!r}")
    return bytes(decode(content))
