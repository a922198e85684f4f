"""HDF5 containers (Velox, NCEM, DM5, HyperSpy, NeXus, Tofwerk, ...): their arrays zeroed."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_sanitiser.hdf5_datasets import datasets_of, refuse_hidden
from nexuslims_sanitiser.hdf5_deleted import deleted_spans
from nexuslims_sanitiser.hdf5_heap import REFERENCE, row_spans
from nexuslims_sanitiser.plan import Plan, SanitiseError, Span, zero_spans
from nexuslims_sanitiser.proven import is_metadata

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

_WIDE = 8
_SUPERBLOCK = 64
_LARGEST_TEXT = 1 << 20


def plan_hdf5(path: Path) -> Plan:
    """Zero the bytes of every array that shows something, then encode zeros where it was packed.

    Zeroing the bytes first leaves nothing behind in space that HDF5 frees while packing anew.

    Raises
    ------
    SanitiseError
        Data lies in another file, is filtered by something that h5py cannot do, or hides in an
        attribute or text.
    UnreadableFileError
        The file is damaged.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    spans: list[Span] = []
    try:
        with h5py.File(path, "r") as file:
            refuse_hidden(file)
            spans += _outside(path, file.userblock_size)
            for dataset in datasets_of(file):
                stored = list(_spans(dataset))
                if dataset.dtype.hasobject:
                    spans += row_spans(path, stored, _base(dataset))
                else:
                    spans += stored
            spans += deleted_spans(path, [*spans, *_every_span(file)], _names_and_values(file))
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UnreadableFileError(f"the HDF5 file is damaged: {error}") from None
    return zero_spans(path.stat().st_size, spans, _finish)


def _outside(path: Path, block: int) -> Iterator[Span]:
    """Yield what lies before and behind the container, unless that is a text that can be parsed.

    Where it ends is in its superblock ("Disk Format: Level 0A", HDF5 File Format Specification).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        before = file.read(block)
        head = file.read(_SUPERBLOCK)
        version = head[8]
        wide, at = (head[9], 12) if version > 1 else (head[13], 24 + 4 * version)
        place = at + 2 * wide
        end = block + int.from_bytes(head[place : place + wide], "little")
        file.seek(end)
        behind = b"x" if size - end > _LARGEST_TEXT else file.read()
    if not is_metadata(before):
        yield Span(0, block)
    if end < size and not is_metadata(behind):
        yield Span(end, size - end)


def _finish(path: Path) -> None:
    try:
        _encode_zeros(path)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise SanitiseError(
            f"HDF5 does not open the copy: run h5repack on the file first ({error})"
        ) from None


def _every_span(file: "h5py.File") -> list[Span]:
    import h5py  # noqa: PLC0415 - HDF5 only

    found: list[Span] = []

    def visit(_: str, node: object) -> None:
        if isinstance(node, h5py.Dataset) and node.size:
            found.extend(_spans(node))

    file.visititems(visit)
    return found


def _names_and_values(file: "h5py.File") -> set[bytes]:
    """Return the numbers that attributes hold, as the file keeps them."""
    import numpy as np  # noqa: PLC0415 - HDF5 only

    found: set[bytes] = set()

    def visit(_: str, node: "h5py.Group | h5py.Dataset") -> None:
        for key in node.attrs:
            kind = node.attrs.get_id(key).dtype
            if not kind.hasobject:
                found.add(np.asarray(node.attrs[key], kind).tobytes())

    visit("/", file)
    file.visititems(visit)
    return {value for value in found if len(value) >= _WIDE}


def _spans(dataset: "h5py.Dataset") -> Iterator[Span]:
    if dataset.external or dataset.is_virtual:
        raise SanitiseError(f"{dataset.name} keeps its data in another file")
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        if offset is not None:
            yield Span(offset, dataset.id.get_storage_size())
        return
    for index in range(dataset.id.get_num_chunks()):
        chunk = dataset.id.get_chunk_info(index)
        yield Span(chunk.byte_offset, chunk.size)


def _base(dataset: "h5py.Dataset") -> int:
    """Return what addresses of rows of uneven length count from."""
    packed = dataset.id.get_create_plist().get_nfilters()
    if packed or dataset.dtype.names or dataset.id.get_type().get_size() != REFERENCE.size:
        raise SanitiseError(f"{dataset.name} keeps rows of uneven length in a way unknown here")
    return int(dataset.file.userblock_size)


def _encode_zeros(path: Path) -> None:
    """Give packed arrays valid chunks of zeros, and zero what lies within object headers."""
    import h5py  # noqa: PLC0415 - HDF5 only
    import numpy as np  # noqa: PLC0415 - HDF5 only

    with h5py.File(path, "r") as file:
        if all(map(_lies_plain, datasets_of(file))):
            return
    with h5py.File(path, "r+") as file:
        for dataset in datasets_of(file):
            if _lies_plain(dataset):
                continue
            if dataset.chunks is None:
                dataset[...] = np.zeros((), dataset.dtype)
            else:
                _refill(dataset, _packed_zeros(dataset))


def _lies_plain(dataset: "h5py.Dataset") -> bool:
    """Whether an array was zeroed as bytes: neither packed nor within an object header."""
    if dataset.chunks is None:
        return dataset.id.get_offset() is not None or not dataset.id.get_storage_size()
    return not dataset.id.get_create_plist().get_nfilters()


def _refill(dataset: "h5py.Dataset", packed: bytes) -> None:
    corners = [
        dataset.id.get_chunk_info(index).chunk_offset
        for index in range(dataset.id.get_num_chunks())
    ]
    for corner in corners:
        dataset.id.write_direct_chunk(corner, packed)


def _packed_zeros(dataset: "h5py.Dataset") -> bytes:
    """Return a chunk of zeros as this dataset's filters pack it."""
    import h5py  # noqa: PLC0415 - HDF5 only
    import numpy as np  # noqa: PLC0415 - HDF5 only

    filters = dataset.id.get_create_plist()
    with h5py.File.in_memory() as scratch:
        space = h5py.h5s.create_simple(dataset.chunks)
        made = h5py.Dataset(
            h5py.h5d.create(scratch.id, b"zeros", dataset.id.get_type(), space, filters)
        )
        try:
            made[...] = np.zeros(dataset.chunks, dataset.dtype)
            scratch.flush()
            _, packed = made.id.read_direct_chunk((0,) * made.ndim)
        except OSError as error:
            raise SanitiseError(
                f"{dataset.name} is packed in a way unknown here: {error}"
            ) from None
    return bytes(packed)


def blocks(dataset: "h5py.Dataset", numbers: int = 1 << 22) -> "Iterator[np.ndarray]":
    """Yield an array in blocks of its slowest dimension, of about so many numbers.

    Parameters
    ----------
    dataset
        An array of the file.
    numbers
        About how many values a block holds.
    """
    if dataset.ndim == 0:
        yield dataset[()]
        return
    rows = max(1, numbers // max(1, math.prod(dataset.shape[1:])))
    for start in range(0, dataset.shape[0], rows):
        yield dataset[start : start + rows]
