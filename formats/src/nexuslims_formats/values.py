"""Small readings shared by the formats: lines, names and leaves of trees."""

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from nexuslims_formats.json_tree import not_finite

_LINE_END = re.compile(r"\r\n|\r|\n")
_NOT_NAME = re.compile(r"[^0-9a-z]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def lines_of(text: str) -> list[str]:
    """Return the lines of a text; ``str.splitlines`` also splits at what is part of a line."""
    return _LINE_END.split(text)


@lru_cache(maxsize=4096)
def snake(name: str) -> str:
    """Return a vendor's name in snake case: ``"Spot size (nm)"`` becomes ``spot_size_nm``."""
    name = name.replace("µ", "u").replace("μ", "u")
    return _NOT_NAME.sub("_", _CAMEL.sub("_", name).lower()).strip("_")


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``(snake_case path, value)`` of every text, number or flag in a tree, in its order.

    Numbers that are not finite are words among them, such as ``NaN``.

    Parameters
    ----------
    tree
        Nested dicts.
    prefix
        What every path starts with.
    """
    for key, value in tree.items():
        name = f"{prefix}_{snake(str(key))}" if prefix else snake(str(key))
        if isinstance(value, str):
            if text := value.strip():
                yield name, text
        elif isinstance(value, bool | int):
            yield name, value
        elif isinstance(value, float):
            yield name, value if math.isfinite(value) else not_finite(value)
        elif isinstance(value, Mapping):
            yield from leaves(value, name)
