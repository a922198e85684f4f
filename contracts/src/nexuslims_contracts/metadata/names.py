"""How fields are called in records, and what makes a name a name."""

import re
from functools import lru_cache

from nexuslims_contracts.metadata.fields import FIELDS

_NOT_NAME = re.compile(r"[^0-9a-z]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_MICRO = str.maketrans({"µ": "u", "μ": "u"})

_AS_WRITTEN = {
    word.lower(): word
    for word in (
        "ADF", "BF", "BSE", "CCD", "CL", "CMOS", "DF", "DM", "DP", "EBSD", "EDS", "EDX", "EELS",
        "EFTEM", "EMI", "ESEM", "ETD", "FEG", "FEI", "FIB", "GFIS", "GIF", "HAADF", "HFW", "HIM",
        "HT", "HV", "ID", "JEOL", "LUT", "MCP", "SAED", "SE", "SEM", "SER", "SI", "STEM", "TEM",
        "TIA", "TIFF", "UTC", "VFW", "WD", "XML", "eV", "keV", "kV", "nA", "pA", "um", "nm", "mm",
        "mrad", "ms", "us",
    )
}  # fmt: skip


@lru_cache(maxsize=8192)
def snake_case(name: str) -> str:
    """Return a name in snake case: ``"Spot size (nm)"`` becomes ``spot_size_nm``."""
    spaced = _CAMEL.sub("_", name.translate(_MICRO)).lower()
    return _NOT_NAME.sub("_", spaced).strip("_") or "unnamed"


@lru_cache(maxsize=8192)
def display_name(field: str) -> str:
    """Return what a record calls a field.

    Parameters
    ----------
    field
        A core field, or the name of an extension; names within names are joined by dots.

    Returns
    -------
    str
        ``Pixel Dwell Time`` for ``dwell_time``, ``FEI Beam Spot Size`` for
        ``fei_beam_spot_size``, and the parts of ``fei_scan.dwell`` with a dash.
    """
    if field in FIELDS:
        return FIELDS[field].display_name
    return " \u2013 ".join(_title(part) for part in field.split(".") if part)


def _title(part: str) -> str:
    words = [word for word in part.split("_") if word]
    return " ".join(_AS_WRITTEN.get(word, word[:1].upper() + word[1:]) for word in words)
