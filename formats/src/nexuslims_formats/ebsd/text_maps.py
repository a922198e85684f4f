"""Maps of orientations as text: ``.ang`` of EDAX and OIM, ``.ctf`` of HKL and Oxford.

References
----------
``.ang``: lines of ``# NAME value``, then columns: three Euler angles, x and y in um, image quality,
confidence, phase, ... (OIM Analysis). The first row and every second one after it have
``NCOLS_ODD`` points. ``.ctf``: lines of ``name, tab, value``, the phases, the names of the columns;
BC is the band contrast (HKL Channel 5). Working distances are mm, steps um, voltages kV.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexuslims_formats.ebsd.grid import DATA_TYPE, Grid, map_signal
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.quantities import TEXT, Row, mapped, number
from nexuslims_formats.values import leaves, lines_of

if TYPE_CHECKING:
    import numpy as np

_HEAD_BYTES, _TAIL_BYTES = 1 << 16, 4096
_LONGEST_SIDE = 1 << 18
_NEARLY = 0.5
"""A point nearer to the last one than half a step is the last one."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the points of a text start, and which columns matter."""

    start: int
    x: int
    y: int
    quality: int
    comma: bool = False
    """Whether numbers have a decimal comma."""


class AngExtractor:
    """Reads the head of an ``.ang``; its picture is the image quality."""

    name = "ebsd_ang"
    version = "1.0"
    priority = 100
    extensions = ("ang",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the names in the comments at the start."""
        del path
        return head.startswith(b"#") and any(mark in head for mark in _ANG_MARKS)

    def open(self, path: Path) -> ParsedFile:
        """Read the comments; the points are read for a preview only."""
        text, raw = _head(path)
        entries, phases, start = _ang_entries(text)
        grid = _ang_grid(entries)
        columns = _Columns(start, x=3, y=4, quality=5, comma=_has_commas(raw, start))
        tree = {**entries, "phases": phases}
        return _parsed(path, grid, columns, dict(mapped(entries.get, _ANG_FIELDS)), tree)


class CtfExtractor:
    """Reads the head of a ``.ctf``; its picture is the band contrast."""

    name = "ebsd_ctf"
    version = "1.0"
    priority = 100
    extensions = ("ctf",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the first words."""
        del path
        return head.lstrip(b"\xef\xbb\xbf").startswith(b"Channel Text File")

    def open(self, path: Path) -> ParsedFile:
        """Read the lines before the points; the points are read for a preview only."""
        text, raw = _head(path)
        entries, phases, names, start = _ctf_entries(text)
        grid = _ctf_grid(entries)
        columns = None
        if names:
            quality = next((names.index(one) for one in ("BC", "BS", "Bands") if one in names), 0)
            places = {name: index for index, name in enumerate(names)}
            columns = _Columns(
                start, places.get("X", 1), places.get("Y", 2), quality, _has_commas(raw, start)
            )
        tree = {**entries, "phases": phases}
        return _parsed(path, grid, columns, dict(mapped(entries.get, _CTF_FIELDS)), tree)


_ANG_MARKS = (b"TEM_PIXperUM", b"XSTEP", b"GRID:", b"x-star")
_ANG_FIELDS: tuple[Row, ...] = (
    ("working_distance", "WorkingDistance", "mm"),
    ("stage_tilt", "SampleTiltAngle", "degree"),
    ("acceleration_voltage", "BeamVoltage", "kV"),
    ("magnification", "Magnification", "x"),
    ("operator", "OPERATOR", TEXT),
    ("specimen", "SAMPLEID", TEXT),
)
_ANG_PHASE = ("MaterialName", "Formula", "Symmetry", "LatticeConstants", "Info")
_ANG_ENTRY = re.compile(r"#\s*([A-Za-z][\w-]*):?[ \t]+(.*)")
_CTF_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "KV", "kV"),
    ("magnification", "Mag", "x"),
    ("stage_tilt", "TiltAngle", "degree"),
    ("operator", "Author", TEXT),
)
_CTF_COLUMNS = "Phase\tX\tY"
_CTF_PAIRS = re.compile(r"\t([A-Za-z]\w*)\t([^\t]+)")
_PHASES = "Phases"


def _head(path: Path) -> tuple[str, bytes]:
    with path.open("rb") as file:
        raw = file.read(_HEAD_BYTES)
    return decode(raw, cut=True)[0], raw


def _ang_entries(text: str) -> tuple[dict[str, str], dict[str, dict[str, str]], int]:
    """Return the entries, the phases by number, and how many lines stand before the points."""
    entries: dict[str, str] = {}
    phases: dict[str, dict[str, str]] = {}
    phase: dict[str, str] = {}
    count = 0
    for line in lines_of(text):
        if not line.startswith("#"):
            break
        count += 1
        found = _ANG_ENTRY.match(line)
        if found is None:
            continue
        name, value = found[1], found[2].strip()
        if name == "Phase":
            phase = phases.setdefault(value, {})
        elif name in _ANG_PHASE:
            phase[name] = value
        else:
            entries.setdefault(name, value)
    return entries, phases, count


