"""The one parser of XML that came from elsewhere: files, records, answers of servers.

Entities are not resolved, nothing is fetched, no DTD is loaded (OWASP, XML External Entity
Prevention). lxml is imported at the first call: most commands parse no XML.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.errors import MalformedXmlError

if TYPE_CHECKING:
    from lxml.etree import XMLSchema, _Element

_SAFE: Final[dict[str, Any]] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
}


def parse_xml(content: bytes, *, huge_tree: bool = False) -> "_Element":
    """Parse XML that is not to be trusted.

    Parameters
    ----------
    content
        A whole document.
    huge_tree
        Lift libxml2's limits (10 MB in one text, 256 levels): only for content whose size was
        bounded before.

    Returns
    -------
    lxml.etree._Element
        The root.

    Raises
    ------
    MalformedXmlError
        If it is not well-formed.
    """
    from lxml import etree  # noqa: PLC0415 - see this module

    parser = etree.XMLParser(**_SAFE, huge_tree=huge_tree)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise MalformedXmlError(error.msg or "empty", line=error.lineno or 1) from error


def parse_elements(
    content: bytes, tag: str, schema: "XMLSchema | None" = None
) -> Iterator["_Element"]:
    """Parse XML that is not to be trusted piece by piece: a tree takes ten times its size.

    Parameters
    ----------
    content
        A whole document.
    tag
        Of the elements to give, in Clark notation; each is emptied before the next is parsed.
    schema
        What the document must be valid under.

    Yields
    ------
    lxml.etree._Element
        Each element with that tag, as soon as it ends; and last, the root.

    Raises
    ------
    MalformedXmlError
        If it is not well-formed, or not valid.
    """
    from lxml import etree  # noqa: PLC0415 - see this module

    context = etree.iterparse(BytesIO(content), tag=tag, schema=schema, **_SAFE)
    try:
        for _, element in context:
            yield element
            element.clear()
    except etree.XMLSyntaxError as error:
        raise MalformedXmlError(error.msg or "empty", line=error.lineno or 1) from error
    yield context.root
