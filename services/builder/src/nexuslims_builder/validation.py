"""Validating records against our schema, with line numbers and what was expected."""

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Final

from lxml import etree

from nexuslims_contracts.errors import MalformedXmlError
from nexuslims_contracts.record import NAMESPACE, schema_bytes
from nexuslims_contracts.xml import parse_elements, parse_xml


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a record.

    Where there is no XML, ``line`` is 0 or ``element`` is empty; ``expectation`` is empty where the
    schema has nothing to say.
    """

    line: int
    element: str
    message: str
    expectation: str = ""

    def __str__(self) -> str:
        """Return it as one line."""
        place = ", ".join(filter(None, [f"line {self.line}" if self.line else "", self.element]))
        expected = f"; expected: {self.expectation}" if self.expectation else ""
        return f"{place}: {self.message}{expected}" if place else f"{self.message}{expected}"


def validate(content: bytes) -> list[Problem]:
    """Return what is wrong with a record; nothing if it is valid.

    Parameters
    ----------
    content
        XML from anywhere: it is parsed without entities, network, or trust in its size.
    """
    if len(content) > _SMALL and _is_valid(content):
        return []
    try:
        document = parse_xml(content)
    except MalformedXmlError as error:
        return [Problem(error.line, "", f"not well-formed XML: {error.problem}")]
    if document.getroottree().docinfo.internalDTD is not None:
        return [Problem(1, "", "a document type declaration is not allowed in a record")]
    schema = _schema()
    with _LOCK:  # the log of errors belongs to the schema, not to the call
        if schema.validate(document):
            return []
        return [
            _problem(entry.line, entry.message)
            for entry in list(schema.error_log)  # type: ignore[call-overload]
        ]


def _is_valid(content: bytes) -> bool:
    """Validate while parsing, in little memory; what is wrong where takes a tree to find out."""
    elements = parse_elements(content, f"{{{NAMESPACE}}}dataset", _schema())
    try:
        (root,) = deque(elements, maxlen=1)
    except MalformedXmlError:
        return False
    return root.getroottree().docinfo.internalDTD is None


_SMALL: Final = 200_000
"""Bytes of a record whose tree takes no memory to speak of, and less time than its pieces."""
_LOCK = Lock()
_NOISE = re.compile(re.escape(f"{{{NAMESPACE}}}") + r"|\[facet '\w+'\] ")
_OF_ELEMENT = re.compile(r"Element '([^']*)'(?:: |, )(.*)", re.DOTALL)
_EXPECTATIONS: Final = (
    (re.compile(r" Expected is (?:one of )?\( (.*) \)\.$", re.DOTALL), "", "{}"),
    (
        re.compile(r"is not an element of the set \{(.*)\}", re.DOTALL),
        "is not allowed",
        "one of {}",
    ),
    (
        re.compile(r"a valid value of the \w+(?: \w+)? type '([^']+)'"),
        "valid",
        "a value of type {}",
    ),
    (re.compile(r"accepted by the pattern '(.*)'", re.DOTALL), "valid", "a value like {}"),
)
"""Forms of libxml2's messages, what stands there instead, and the expectation in them."""


def _schema() -> etree.XMLSchema:
    """Return our schema; one thread makes it.

    Two that make it at once leave libxml2 2.14 without its built-in types, for as long as the
    process lives, or end it (found by ``make chaos``: every record failed from then on).
    """
    with _LOCK:
        return _made_schema()


@lru_cache(maxsize=1)
def _made_schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring(schema_bytes()))


def _problem(line: int, text: str | None) -> Problem:
    """Take a message of libxml2 apart."""
    plain = _NOISE.sub("", text or "invalid")
    named = _OF_ELEMENT.fullmatch(plain)
    element, complaint = named.groups() if named else ("", plain)
    for form, instead, wording in _EXPECTATIONS:
        if found := form.search(complaint):
            message = complaint[: found.start()] + instead + complaint[found.end() :]
            return Problem(line, element, message.rstrip("."), wording.format(found[1]))
    return Problem(line, element, complaint.rstrip("."))
