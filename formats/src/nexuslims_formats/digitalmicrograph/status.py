"""The status text that DigitalMicrograph takes over from FEI's microscopes (tag ``Tecnai``).

Lines are separated by U+2028. Those of the energy filter follow the heading "Filter related
settings" and repeat names of the microscope's, such as Mode.
"""

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from nexuslims_formats.model import Value
from nexuslims_formats.quantities import quantity
from nexuslims_formats.values import snake

Extension: TypeAlias = str | float | dict[str, float | str]
"""A text, a number, or a number with its unit."""
STATUS: Final = "Tecnai/Microscope Info"
_LINE: Final = re.compile("[\u2028\u2029\u2400\r\n]+")
_FILTER: Final = "Filter related settings"
_NUMBER: Final = r"([-+]?[\d.,]+)"
_QUANTITIES: Final = tuple(
    (field, re.compile(pattern), unit)
    for field, pattern, unit in (
        ("extraction_voltage", rf"\bExtr volt {_NUMBER}\s*V\b", "V"),
        ("emission_current", rf"\bEmission {_NUMBER}\s*[uµ]A", "uA"),
        ("spot_size", rf"^Spot {_NUMBER}", ""),
        ("defocus", rf"\bDefocus \(um\) {_NUMBER}", "um"),
        ("defocus", rf"\bDefocus {_NUMBER}\s*um\b", "um"),
        ("camera_length", rf"\bCL {_NUMBER}\s*m\b", "m"),
        ("condenser_aperture", rf"^C2 Aperture: {_NUMBER}\s*um", "um"),
        ("objective_aperture", rf"^OBJ Aperture: {_NUMBER}\s*um", "um"),
        ("selected_area_aperture", rf"^SA Aperture: {_NUMBER}\s*um", "um"),
    )
)
_GUN: Final = re.compile(r"^Gun (\S+)")
_GUN_LENS: Final = re.compile(r"\bGun Lens (\d+)")
_LENS: Final = re.compile(r"^(C1|C2|C3|Obj|Dif) ([\d.]+)%$")
_SHIFT: Final = re.compile(rf"^Image shift {_NUMBER}/{_NUMBER}\s*um")
_MODE: Final = re.compile(r"^Mode (.*?)(?:\s+(?:Defocus|Magn|CL)\b.*)?$")


def status_lines(text: str) -> tuple[list[str], list[str]]:
    """Return the lines of the microscope, and those of the energy filter."""
    lines = [line.strip() for line in _LINE.split(text) if line.strip()]
    heading = next((i for i, line in enumerate(lines) if line.startswith(_FILTER)), len(lines))
    return lines[:heading], lines[heading + 1 :]


def status_fields(text: str) -> Iterator[tuple[str, Value]]:
    """Yield the core fields of a status text."""
    lines, _ = status_lines(text)
    done: set[str] = set()
    for field, pattern, unit in _QUANTITIES:
        match = next(filter(None, map(pattern.search, lines)), None)
        found = quantity(match[1], unit) if match else None
        if found is not None and field not in done:
            done.add(field)
            yield field, (found if unit else found[0])
    if gun := next(filter(None, map(_GUN.match, lines)), None):
        yield "electron_source", gun[1]


def status_extensions(text: str) -> Iterator[tuple[str, Extension]]:
    """Yield what has no core field: lenses, the image shift, modes, the filter."""
    lines, of_filter = status_lines(text)
    for line in lines:
        yield from _of_microscope(line)
        if gun_lens := _GUN_LENS.search(line):
            yield "tecnai_gun_lens", float(gun_lens[1])
    for line in of_filter:
        name, sign, value = line.partition(": ")
        if sign:
            yield f"tecnai_filter_{snake(name)}", value


def _of_microscope(line: str) -> Iterator[tuple[str, Extension]]:
    if lens := _LENS.match(line):
        yield f"tecnai_{lens[1].lower()}_lens", {"value": float(lens[2]), "unit": "%"}
    elif shift := _SHIFT.match(line):
        for axis, place in zip("xy", shift.groups(), strict=True):
            if (amount := quantity(place)) is not None:
                yield f"tecnai_image_shift_{axis}", {"value": amount[0], "unit": "um"}
    elif mode := _MODE.match(line):
        yield "tecnai_mode", mode[1]
    elif ": " in line:
        name, _, value = line.partition(": ")
        yield f"tecnai_{snake(name)}", value
