"""Data deleted from an HDF5 file: its bytes stay, and no list says where."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from nexuslims_sanitiser.plan import Span

_WINDOW = 1024
_STEP = 256
_CONTEXT = 512
_STRANGE = 0.55
"""Share of bytes that are none of HDF5's own; of noise it is 0.62, of its structures 0.3."""

_WIDTHS = (1, 2, 4)
_CUT = 7  # bytes of two cut characters


def deleted_spans(
    path: Path, arrays: Iterable[Span], known: Collection[bytes] = ()
) -> Iterator[Span]:
    """Yield where a file holds a kilobyte of what looks like data and belongs to no array.

    HDF5's own structures are made of addresses and sizes, which are small numbers, of texts, and
    of bytes all ones (HDF5 File Format Specification, III). Should one be taken for data, then
    the copy tells something else than the original, or does not open.

    Parameters
    ----------
    path
        The file.
    arrays
        Where its arrays lie.
    known
        Values of its attributes, as it keeps them, of up to 512 bytes.
    """
    with path.open("rb") as file:
        for gap in _gaps(arrays, path.stat().st_size):
            for at in range(gap.offset, gap.end - _WINDOW + 1, _STEP):
                before = min(at, _CONTEXT)
                file.seek(at - before)
                context = file.read(before + _WINDOW + _CONTEXT)
                window = slice(before, before + _WINDOW)
                if _is_data(context[window]) and _is_data(_without(context, known)[window]):
                    yield Span(at, _WINDOW)


def _gaps(spans: Iterable[Span], size: int) -> Iterator[Span]:
    at = 0
    for span in [*sorted(spans), Span(size, 0)]:
        start = -(-at // _STEP) * _STEP  # the same places in a copy
        if span.offset > start:
            yield Span(start, span.offset - start)
        at = max(at, span.end)


def _without(content: bytes, values: Collection[bytes]) -> bytes:
    for value in values:
        content = content.replace(value, bytes(len(value)))
    return content


def _is_data(window: bytes) -> bool:
    """Whether too many bytes are strange, among all or among those of one place in a number."""
    import numpy as np  # noqa: PLC0415 - HDF5 only

    if _is_prose(window):
        return False
    raw = np.frombuffer(window, "u1")
    own = bytes([0, 0xFF, *b"\t\r\n", *range(0x20, 0x7F)])
    strange = ~np.isin(raw, np.frombuffer(own, "u1"))
    return any(strange[place::step].mean() > _STRANGE for step in _WIDTHS for place in range(step))


def _is_prose(window: bytes) -> bool:
    """Whether it is text in any script; its first and last character may be cut."""
    text = window.decode("utf-8", "ignore")
    whole = len(window) - len(text.encode()) < _CUT
    return whole and all(letter.isprintable() or letter.isspace() for letter in text.strip("\0"))
