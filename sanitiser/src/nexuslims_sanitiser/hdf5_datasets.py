"""What of an HDF5 file shows the sample: every array, but for those known to describe it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nexuslims_sanitiser.hidden import embedded_images
from nexuslims_sanitiser.plan import SanitiseError

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]

_TINY = 128
_SMALL = 4096
_LARGEST_ATTRIBUTE = 512
# instrument logs, clocks and peak tables of Tofwerk: numbers in any shape that tell no place
_LOGS = re.compile(
    r"/(?:TPS2|FibParams/\w+)/TwData|/TimingData/BufTimes|/AcquisitionLog/Log"
    r"|/PeakData/PeakTable"
)
_METADATA = re.compile(r"(?i)(?:\w+_)?meta_?data|physicaldata")
_AXIS = re.compile(
    r"(?i)(?:\w*axis|axes|dim\d*|\w*scale[a-z]?|\w*offset|\w*calibration|\w*table"
    r"|rotation|shear)"
)
_DATA = re.compile(r"(?i)^data$|image|spectr|counts|signal|thumb|preview|stream")


def datasets_of(file: "h5py.File") -> "Iterator[h5py.Dataset]":
    """Yield the arrays that may show something of the sample.

    All but the tiny, the small ones in a row that a name or group says to be metadata, axes that
    rise or fall all along, text, and the logs of known vendors. Links out of the file are not
    followed.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    found: list[h5py.Dataset] = []

    def visit(_: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.size and _holds_numbers(node.dtype):
            found.append(node)

    file.visititems(visit)
    yield from (dataset for dataset in found if not _describes(dataset))


def refuse_hidden(file: "h5py.File") -> None:
    """Refuse a file with an image where no array is: in an attribute, or as words in a text.

    Raises
    ------
    SanitiseError
        There is one.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    def visit(name: str, node: Any) -> None:
        for key in node.attrs:
            found = node.attrs.get_id(key)
            if _holds_numbers(found.dtype) and found.get_storage_size() > _LARGEST_ATTRIBUTE:
                raise SanitiseError(
                    f"the attribute {key} of {name} holds {found.get_storage_size()} bytes that "
                    "cannot be told from an image: delete it first"
                )
            if _is_text(found.dtype):
                _refuse_image(node.attrs[key], f"the attribute {key} of {name}")
        if isinstance(node, h5py.Dataset) and node.size and _is_text(node.dtype):
            _refuse_image(node[()], node.name)

    visit("/", file)
    file.visititems(visit)


def _refuse_image(value: Any, place: str) -> None:
    import numpy as np  # noqa: PLC0415 - HDF5 only

    for text in np.asarray(value, object).ravel():
        raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        if isinstance(raw, bytes) and any(content.strip(b"\0A") for _, content in _images(raw)):
            raise SanitiseError(f"{place} holds an image in its text: delete it first")


def _images(text: bytes) -> "Iterator[tuple[Any, bytes]]":
    return ((span, text[span.offset : span.end]) for span, _ in embedded_images(text))


def _describes(dataset: "h5py.Dataset") -> bool:
    """Whether an array of numbers is metadata, by the whole parts of its path and its size."""
    *groups, name = dataset.name.split("/")
    if _LOGS.fullmatch(dataset.name) or _is_words(dataset, name):
        return True
    size = dataset.size * dataset.dtype.itemsize
    within = any(map(_METADATA.fullmatch, groups))
    if _is_opaque(dataset.dtype) or dataset.dtype.hasobject or (dataset.ndim > 1 and not within):
        return False
    named = _AXIS.fullmatch(name)
    if size <= _TINY and (within or named or not dataset.ndim or not _DATA.search(name)):
        return True
    if dataset.ndim != 1:
        return False
    return (size <= _SMALL and bool(named or within)) or (bool(named) and _is_monotonic(dataset))


def _is_words(dataset: "h5py.Dataset", name: str) -> bool:
    """Whether columns of bytes named ``Metadata`` are JSON, as Velox keeps it."""
    if not _METADATA.fullmatch(name) or dataset.dtype.itemsize != 1 or not dataset.ndim:
        return False
    columns = dataset[()].reshape(dataset.shape[0], -1)
    texts = [columns[:, index].tobytes().rstrip(b"\0") for index in range(columns.shape[1])]
    return any(texts) and all(not text or _is_json(text) for text in texts)


def _is_json(text: bytes) -> bool:
    return text.startswith(b"{") and text.decode("utf-8", "ignore").encode() == text


def _is_monotonic(dataset: "h5py.Dataset") -> bool:
    import numpy as np  # noqa: PLC0415 - HDF5 only

    if dataset.dtype.kind not in "iuf":
        return False
    values = dataset[()]
    return bool(np.all(values[1:] > values[:-1]) or np.all(values[1:] < values[:-1]))


def _is_opaque(dtype: Any) -> bool:
    return dtype.base.kind == "V" and not dtype.names


def _is_text(dtype: Any) -> bool:
    import h5py  # noqa: PLC0415 - HDF5 only

    return h5py.check_string_dtype(dtype) is not None


def _holds_numbers(dtype: Any) -> bool:
    import h5py  # noqa: PLC0415 - HDF5 only
    import numpy as np  # noqa: PLC0415 - HDF5 only

    if dtype.names:
        return any(_holds_numbers(dtype[name]) for name in dtype.names)
    # opaque bytes may be a picture; rows of uneven length are numbers all the same
    uneven = h5py.check_vlen_dtype(dtype)
    return dtype.base.kind in "biufcV" or (isinstance(uneven, np.dtype) and _holds_numbers(uneven))
