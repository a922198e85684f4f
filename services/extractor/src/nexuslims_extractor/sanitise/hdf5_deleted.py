"""Data deleted from an HDF5 file: its bytes stay, and no list says where."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from nexuslims_extractor.sanitise.plan import SanitiseError, Span

_WINDOW = 1024
_WORDS = _WINDOW // 8
_STRANGE = 0.75
"""Share of words in a window that are none of HDF5's own; its structures stay below half."""

_CUT = 7  # bytes of two cut characters
_LARGEST_ADDRESS = 1 << 40


def refuse_deleted(path: Path, arrays: Iterable[Span]) -> None:
    """Refuse a file that holds what looks like data and belongs to no array.

    HDF5's own structures are made of addresses and sizes, which are small numbers, of texts, and
    of bytes all ones (HDF5 File Format Specification, III).

    Parameters
    ----------
    path
        The file.
    arrays
        Where its arrays lie.

    Raises
    ------
    SanitiseError
        A kilobyte of it consists of something else.
    """
    with path.open("rb") as file:
        for gap in _gaps(arrays, path.stat().st_size):
            for at in range(gap.offset, gap.end - _WINDOW + 1, _WINDOW):
                file.seek(at)
                if _is_data(file.read(_WINDOW)):
                    raise SanitiseError(
                        f"what lies at byte {at} belongs to no array, but looks like data that "
                        "was deleted: run h5repack first"
                    )


def _gaps(spans: Iterable[Span], size: int) -> Iterator[Span]:
    at = 0
    for span in [*sorted(spans), Span(size, 0)]:
        start = -(-at // 8) * 8  # structures are aligned
        if span.offset > start:
            yield Span(start, span.offset - start)
        at = max(at, span.end)


def _is_data(window: bytes) -> bool:
    import numpy as np  # noqa: PLC0415 - HDF5 only

    if _is_prose(window):
        return False
    raw = np.frombuffer(window, "u1").reshape(-1, 8)
    words = raw.view("<u8")[:, 0]
    text = ((raw == 0) | ((raw >= 0x20) & (raw < 0x7F)) | ((raw >= 9) & (raw <= 13))).all(axis=1)  # noqa: PLR2004 - ASCII
    own = (words < _LARGEST_ADDRESS) | (words == 2**64 - 1) | text
    return bool((~own).sum() > _STRANGE * _WORDS)


def _is_prose(window: bytes) -> bool:
    """Whether it is text in any script; its first and last character may be cut."""
    text = window.decode("utf-8", "ignore")
    whole = len(window) - len(text.encode()) < _CUT
    return whole and all(letter.isprintable() or letter.isspace() for letter in text.strip("\0"))
