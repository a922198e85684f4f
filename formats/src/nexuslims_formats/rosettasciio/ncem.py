"""The order of the axes of NCEM's and py4DSTEM's files, which rosettasciio turns round."""

from pathlib import Path
from typing import Any, Final

from nexuslims_formats.rosettasciio.parts import OPENER
from nexuslims_formats.rosettasciio.topspin import scanned

_POSITIONS, _PATTERNS = ("r_", "rx", "ry"), ("q_", "qx", "qy")
_SCANNED: Final = 4


def in_order(path: Path, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the datasets of a file with the axes in the file's order, rows before columns.

    The library turns all arrays round, which is right for files of HyperSpy's and of Prismatic's
    only; it leaves alone those whose axes count from 0, as EMD 1.0 has them.

    Parameters
    ----------
    path
        The file.
    parts
        Its datasets as rosettasciio gives them.
    """
    import h5py  # type: ignore[import-untyped]  # noqa: PLC0415 - HDF5 only

    with h5py.File(path, "r") as file:
        is_turned = not {"signals", "4DSTEM_simulation"} & set(file)
        counts_from_0 = file.attrs.get("emd_group_type") == "file"
    if is_turned and not counts_from_0:
        parts = [_turned(part) for part in parts]
    return rows_first(parts)


def rows_first(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return datasets with rows before columns, and the positions of scans marked."""
    return [_with_positions(_rows_first(part)) for part in parts]


def _turned(part: dict[str, Any]) -> dict[str, Any]:
    axes = [
        {**axis, "index_in_array": place} for place, axis in enumerate(reversed(_ordered(part)))
    ]
    turned = {**part, "data": part["data"].T, "axes": axes}
    opener = part.get(OPENER)
    return turned | {OPENER: lambda: opener().T} if opener else turned


def _rows_first(part: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset turned where its columns come before its rows, as their names tell."""
    names = _names(part)
    is_turned = {"x", "y"} <= set(names) and names.index("x") < names.index("y")
    return _turned(part) if is_turned else part


def _with_positions(part: dict[str, Any]) -> dict[str, Any]:
    """Mark the positions of py4DSTEM's scans, R, before their patterns, Q: it counts both."""
    names = _names(part)
    if len(names) != _SCANNED or not (
        all(name.startswith(_POSITIONS) for name in names[:2])
        and all(name.startswith(_PATTERNS) for name in names[2:])
    ):
        return part
    axes = [{**axis, "navigate": place < 2} for place, axis in enumerate(_ordered(part))]  # noqa: PLR2004
    return scanned({**part, "axes": axes})


def _ordered(part: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(part.get("axes") or [], key=lambda axis: axis.get("index_in_array") or 0)


def _names(part: dict[str, Any]) -> list[str]:
    return [str(axis.get("name")).lower() for axis in _ordered(part)]
