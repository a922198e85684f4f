"""HDF5 containers (Velox, NCEM, DM5, HyperSpy, NeXus, Tofwerk, ...): their arrays zeroed."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexuslims_extractor.errors import UnreadableFileError
from nexuslims_extractor.sanitise.hdf5_heap import REFERENCE, row_spans
from nexuslims_extractor.sanitise.hidden import embedded_images
from nexuslims_extractor.sanitise.plan import Plan, SanitiseError, Span, zero_spans

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]
    import numpy as np

# metadata as text, instrument logs and clocks describe, however many dimensions they have;
# axes, calibrations and look-up tables have one, and are called so: by the last word of their name,
# or by the whole name of a group above
_DESCRIBES = re.compile(r"(?i)(/meta_?data|/tw(data|info)|times?)$|/physicaldata/")
_DESCRIBING_GROUP = re.compile(
    r"(?i)meta_?data|physicaldata|(.*[ _])?ax[ei]s([ _-]?\d+)?|(.*[ _])?calibrations?|dim\d*"
)
_DESCRIBES_IN_A_ROW = re.compile(
    r"(?i)(.*[^a-z-])?((meta_?data|ax[ei]s|scales?|dim|offsets?|calibrations?|(lookup)?tables?"
    r"|rotation|shear)([^a-z]*|[ _]?[a-z]))"
)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DATA = re.compile(r"(?i)^data$|image|spectr|counts|signal|thumb|preview|stream")
_FEW = 16
_LONGEST_NUMBERS = 512
"""Bytes of numbers that may stand where metadata is: an attribute, a scalar."""


def plan_hdf5(path: Path) -> Plan:
    """Zero the bytes of every array that shows something, then encode zeros where it was packed.

    Zeroing the bytes first leaves nothing behind in space that HDF5 frees while packing anew.

    Raises
    ------
    SanitiseError
        Data lies in another file, or where metadata is, or is filtered by something that h5py
        cannot do.
    UnreadableFileError
        The file is damaged.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    spans: list[Span] = []
    try:
        with h5py.File(path, "r") as file:
            _refuse_hidden(file)
            for dataset in shown(file):
                stored = _spans(dataset)
                if dataset.dtype.hasobject:
                    spans += row_spans(path, stored, _base(dataset))
                else:
                    spans += stored
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UnreadableFileError(f"the HDF5 file is damaged: {error}") from None
    return zero_spans(path.stat().st_size, spans, _encode_zeros)


def shown(file: "h5py.File") -> "Iterator[h5py.Dataset]":
    """Yield the arrays that show something of the sample.

    Several dimensions, many numbers, or a name that says so; but not those whose path says that
    they describe. Links out of the file are not followed.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    found: list[h5py.Dataset] = []

    def visit(name: str, node: Any) -> None:
        if not isinstance(node, h5py.Dataset) or not node.ndim or not node.size:
            return
        if _is_numeric(node.dtype) and _is_data(f"/{name}", node.ndim, node.size):
            found.append(node)

    file.visititems(visit)
    yield from found


def _refuse_hidden(file: "h5py.File") -> None:
    """Refuse what may show the sample where only metadata should be: a copy keeps that."""
    import h5py  # noqa: PLC0415 - HDF5 only

    def visit(name: str, node: Any) -> None:
        for key in node.attrs:
            if reason := _may_show(node.attrs[key]):
                raise SanitiseError(f"the attribute {key!r} of /{name} {reason}: remove it first")
        lone = isinstance(node, h5py.Dataset) and (not node.ndim or not _is_numeric(node.dtype))
        if lone and node.size and (reason := _may_show(node[()])):
            raise SanitiseError(f"/{name} {reason}: remove it first")

    visit("", file)
    file.visititems(visit)


def _may_show(value: Any) -> str:
    """Say what may be an image in the value of an attribute, of a scalar or of texts."""
    import numpy as np  # noqa: PLC0415 - HDF5 only

    array = np.asarray(value)
    if array.dtype.names:  # of a table, which has texts too, the texts
        fields = (array[name] for name in array.dtype.names)
        looked = (one for one in fields if not array.ndim or one.dtype.kind in "SUO")
        return next(filter(None, map(_may_show, looked)), "")
    if array.dtype.kind in "biufcV" and array.nbytes > _LONGEST_NUMBERS:
        return f"holds {array.nbytes} bytes that nobody can tell from an image"
    if array.dtype.kind not in "SUO":
        return ""
    for one in array.ravel().tolist():
        text = one.encode("utf-8", "replace") if isinstance(one, str) else one
        if isinstance(text, bytes) and next(embedded_images(text), None):
            return "holds an image as text"
        if not isinstance(text, bytes) and np.asarray(text).nbytes > _LONGEST_NUMBERS:
            return f"holds {np.asarray(text).nbytes} bytes that nobody can tell from an image"
    return ""


def _is_data(path: str, dimensions: int, size: int) -> bool:
    if _DESCRIBES.search(path):
        return False
    *groups, name = path.split("/")
    describes = _DESCRIBES_IN_A_ROW.fullmatch(_WORDS.sub(" ", name)) is not None
    if dimensions > 1 or (_DATA.search(name) and not describes):
        return True
    return size > _FEW and not describes and not any(map(_DESCRIBING_GROUP.fullmatch, groups))


def _is_numeric(dtype: Any) -> bool:
    import h5py  # noqa: PLC0415 - HDF5 only
    import numpy as np  # noqa: PLC0415 - HDF5 only

    if dtype.names:
        return all(_is_numeric(dtype[name]) for name in dtype.names)
    # opaque bytes may be a picture; rows of uneven length are numbers all the same
    uneven = h5py.check_vlen_dtype(dtype)
    return dtype.base.kind in "biufcV" or (isinstance(uneven, np.dtype) and _is_numeric(uneven))


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
        if all(map(_lies_plain, shown(file))):
            return
    with h5py.File(path, "r+") as file:
        for dataset in shown(file):
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
    """Yield an array in blocks of its slowest dimension, of about so many numbers."""
    if dataset.ndim == 0:
        yield dataset[()]
        return
    rows = max(1, numbers // max(1, math.prod(dataset.shape[1:])))
    for start in range(0, dataset.shape[0], rows):
        yield dataset[start : start + rows]
