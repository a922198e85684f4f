"""What of an HDF5 file shows the sample: every array, but for those known to describe it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nexuslims_sanitiser.hidden import embedded_images
from nexuslims_sanitiser.opaque import is_opaque, is_written, opaque_bytes
from nexuslims_sanitiser.plan import SanitiseError
from nexuslims_sanitiser.proven import is_metadata

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]

_TINY = 128
_SMALL = 4096
_LARGEST_ATTRIBUTE = 512
_ALONE = 16
_ALL_SMALL = 8192
"""Bytes of all small arrays of a file; and of its attributes of more than a number."""
_MOST_OPAQUE = 4096
"""Bytes of all texts of a file that may be no words, see :mod:`.opaque`."""
_LONG = 64
_LARGEST_FILL = 64
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
    small = _Small()
    yield from (dataset for dataset in found if not _describes(dataset, small))


class _Small:
    """How much of a file is kept only because it is small: many small arrays make an image."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._left = _ALL_SMALL

    def admit(self, value: bytes) -> bool:
        """Whether one more small value may stay; numbers alone, and what is there already, may."""
        if len(value) <= _ALONE or not value.strip(b"\0") or value in self._seen:
            return True
        if len(value) > self._left:
            return False
        self._seen.add(value)
        self._left -= len(value)
        return True


def refuse_hidden(file: "h5py.File") -> None:
    """Refuse a file with an image where no array is: in attributes, or as words in texts.

    Raises
    ------
    SanitiseError
        There is one.
    """
    import h5py  # noqa: PLC0415 - HDF5 only

    small = _Small()
    texts: set[str] = set()
    names: set[str] = set()

    def visit(name: str, node: Any) -> None:
        names.add(name.rpartition("/")[2])
        for key in node.attrs:
            _look_at_attribute(node, key, f"the attribute {key} of {name}", small, texts)
        if isinstance(node, h5py.Dataset):
            if node.size and _is_text(node.dtype):
                texts.update(_texts_of(node[()], node.name))
            elif node.dtype.itemsize > _LARGEST_FILL and node.fillvalue is not None:
                _refuse_fill(node)

    visit("/", file)
    file.visititems(visit)
    lines = "\n".join(sorted(names))
    if is_opaque(lines) or opaque_bytes("\n".join([lines, *sorted(texts)])) > _MOST_OPAQUE:
        raise SanitiseError(
            "its texts and names hold numbers or letters that cannot be told from an image:"
            " delete them first"
        )


def _look_at_attribute(node: Any, key: str, place: str, small: _Small, texts: set[str]) -> None:
    """Refuse an attribute that may be an image; its texts are gathered."""
    import numpy as np  # noqa: PLC0415 - HDF5 only

    found = node.attrs.get_id(key)
    texts.add(key)
    if _is_text(found.dtype):
        texts.update(_texts_of(node.attrs[key], place))
    elif _holds_numbers(found.dtype):
        size = found.get_storage_size()
        if size > _LARGEST_ATTRIBUTE or not small.admit(np.asarray(node.attrs[key]).tobytes()):
            raise SanitiseError(
                f"{place} holds {size} bytes that cannot be told from an image: delete it first"
            )


def _refuse_fill(dataset: "h5py.Dataset") -> None:
    import numpy as np  # noqa: PLC0415 - HDF5 only

    if np.asarray(dataset.fillvalue).tobytes().strip(b"\0"):
        raise SanitiseError(
            f"what {dataset.name} has where nothing was written cannot be told from an image:"
            " run h5repack without that array first"
        )


def _texts_of(value: Any, place: str) -> Iterator[str]:
    """Yield the texts of a value; one that may hold an image is refused."""
    import numpy as np  # noqa: PLC0415 - HDF5 only

    found: list[str] = []
    for text in np.asarray(value, object).ravel():
        raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        if isinstance(raw, bytes):
            found.append(raw.decode("utf-8", "replace"))
            if any(content.strip(b"\0A") for _, content in _images(raw)):
                raise SanitiseError(f"{place} holds an image in its text: delete it first")
    if is_opaque("\n".join(found)) or any(
        len(one) > _LONG and not is_written(one) for one in found
    ):
        raise SanitiseError(f"{place} holds an image in its text: delete it first")
    yield from found


def _images(text: bytes) -> "Iterator[tuple[Any, bytes]]":
    return ((span, text[span.offset : span.end]) for span, _ in embedded_images(text))


def _describes(dataset: "h5py.Dataset", small: _Small) -> bool:
    """Whether an array of numbers is metadata, by the whole parts of its path and its size.

    Small arrays, unless they rise or fall all along, are so only while they are few.
    """
    import numpy as np  # noqa: PLC0415 - HDF5 only

    *groups, name = dataset.name.split("/")
    if _LOGS.fullmatch(dataset.name) or _is_words(dataset, name):
        return True
    size = dataset.size * dataset.dtype.itemsize
    within = any(map(_METADATA.fullmatch, groups))
    if _is_opaque(dataset.dtype) or dataset.dtype.hasobject or (dataset.ndim > 1 and not within):
        return False
    named = _AXIS.fullmatch(name)
    tiny = size <= _TINY and (within or named or not dataset.ndim or not _DATA.search(name))
    if dataset.ndim == 1 and named and _is_monotonic(dataset):
        return True
    if not tiny and (dataset.ndim != 1 or size > _SMALL or not (named or within)):
        return False
    return small.admit(np.asarray(dataset[()]).tobytes())


def _is_words(dataset: "h5py.Dataset", name: str) -> bool:
    """Whether columns of bytes named ``Metadata`` are JSON, as Velox keeps it."""
    if not _METADATA.fullmatch(name) or dataset.dtype.itemsize != 1 or not dataset.ndim:
        return False
    columns = dataset[()].reshape(dataset.shape[0], -1)
    texts = [columns[:, index].tobytes().rstrip(b"\0") for index in range(columns.shape[1])]
    return any(texts) and all(not text or _is_json(text) for text in texts)


def _is_json(text: bytes) -> bool:
    return text.startswith(b"{") and is_metadata(text)


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
