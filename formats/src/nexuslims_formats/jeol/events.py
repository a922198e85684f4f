"""The events of JEOL's maps of spectra, counted: how many at each point, and in each channel.

A word of sixteen bits is a kind (the upper four) and a value: 8 the column and 9 the line of what
follows, in 4096ths of the field; B an X-ray in a channel; A an electron signal.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

_COLUMN, _LINE, _X_RAY = 0x8, 0x9, 0xB
_FIELD: Final = 4096
_BLOCK: Final = 8 << 20
"""Words read at once."""
_MOST_BLOCKS: Final = 32
"""Of longer streams the first words stand for all."""


def summed_events(
    path: Path, start: int, rows: int, columns: int
) -> "tuple[np.ndarray, np.ndarray]":
    """Return counts at each point, and the share of each channel in all of them.

    Parameters
    ----------
    path
        The file.
    start
        Where its events begin.
    rows, columns
        Of the map.

    Returns
    -------
    counts, shares
        Shaped ``(rows, columns)`` and ``(4096,)``; the shares add up to one.
    """
    import numpy as np  # noqa: PLC0415 - previews only

    counts = np.zeros(rows * columns)
    channels = np.zeros(_FIELD)
    line = column = 0
    with path.open("rb") as file:
        file.seek(start)
        for _ in range(_MOST_BLOCKS):
            words = np.fromfile(file, "<u2", _BLOCK)
            if not len(words):
                break
            kinds, values = words >> 12, (words & 0xFFF).astype(np.int64)
            lines, line = _last(kinds == _LINE, values, line)
            places, column = _last(kinds == _COLUMN, values, column)
            rays = kinds == _X_RAY
            point = (lines[rays] * rows // _FIELD) * columns + places[rays] * columns // _FIELD
            counts += np.bincount(point, minlength=rows * columns)
            channels += np.bincount(values[rays], minlength=_FIELD)
    return counts.reshape(rows, columns), channels / (channels.sum() or 1.0)


def _last(where: "np.ndarray", values: "np.ndarray", before: int) -> "tuple[np.ndarray, int]":
    """Return at each word the value of the last one of a kind, and that at the end.

    Parameters
    ----------
    where
        Which words are of the kind.
    values
        Of all words.
    before
        The last value of the words before.
    """
    import numpy as np  # noqa: PLC0415 - previews only

    known = np.concatenate(([before], values[where]))
    found = known[np.cumsum(where)]
    return found, int(known[-1])
