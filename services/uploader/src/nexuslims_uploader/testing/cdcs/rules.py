"""What a CDCS accepts as a record, as measured on NexusLIMS-CDCS 3.18 (core 2.18)."""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.errors import MalformedXmlError
from nexuslims_contracts.record import schema_bytes
from nexuslims_contracts.xml import parse_xml

if TYPE_CHECKING:
    from lxml.etree import XMLSchema, _Element

_TITLE_LENGTH: Final = 200
_INDEXED_BYTES: Final = 1_048_575
"""PostgreSQL's limit of a tsvector: words that repeat count once."""


def title_problem(title: Any) -> str:
    """Say what the serializer has against a title; empty for nothing."""
    if not isinstance(title, str):
        return "This field is required."
    if not title.strip():
        return "This field may not be blank."
    if "\0" in title:
        return "Null characters are not allowed."
    if len(title) > _TITLE_LENGTH:
        return f"Ensure this field has no more than {_TITLE_LENGTH} characters."
    return ""


def xml_problem(text: str, schema: "XMLSchema | None") -> str:
    """Say what the parser, the schema or the database has against a record; empty for nothing.

    Parameters
    ----------
    text
        The XML.
    schema
        Of the template; None for none.
    """
    try:
        root = parse_xml(text.encode(), huge_tree=True)
    except MalformedXmlError as error:
        return f"{error.problem} (<string>, line {error.line})"
    if schema is not None and not schema.validate(root):
        first = next(iter(schema.error_log))  # type: ignore[call-overload]
        return f"{first.message}, line {first.line}"
    values = list(_values(root))
    if any(map(_is_not_finite, values)):
        return 'invalid input syntax for type json\nDETAIL:  Token "NaN" is invalid.\n'
    size = sum(len(word) for word in {word for value in values for word in value.encode().split()})
    if size > _INDEXED_BYTES:
        return f"string is too long for tsvector ({size} bytes, max {_INDEXED_BYTES} bytes)\n"
    return ""


@lru_cache(maxsize=1)
def nexus_schema() -> "XMLSchema":
    """Return the schema of the template."""
    from lxml import etree  # noqa: PLC0415 - on first use

    return etree.XMLSchema(etree.fromstring(schema_bytes()))


def _values(root: "_Element") -> list[str]:
    found = [str(value) for element in root.iter() for value in element.attrib.values()]
    return found + [element.text for element in root.iter() if element.text]


def _is_not_finite(value: str) -> bool:
    """Tell whether CDCS makes a number of a value that JSON does not know.

    It tries an integer first, of which Python reads 4300 digits, however large.
    """
    try:
        int(value)
    except ValueError:
        try:
            return not math.isfinite(float(value))
        except ValueError:
            return False
    return False
