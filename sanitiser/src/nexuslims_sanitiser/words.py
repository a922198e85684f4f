"""Metadata texts among bytes that no directory accounts for.

That bytes can be printed proves nothing: grey levels from 32 to 126 can. So a text is kept only as
far as it can be parsed: sections with lines of ``name=value``, well-formed XML, a JSON document, or
the block of SIS that tag 33560 points to.
"""

import json
import re
from collections.abc import Callable, Iterator

from nexuslims_sanitiser.plan import Span
from nexuslims_sanitiser.proven import is_metadata

_SECTION = re.compile(rb"\[\w[\w .#-]{1,40}\][\t ]*(?:\r\n?|\n)")
_LINE = re.compile(
    rb"(?:\[\w[\w .#-]{0,40}\]|[A-Za-z][\w .:%()#/-]{0,60}=[^\0-\x08\x0a-\x1f]{0,250}|)"
    rb"[\t ]*(?:\r\n?|\n|(?=\0)|\Z)"
)
_XML = re.compile(rb"<\?xml[^>]{0,200}\?>\s*<([A-Za-z][\w:.-]*)|<([A-Za-z]\w+)>")
_CLOSINGS = 8
"""So many closing tags are tried as the last one of a document."""
_JSON = re.compile(rb"\{\s*\"\w")
SIS_MARK = b"SIS0"
_SIS = re.compile(SIS_MARK + rb".{0,1020}", re.DOTALL)


def words(content: bytes) -> Iterator[Span]:
    """Yield where metadata texts are among bytes that no directory accounts for.

    Parameters
    ----------
    content
        The bytes; spans count from their beginning.
    """
    searches: tuple[tuple[re.Pattern[bytes], Callable[[bytes, re.Match[bytes]], int]], ...] = (
        (_SECTION, _end_of_sections),
        (_XML, _end_of_xml),
        (_JSON, _end_of_json),
        (_SIS, lambda _, found: found.end()),
    )
    for pattern, end_of in searches:
        at = 0
        while found := pattern.search(content, at):
            end = end_of(content, found)
            if end > found.start():
                yield Span(found.start(), end - found.start())
            at = max(end, found.end())


def _end_of_sections(content: bytes, found: re.Match[bytes]) -> int:
    """Return where lines end to be names of sections or ``name=value``."""
    at = end = found.end()
    while at < len(content) and (line := _LINE.match(content, at)):
        if line.end() == at:
            break
        at = line.end()
        if line[0].strip():
            end = at
    return end


def _end_of_xml(content: bytes, found: re.Match[bytes]) -> int:
    """Return where an XML document ends; its start if it is none."""
    closing = b"</" + (found[1] or found[2]) + b">"
    end = found.end()
    for _ in range(_CLOSINGS):
        at = content.find(closing, end)
        if at < 0:
            break
        end = at + len(closing)
        if is_metadata(content[found.start() : end]):
            return end
    return found.start()


def _end_of_json(content: bytes, found: re.Match[bytes]) -> int:
    """Return where a JSON document ends; its start if it is none."""
    text = content[found.start() :].decode("latin-1")  # a byte is a character, so places agree
    try:
        _, length = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return found.start()
    end = found.start() + length
    return end if is_metadata(content[found.start() : end]) else found.start()
