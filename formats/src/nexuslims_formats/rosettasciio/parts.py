"""What we add to a dataset as rosettasciio gives it, and how its readers are made to give it.

A dataset is a dictionary with ``data``, ``axes``, ``metadata`` and ``original_metadata``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, TypeAlias

Part: TypeAlias = dict[str, Any]
"""A dataset, as rosettasciio gives it."""

DOUBTS: Final = "doubts"
"""What is strange about it though all of it was read, in words."""
LISTED: Final = "is_listed"
"""Marks what only lists where the points of another are."""
OPENER: Final = "open"
"""What opens the array, where that is done for a preview only."""
TYPE: Final = "dataset_type"
"""Its type, where the axes do not tell it."""
UNREAD: Final = "headers_only"
"""Marks one whose data are not there."""


@contextmanager
def replaced(module: ModuleType, name: str, value: Any) -> Iterator[None]:
    """Have a module of the library use something else under a name, until the end of the block.

    Its readers leave nothing else to say in which encoding they open a file, or how they parse it.
    Whoever uses the library in the same process has it as it was afterwards.

    Parameters
    ----------
    module
        Of the library.
    name
        Global there, or built in.
    value
        What it is meanwhile.
    """
    names = vars(module)
    before = {name: names[name]} if name in names else {}
    names[name] = value
    try:
        yield
    finally:
        del names[name]
        names.update(before)
