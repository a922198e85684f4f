"""Spectra of light as XML, which the library reads as if every computer were an English one.

LabSpec and TriVista write numbers and dates in the locale of their computer. Neither groups the
digits of a number, so a comma within one, in a file whose lists of numbers have no points, is that
of a decimal.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from nexuslims_formats.rosettasciio.parts import replaced

_NUMBERS: Final = re.compile(r"\s*[-+]?\d[-+\d.,eE|;\s]*")
_SEPARATOR: Final = re.compile(r"[|;\s]+")
_COMMA: Final = re.compile(r"(?<=\d),(?=\d)")
_WITH_COMMA: Final = re.compile(r"\s*[-+]?\d+,\d+(?:[eE][-+]?\d+)?\s*")
_LIST: Final = 3
"""Numbers from which a text is a list of them, and no version or date."""


class _Trees:
    """Stands in for the module by which the library parses XML; decimal commas become points."""

    has_commas = False

    def parse(self, path: Path) -> Any:
        """Parse a file."""
        tree = ET.parse(path)  # noqa: S314 - as the library does, behind the walls
        self.has_commas = _has_commas(tree.getroot())
        return self._with_points(tree)

    def fromstring(self, text: str) -> Any:
        """Parse what a file has as the text of an attribute."""
        root = ET.fromstring(text)  # noqa: S314 - as above
        self._with_points(ET.ElementTree(root))
        return root

    def _with_points(self, tree: Any) -> Any:
        if self.has_commas:
            for element in tree.iter():
                element.text = _in_points(element.text)
                for name, value in element.attrib.items():
                    element.set(name, _in_points(value))
        return tree


def _texts(root: Any) -> Iterator[str]:
    for element in root.iter():
        if element.text:
            yield element.text
        yield from element.attrib.values()


def _lists(root: Any) -> Iterator[list[str]]:
    for text in _texts(root):
        if _NUMBERS.fullmatch(text):
            words = [word for word in _SEPARATOR.split(text) if word]
            if len(words) >= _LIST:
                yield words


def _has_commas(root: Any) -> bool:
    """Tell by the lists of numbers: some have decimal commas, and none has a point."""
    found = False
    for words in _lists(root):
        if any("." in word for word in words):
            return False
        found = found or any(map(_WITH_COMMA.fullmatch, words))
    return found


def _in_points(text: str | None) -> str | None:
    """Return numbers with points; a text of anything else, or with several commas, stays."""
    if text is None or "," not in text or not _NUMBERS.fullmatch(text):
        return text
    words = _SEPARATOR.split(text.strip())
    return _COMMA.sub(".", text) if all(word.count(",") <= 1 for word in words) else text


def read_labspec(path: Path) -> list[dict[str, Any]]:
    """Read a spectrum or map of LabSpec, whose time may have an AM or PM behind it.

    Parameters
    ----------
    path
        The ``.xml``.
    """
    from rsciio.jobinyvon import _api  # noqa: PLC0415 - for files of this kind only

    found = _api.JobinYvonXMLReader(path)
    with replaced(_api, "ET", _Trees()):
        found.parse_file()
        found.get_original_metadata()
        found.get_axes()
        found.get_data()
    dates = found.original_metadata["date"]
    acquired = dates.pop("Acquired", None)  # the library takes two words only
    found.map_metadata()
    if isinstance(acquired, str):
        dates["Acquired"] = acquired
        day, _, clock = acquired.strip().partition(" ")
        found.metadata["General"].update(date=day, time=clock)
    return [
        {
            "data": found.data,
            "axes": found.axes,
            "metadata": found.metadata,
            "original_metadata": found.original_metadata,
        }
    ]


def read_trivista(path: Path) -> list[dict[str, Any]]:
    """Read the spectra of TriVista.

    Parameters
    ----------
    path
        The ``.tvf``.
    """
    from rsciio.trivista import _api  # noqa: PLC0415 - for files of this kind only

    with replaced(_api, "ET", _Trees()):
        parts: list[dict[str, Any]] = _api.file_reader(str(path))
    return parts
