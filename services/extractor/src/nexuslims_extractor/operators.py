"""People named in a vendor's metadata: ids stand for them in everything that is kept.

The log never forgets, so no name is in it. Files name who used the instrument in fields of their
own, in e-mail addresses, and in the paths of users' folders. Each such text, exactly as it is, is
replaced by an id wherever it stands; the names are kept by id where they can be erased, and a
record built from the events has the texts back for as long as they are there.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from nexuslims_contracts.identifiers import person_id
from nexuslims_formats.json_tree import json_safe
from nexuslims_formats.reading import Reading

_FIELD: Final = re.compile(
    "(user|operator|owner|author|artist|analyst|experimenter|createdby|acquiredby|modifiedby)"
    "(name|fullname|id|text|login|account|email|s)?"
)
_MAIL: Final = re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")
_HOME: Final = re.compile(r"[\\/](?:Users|home|Documents and Settings)[\\/]+([^\\/:*?\"<>|]+)[\\/]")
_NOBODY: Final = frozenset(
    {
        "admin",
        "administrator",
        "all",
        "default",
        "guest",
        "microscope",
        "none",
        "operator",
        "public",
    }
    | {"root", "sem", "service", "shared", "supervisor", "support", "system", "tem", "unknown"}
    | {"user", "users"}
)
"""Accounts that are no person's."""
_LONGEST: Final = 200


def with_ids(reading: Reading, key: bytes) -> tuple[Reading, dict[str, str]]:
    """Replace the names of people in what was read from a file.

    Parameters
    ----------
    reading
        What was read.
    key
        What ids are derived with.

    Returns
    -------
    tuple
        The same with ids in place of names, and the names by id.
    """
    native = json_safe(reading.native)
    trees = [native, *(tree for one in reading.datasets for tree in (one.metadata, one.extensions))]
    names = {name for tree in trees for name in _names(tree)}
    if not names:
        return reading, {}
    ids = {name: person_id(key, name) for name in names}
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)")

    def masked(text: str) -> str:
        return pattern.sub(lambda found: ids[found[0]], text)

    datasets = tuple(
        one.model_copy(
            update={
                "metadata": _mapped(one.metadata, masked),
                "extensions": _mapped(one.extensions, masked),
            }
        )
        for one in reading.datasets
    )
    changed = replace(reading, datasets=datasets, native=_mapped(native, masked))
    return changed, {ids[name]: name for name in sorted(names)}


def _names(tree: Any, key: str = "") -> Iterator[str]:
    """Give the texts of a tree that name a person."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _names(value, str(name))
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _names(value, key)
    elif isinstance(tree, str):
        yield from _MAIL.findall(tree)
        yield from filter(_is_somebody, _HOME.findall(tree))
        if _tells_user(key) and _is_somebody(tree):
            yield tree.strip()


def _tells_user(key: str) -> bool:
    letters = "".join(filter(str.isalnum, key)).casefold()
    return any(found.end() == len(letters) for found in _FIELD.finditer(letters))


def _is_somebody(text: str) -> bool:
    text = text.strip()
    return (
        any(map(str.isalpha, text)) and 1 < len(text) <= _LONGEST and text.casefold() not in _NOBODY
    )


def _mapped(tree: Any, change: Callable[[str], str]) -> Any:
    if isinstance(tree, Mapping):
        return {name: _mapped(value, change) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_mapped(value, change) for value in tree]
    return change(tree) if isinstance(tree, str) else tree
