"""ORCID iDs of people by their user names, from a file of the facility: calendars have none."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nexuslims_console.errors import ExportError

_TOP: Final = "https://orcid.org/"
_ID: Final = re.compile(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])")


def read_orcids(path: Path | None) -> Mapping[str, str]:
    """Return the address of each ORCID iD, by user name.

    Parameters
    ----------
    path
        A file of lines such as ``ned = "0000-0002-1825-0097"``; None if the facility has none.

    Raises
    ------
    ExportError
        If it cannot be read, or something in it is no ORCID iD.
    """
    if path is None:
        return {}
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ExportError(f"NX_FACILITY_ORCIDS: {path} cannot be read: {error}") from error
    return {username: _address(path, username, text) for username, text in given.items()}


def _address(path: Path, username: str, text: object) -> str:
    found = _ID.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or not _is_checked(found[1]):
        raise ExportError(
            f"NX_FACILITY_ORCIDS: {path} has {text!r} for {username!r}, which is no ORCID iD"
            " such as 0000-0002-1825-0097"
        )
    return _TOP + found[1]


def _is_checked(orcid: str) -> bool:
    """Tell whether the last character is the check digit of the others (ISO 7064, mod 11-2)."""
    text = orcid.replace("-", "")
    total = 0
    for digit in text[:-1]:
        total = (total + int(digit)) * 2
    return "0123456789X"[(12 - total % 11) % 11] == text[-1]
