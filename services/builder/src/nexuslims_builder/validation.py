"""Validating records against our schema, with line numbers and what was expected."""

from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from lxml import etree

from nexuslims_contracts.record import NAMESPACE, schema_bytes


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a record; ``element`` is empty where there is no XML."""

    line: int
    element: str
    message: str

    def __str__(self) -> str:
        """Return it as one line."""
        where = f"line {self.line}" + (f", {self.element}" if self.element else "")
        return f"{where}: {self.message}"


def validate(content: bytes) -> list[Problem]:
    """Return what is wrong with a record; nothing if it is valid.

    Parameters
    ----------
    content
        XML from anywhere: it is parsed without entities, network, or trust in its size.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        document = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        return [Problem(error.lineno or 1, "", f"not well-formed XML: {error.msg}")]
    if document.getroottree().docinfo.internalDTD is not None:
        return [Problem(1, "", "a document type declaration is not allowed in a record")]
    schema = _schema()
    with _LOCK:  # the log of errors belongs to the schema, not to the call
        if schema.validate(document):
            return []
        return [
            Problem(entry.line, _name(entry.path), _plain(entry.message))
            for entry in list(schema.error_log)  # type: ignore[call-overload]
        ]


_LOCK = Lock()


@lru_cache(maxsize=1)
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring(schema_bytes()))


def _name(path: str | None) -> str:
    return (path or "").replace("*", "").strip("/") or ""


def _plain(message: str | None) -> str:
    """Leave out the namespace, which is the same everywhere."""
    return (message or "invalid").replace(f"{{{NAMESPACE}}}", "")