def _ang_grid(entries: Mapping[str, str]) -> Grid | None:
    names = ("NROWS", "NCOLS_ODD", "NCOLS_EVEN")
    rows, odd, even = (_side(entries.get(name)) for name in names)
    if rows is None or odd is None:
        return None
    hexagonal = "hex" in entries.get("GRID", "").lower()
    step_y, step_x = number(entries.get("YSTEP")), number(entries.get("XSTEP"))
    return Grid(rows, odd, step_y, step_x, (even or odd) if hexagonal else None)


def _side(text: str | None) -> int | None:
    """Return how many points a row or column has; None where that is not told, or no map's."""
    found = number(text)
    return int(found) if found is not None and 1 <= found <= _LONGEST_SIDE else None


def _ctf_entries(text: str) -> tuple[dict[str, str], dict[str, dict[str, str]], list[str], int]:
    """Return entries, phases by number, names of the columns, and the lines before the points."""
    entries: dict[str, str] = {}
    phases: dict[str, dict[str, str]] = {}
    lines = lines_of(text)
    for count, line in enumerate(lines, start=1):
        if line.startswith(_CTF_COLUMNS):
            return entries, phases, line.split(), count
        name, _, value = line.partition("\t")
        if ";" in name and _PHASES in entries:  # lattice, angles, name, groups
            fields = line.split("\t")
            keys = ("lattice", "angles", "name", "laue_group", "space_group")
            phases[str(len(phases) + 1)] = dict(zip(keys, fields, strict=False))
        elif name.startswith("Euler angles refer"):
            entries.update(_CTF_PAIRS.findall(line))
        elif value:
            entries.setdefault(name.strip(), value.strip())
    return entries, phases, [], 0


def _ctf_grid(entries: Mapping[str, str]) -> Grid | None:
    rows, columns = _side(entries.get("YCells")), _side(entries.get("XCells"))
    if rows is None or columns is None:
        return None
    return Grid(rows, columns, number(entries.get("YStep")), number(entries.get("XStep")))


def _parsed(
    path: Path,
    grid: Grid | None,
    columns: _Columns | None,
    metadata: dict[str, Value],
    tree: Mapping[str, Any],
) -> ParsedFile:
    extensions = dict(leaves(tree, "ebsd"))
    if grid is None:
        signal = Signal(
            name=path.stem,
            dataset_type="Image",
            data_type=DATA_TYPE,
            metadata=metadata,
            extensions=extensions,
            problems=("the head does not tell how many points the map has",),
        )
        return ParsedFile(signals=[signal], native=tree, reader="text of points")
    problem = "the file ends before its points" if columns is None else _end(path, columns, grid)
    signal = map_signal(
        path.stem,
        grid,
        metadata=metadata,
        extensions=extensions,
        pixels=_picture(path, columns, grid) if columns else None,
        problems=(problem,) if problem else (),
    )
    return ParsedFile(signals=[signal], native=tree, reader="text of points")


def _has_commas(raw: bytes, start: int) -> bool:
    """Whether the numbers of the first point have a decimal comma."""
    return b"," in b"".join(raw.splitlines()[start : start + 1])


def _end(path: Path, columns: _Columns, grid: Grid) -> str:
    """Return that the last point of the file is not that of the grid; empty if it is."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = file.read().replace(b",", b".") if columns.comma else file.read()
    lines = [line for line in tail.splitlines() if line.strip() and not line.startswith(b"#")]
    last = lines[-1].split() if lines else []
    if not grid.step_x or not grid.step_y:
        return ""
    try:
        x, y = float(last[columns.x]), float(last[columns.y])
    except (IndexError, ValueError):
        return "the file ends within its points"
    right = (grid.lengths()[-1] - 1) * grid.step_x
    whole = y >= (grid.rows - 1 - _NEARLY) * grid.step_y and x >= right - _NEARLY * grid.step_x
    row = int(y / grid.step_y + _NEARLY) + 1
    return "" if whole else f"the file ends in row {row} of the {grid.rows} rows of its map"


def _picture(path: Path, columns: _Columns, grid: Grid) -> "Callable[[], np.ndarray]":
    def open_pixels() -> "np.ndarray":
        import numpy as np  # noqa: PLC0415 - previews only

        lines = _numbers(path, columns)
        values = np.loadtxt(
            lines, np.float32, usecols=(columns.quality,), ndmin=1, max_rows=sum(grid.lengths())
        )
        return grid.arrange(values)

    return open_pixels


def _numbers(path: Path, columns: _Columns) -> Iterator[str]:
    """Yield the lines of the points; one that the end of the file cut is left out."""
    with path.open(encoding="latin-1") as file:
        for count, line in enumerate(file):
            if count >= columns.start and len(line.split()) > columns.quality:
                yield line.replace(",", ".") if columns.comma else line
