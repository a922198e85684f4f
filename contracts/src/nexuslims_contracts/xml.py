"""The one parser of XML that came from elsewhere: files, records, answers of servers.

Entities are not resolved, nothing is fetched, no DTD is loaded (OWASP, XML External Entity
Prevention). lxml is imported at the first call: most commands parse no XML.
"""

from typing import TYPE_CHECKING

from nexuslims_contracts.errors import MalformedXmlError

if TYPE_CHECKING:
    from lxml.etree import _Element


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

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=huge_tree
    )
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise MalformedXmlError(error.msg or "empty", line=error.lineno or 1) from error
