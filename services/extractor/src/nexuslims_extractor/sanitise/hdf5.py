"""HDF5 containers (Velox, NCEM, DM5, HyperSpy, NeXus, Tofwerk, ...): their arrays zeroed."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexuslims_extractor.sanitise.plan import Plan, SanitiseError, Span, zero_spans

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

# arrays that describe others: axes, calibrations, look-up tables, instrument logs, metadata as text
_DESCRIBES = re.compile(
    r"(?i)meta_?data|physicaldata|axis|axes|scale|^dim\d*$|offset|calibration|table|times?$"
    r"|^tw(data|info)$|rotation|shear"
)
_DATA = re.compile(r"(?i)data|image|spectr|counts|signal|thumbnail|stream")
_FEW = 16


def plan_hdf5(path: Path) -> Plan:
    """Zero the bytes of every array that shows something, then encode zeros where it was packed.

    Zeroing the bytes first leaves nothing behind in space that HDF5 frees while packing anew.

    Raises
    ------
    SanitiseError
        Data lies in another file, or is filtered by something that h5py cannot do.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    spans: list[Span] = []
    with h5py.File(path, "r") as file:
        for dataset in shown(file):
            spans += _spans(dataset)
    return zero_spans(path.stat().st_size, spans, _encode_zeros)


def shown(file: "h5py.File") -> "Iterator[h5py.Dataset]":
    """Yield the arrays that show something of the sample.

    Several dimensions, many numbers, or a name that says so; but not those whose path says that
    they describe. Links out of the file are not followed.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    found: list[h5py.Dataset] = []

    def visit(name: str, node: Any) -> None:
        if not isinstance(node, h5py.Dataset) or not _is_numeric(node.dtype) or not node.size:
            return
        parts = name.split("/")
        if any(_DESCRIBES.search(part) for part in parts):
            return
        named = node.ndim > 0 and _DATA.search(parts[-1]) is not None
        if node.ndim > 1 or node.size > _FEW or named:
            found.append(node)

    file.visititems(visit)
    yield from found


def _is_numeric(dtype: Any) -> bool:
    if dtype.names:
        return all(_is_numeric(dtype[name]) for name in dtype.names)
    return dtype.base.kind in "biufc"


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


def _encode_zeros(path: Path) -> None:
    """Give packed arrays valid chunks of zeros, and zero what lies within object headers."""
    import h5py  # noqa: PLC0415 - HDF5 only
    import numpy as np  # noqa: PLC0415 - HDF5 only

    with h5py.File(path, "r+") as file:
        for dataset in shown(file):
            if dataset.chunks is None:
                if dataset.id.get_offset() is None:
                    dataset[...] = np.zeros((), dataset.dtype)
            elif dataset.id.get_create_plist().get_nfilters():
                _refill(dataset, _packed_zeros(dataset))


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
    """Yield an array in blocks of its slowest dimension, of about so many numbers."""
    if dataset.ndim == 0:
        yield dataset[()]
        return
    rows = max(1, numbers // max(1, math.prod(dataset.shape[1:])))
    for start in range(0, dataset.shape[0], rows):
        yield dataset[start : start + rows]
