"""FEI Titan microscopes whose DigitalMicrograph files carry the microscope's own status text."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nexuslims_extractor.profiles.profile import Profile
from nexuslims_formats.model import Signal, Value
from nexuslims_formats.values import snake

STATUS = "gatan_tecnai_microscope_info"
_LINE = re.compile("[\u2028\u2029\u2400\n]")
_NUMBERS = (
    ("extraction_voltage", r"Extr volt ([\d.]+) V", "V"),
    ("emission_current", r"Emission ([\d.]+)\s?uA", "uA"),
    ("spot_size", r"^Spot (\d+)", ""),
    ("condenser_aperture", r"^C2 Aperture: ([\d.]+) um", "um"),
    ("objective_aperture", r"^OBJ Aperture: ([\d.]+) um", "um"),
    ("selected_area_aperture", r"^SA Aperture: ([\d.]+) um", "um"),
)
_LENS = re.compile(r"^(C1|C2|C3|Obj|Dif) ([\d.]+)%$")


def read_status(signal: Signal, native: Mapping[str, Any], path: Path) -> Signal:
    """Take the status text apart: core fields that the file lacks otherwise, and the rest.

    Parameters
    ----------
    signal
        What was read of the file.
    native, path
        Not needed; see :data:`~nexuslims_extractor.profiles.profile.Parser`.
    """
    del native, path
    text = signal.extensions.get(STATUS)
    if not isinstance(text, str):
        return signal
    lines = [line.strip() for line in _LINE.split(text) if line.strip()]
    return replace(
        signal,
        metadata={**dict(_core(lines)), **signal.metadata},
        extensions={**signal.extensions, **dict(_others(lines))},
    )


def _core(lines: list[str]) -> Iterator[tuple[str, Value]]:
    for field, pattern, unit in _NUMBERS:
        for line in lines:
            if match := re.search(pattern, line):
                number = float(match[1])
                yield field, ((number, unit) if unit else number)
                break


def _others(lines: list[str]) -> Iterator[tuple[str, str | float]]:
    for line in lines:
        if match := _LENS.match(line):
            yield f"tecnai_{match[1].lower()}_lens_percent", float(match[2])
        elif line.startswith("Mode "):
            yield "tecnai_mode", line.removeprefix("Mode ")
        elif ": " in line:
            name, _, value = line.partition(": ")
            yield f"tecnai_{snake(name)}", value


# the warnings are the incumbent's
TITAN_TEM = Profile(
    instrument="FEI-Titan-TEM", parsers=(read_status,), warnings=("operator", "specimen")
)
TITAN_STEM = Profile(
    instrument="FEI-Titan-STEM",
    parsers=(read_status,),
    warnings=("operator", "specimen", "detector_type"),
)
