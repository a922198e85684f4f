"""Logs of holders, which the library reads as UTF-8, evenly spaced, and in seconds."""

import importlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from nexuslims_contracts.units import known_unit
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.rosettasciio.parts import DOUBTS, replaced

LOGS: Final = frozenset({"protochips", "impulse", "dens"})
"""Readers of what a holder measured over time."""
_HEAD: Final = 1 << 20
"""Bytes by which the encoding is recognised: names and notes come first."""
_UNEVEN: Final = 2.0
"""Of the mean step: a longer one is a pause."""
_POINT: Final = re.compile(r"\t[-+]?\d+\.\d")
_COMMA: Final = re.compile(r"(?<=\d),(?=\d)")
_MILLISECONDS: Final = "Milliseconds"
"""The only unit that the library converts."""


def read_log(name: str, path: Path) -> list[dict[str, Any]]:
    """Read a log in the encoding of the computer that wrote it.

    Parameters
    ----------
    name
        rosettasciio's name of the format.
    path
        The log.
    """
    api = importlib.import_module(f"rsciio.{name}._api")
    with path.open("rb") as file:
        _, encoding = decode(file.read(_HEAD), cut=True)
    opened = partial(open, encoding=encoding, errors="backslashreplace")
    with replaced(api, "open", partial(_with_points, opened) if name == "dens" else opened):
        parts: list[dict[str, Any]] = api.file_reader(str(path))
    amend = {"protochips": _with_times, "impulse": _named}.get(name, dict)
    return list(map(amend, parts))


def _with_points(opened: Callable[..., Any], path: str, mode: str) -> io.StringIO:
    """Open a log, whose columns stand apart by tabs, with points where it has decimal commas."""
    with opened(path, mode) as file:
        text = file.read()
    return io.StringIO(text if _POINT.search(text) else _COMMA.sub(".", text))


def _named(part: dict[str, Any]) -> dict[str, Any]:
    """Return a quantity of Impulse by its name: the library gives its unit alone."""
    metadata = part["metadata"]
    signal = {"quantity": metadata["General"]["title"]}
    return {**part, "metadata": {**metadata, "Signal": signal}}


def _with_times(part: dict[str, Any]) -> dict[str, Any]:
    """Return a quantity over time in the unit that its log states, with what its steps are."""
    header = part["original_metadata"]["Protochips_header"]
    axes = part["axes"]
    if header["Time units"] != _MILLISECONDS:
        axes = [{**axis, "units": known_unit(header["Time units"]) or ""} for axis in axes]
    return {**part, "axes": axes, DOUBTS: list(_pauses(header))}


def _pauses(header: Mapping[str, Any]) -> Iterator[str]:
    import numpy as np  # noqa: PLC0415 - for logs only

    unit = known_unit(header["Time units"]) or header["Time units"]
    steps = np.diff(np.asarray(header["Time axis"]["value"], dtype=float))
    if steps.size and steps.max() > _UNEVEN * steps.mean():
        span = f"{steps.min():g} to {steps.max():g} {unit}"
        yield f"the axis Time has steps of {span}: their mean is shown"
