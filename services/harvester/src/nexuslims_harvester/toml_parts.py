"""A long TOML file of tables, parsed in parts: no part stays in memory when the next one is read.

A parsed table takes a kilobyte, several times its text, and a calendar file has one for each
session of ten years.
"""

import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

TABLES: Final = 500
"""Tables of one part."""
_BEGIN: Final = re.compile(r"^\[\[session\]\]", re.MULTILINE)


def parse_in_parts(text: str) -> Iterator[dict[str, Any]]:
    """Parse the parts of a file of ``[[session]]`` tables, one after the other.

    Where a line within a text of several lines looks like the begin of a table, a part ends in the
    middle of that text, which is an error of the part though not of the file.

    Parameters
    ----------
    text
        Of the whole file.

    Yields
    ------
    dict
        What a part says; all parts together say what the file says.

    Raises
    ------
    tomllib.TOMLDecodeError
        If a part is not TOML: parse the file as a whole, which also tells the line.
    """
    begins = [found.start() for found in _BEGIN.finditer(text)][TABLES::TABLES]
    for begin, end in pairwise([0, *begins, len(text)]):
        yield tomllib.loads(text[begin:end])
