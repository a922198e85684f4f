"""Headers of HDF5 files of EBSD and EDS programs, as trees of texts and numbers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from nexuslims_formats.ebsd.grid import Grid
from nexuslims_formats.quantities import converted, quantity

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]

_ROWS = ("Y Cells", "nRows", "NROWS", "n_rows")
_COLUMNS = ("X Cells", "nColumns", "NCOLS", "n_columns")
_STEPS_Y = ("Y Step", "Step Y", "YSTEP", "step_y")
_STEPS_X = ("X Step", "Step X", "XSTEP", "step_x")
_LONGEST: Final = 4096
"""Bytes of a header's value that is kept."""


def header_tree(group: "h5py.Group") -> dict[str, Any]:
    """Return what a header holds, short values only, each with its unit behind it."""
    found: dict[str, Any] = {}
    for name, item in group.items():
        if hasattr(item, "keys"):
            found[str(name)] = header_tree(item)
        elif item.dtype.names is None and item.nbytes <= _LONGEST:
            unit = _plain(item.attrs.get("Unit", ""))
            value = header_value(item)
            found[str(name)] = f"{value} {unit}" if unit and not isinstance(value, str) else value
    return found


def header_value(item: "h5py.Dataset") -> Any:
    """Return a value as a text, a number or a list of them."""
    return _plain(item[()])


def grid_of(look_up: Callable[[str], Any]) -> Grid | None:
    """Return the points that a header tells of; None where it tells no number of them.

    Parameters
    ----------
    look_up
        Returns the value of a header by its name. Steps without a unit are um.
    """
    rows, columns = (_count(look_up, names) for names in (_ROWS, _COLUMNS))
    if not rows or not columns:
        return None
    return Grid(rows, columns, _length(look_up, _STEPS_Y), _length(look_up, _STEPS_X))


def _plain(value: Any) -> Any:
    """Return a scalar, or a list of them; HDF5 keeps one value as an array of one.

    A number of single precision is that of its shortest decimal form: 24.7, not 24.70000076.
    """
    if getattr(value, "dtype", None) == "float32" and value.size == 1:
        return float(str(value.reshape(-1)[0]))
    plain = value.tolist() if hasattr(value, "tolist") else value
    while isinstance(plain, list) and len(plain) == 1:
        plain = plain[0]
    return plain.decode("utf-8", "replace").strip("\0 ") if isinstance(plain, bytes) else plain


def _count(look_up: Callable[[str], Any], names: tuple[str, ...]) -> int:
    found = next((quantity(look_up(name)) for name in names if look_up(name) is not None), None)
    return int(found[0]) if found and found[0] > 0 else 0


def _length(look_up: Callable[[str], Any], names: tuple[str, ...]) -> float | None:
    found = next((look_up(name) for name in names if look_up(name) is not None), None)
    length = converted(quantity(found, "um"), "um")
    return length if length and length > 0 else None
