"""Whether a copy tells all that the original tells, and shows nothing."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nexuslims_contracts.text import clean_text
from nexuslims_formats.json_tree import json_safe
from nexuslims_formats.registry import HEAD_BYTES, choose
from nexuslims_sanitiser.byte_check import check_bytes
from nexuslims_sanitiser.formats import Format, recognise
from nexuslims_sanitiser.hidden import text_without_images
from nexuslims_sanitiser.independent import H5PY, TIFFFILE, arrays, facts, places_of_tags
from nexuslims_sanitiser.plan import SanitiseError, planned_bytes
from nexuslims_sanitiser.scrub import scrubbed
from nexuslims_sanitiser.tiff import blanked_tags

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

_LAZY_FIELDS = ("pixels", "to_display")
_SERIES = re.compile(r"_\d+$")


def extraction_of(path: Path) -> dict[str, Any]:
    """Return everything that extraction tells of a file, the vendor's whole tree included."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    try:
        parsed = choose(path, head).open(path)
    except Exception as error:  # noqa: BLE001 - the copy of a broken file must be as broken
        return {"error": f"{type(error).__name__}: {error}"}
    signals = [
        {
            field.name: getattr(signal, field.name)
            for field in fields(signal)
            if field.name not in _LAZY_FIELDS
        }
        for signal in parsed.signals
    ]
    tree = {"signals": signals, "native": parsed.native, "problems": parsed.problems}
    plain: dict[str, Any] = _mapped(json_safe(tree), text_without_images)
    return plain


def everything(path: Path) -> dict[str, Any]:
    """Return what extraction tells of a file, and what an independent reader does."""
    form = recognise(path)
    try:
        others = facts(path, form.reader) if form.reader else {}
    except Exception:  # noqa: BLE001 - broken files are worth sharing, and readers raise anything
        others = {}
    return {**extraction_of(path), "read": others}


def replaced(value: Any, words: Mapping[str, str]) -> Any:
    """Return a tree with words in its texts replaced, the longest first.

    Parameters
    ----------
    value
        A tree of dicts, lists and texts.
    words
        Each word, with what replaces it.
    """
    return _mapped(value, lambda text: scrubbed(text, words))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return a tree with its texts changed, keys included."""
    if isinstance(value, dict):
        return {_mapped(key, change): _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


def check_copy(source: Path, copy: Path, form: Format, words: Mapping[str, str]) -> None:
    """Refuse a copy that is not what it should be.

    Parameters
    ----------
    source, copy
        The original, and what was made of it.
    form
        Of both.
    words
        What was written over, and by what.

    Raises
    ------
    SanitiseError
        It still holds data, no independent reader opens it, or a field differs.
    """
    _check_zero(copy, form)
    _check_independently(source, copy, form, words)
    names = {name_in(copy): name_in(source), str(copy.parent): str(source.parent)}
    # extraction tells names without what is no text
    names = {clean_text(name): clean_text(other) for name, other in names.items()}
    _compare(extraction_of(source), replaced(extraction_of(copy), names), words, "extraction")


def name_in(path: Path) -> str:
    """Return the name that a file is known by: that of the ``.emi`` for one of its series."""
    return _SERIES.sub("", path.stem) if path.suffix.lower() == ".ser" else path.stem


def _check_zero(copy: Path, form: Format) -> None:
    """Refuse a copy that sanitising once more would change."""
    with copy.open("rb") as file:
        for chunk in planned_bytes(form.plan(copy), copy):
            place = file.tell()
            if form.reader != H5PY and file.read(len(chunk)) != chunk:
                raise SanitiseError(f"the copy still holds data at byte {place}")


def _check_independently(source: Path, copy: Path, form: Format, words: Mapping[str, str]) -> None:
    if not form.reader:
        return
    try:
        expected = facts(source, form.reader)
        _shows(source, form.reader)
    except Exception:  # noqa: BLE001 - broken files are worth sharing, and readers raise anything
        return
    found = _opened(facts, copy, form.reader)
    if form.reader == TIFFFILE:
        zeroed = places_of_tags(source, blanked_tags(source))
        expected, found = (
            {name: fact for name, fact in each.items() if not name.startswith(zeroed)}
            for each in (expected, found)
        )
    _compare(expected, found, words, form.reader)
    if _opened(_shows, copy, form.reader):
        raise SanitiseError(f"the copy still shows data, as {form.reader} reads it")
    check_bytes(source, copy, form.reader)


def _compare(expected: Any, found: Any, words: Mapping[str, str], reader: str) -> None:
    """Refuse a copy that tells something else, but for the words written over."""
    if place := next(_places_of_words(found, words), None):
        raise SanitiseError(f"{reader} still reads what was to be written over at {place}")
    # in the names of fields, which may hold a word by chance, it counts as written over in both
    pair = (replaced(tree, words) for tree in (expected, found))
    if difference := next(_differences(*pair), None):
        raise SanitiseError(f"{reader} reads another {difference}")


def _places_of_words(tree: Any, words: Mapping[str, str], path: str = "") -> Iterator[str]:
    if isinstance(tree, Mapping):
        for key, inner in tree.items():
            yield from _places_of_words(inner, words, f"{path}/{key}")
    elif _is_list(tree):
        for index, inner in enumerate(tree):
            yield from _places_of_words(inner, words, f"{path}/{index}")
    elif isinstance(tree, str) and scrubbed(tree, words) != tree:
        yield path


def _opened(read: Callable[[Path, str], T], copy: Path, reader: str) -> T:
    try:
        return read(copy, reader)
    except Exception as error:  # noqa: BLE001 - readers raise anything
        raise SanitiseError(f"{reader} does not open the copy: {error}") from None


def _shows(path: Path, reader: str) -> bool:
    """Whether a file shows anything; it is read to its end, where it may be damaged."""
    return any([_any(block) for block in arrays(path, reader)])  # noqa: C419 - to the end


def _any(values: "np.ndarray") -> bool:
    if values.dtype.hasobject:
        return any(row.any() for row in values.ravel())
    names = values.dtype.names
    return any(_any(values[name]) for name in names) if names else bool(values.any())


def _differences(expected: Any, found: Any, path: str = "") -> Iterator[str]:
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key in [*expected, *(key for key in found if key not in expected)]:
            yield from _differences(expected.get(key), found.get(key), f"{path}/{key}")
    elif _is_list(expected) and _is_list(found) and len(expected) == len(found):
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _differences(one, other, f"{path}/{index}")
    elif expected != found:
        yield f"{path}: {str(found)[:80]!r} in place of {str(expected)[:80]!r}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
