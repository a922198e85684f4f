"""Files beside a file that belong to it: only a regular file of the same folder is ever opened.

A name beside a file may be a pipe, at which a reader waits for ever, or a link to what is nobody's
business. Workers refuse the link as well (:mod:`nexuslims_formats.sandbox`); whoever calls us
without them has this only.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from nexuslims_contracts.text import printable
from nexuslims_formats.errors import UnsafeFileError


def is_usable(companion: Path) -> bool:
    """Whether there is a file that may be read with the one that it belongs to.

    Raises
    ------
    UnsafeFileError
        It is a link that leads outside its folder.
    """
    if not companion.is_file():
        return False
    if not companion.resolve().is_relative_to(companion.parent.resolve()):
        raise UnsafeFileError(f"{printable(companion.name)} beside it leads outside its folder")
    return True


def refuse_odd(companions: Iterable[Path]) -> None:
    """Look at what a reader would open by itself, before it does.

    Raises
    ------
    UnsafeFileError
        One is there, but no file, or a link that leads outside its folder.
    """
    for companion in companions:
        if not is_usable(companion) and os.path.lexists(companion):
            raise UnsafeFileError(f"{printable(companion.name)} beside it is no regular file")
