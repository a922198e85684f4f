"""The text of an experiment: a block of ours, and whatever people write before and after it.

The block begins with our heading and ends with the record's key. eLabFTW may write HTML otherwise
than it was sent, so what we wrote last is known by a digest of the block as it was served then.
"""

import hashlib
import re

from nexuslims_uploader.elabftw.entry import HEADING
from nexuslims_uploader.notebook import KEY

_BEGIN = re.compile(rf"<h1[^>]*>\s*{re.escape(HEADING)}\s*</h1>")
_CHANGED = "<h2>As a person changed it</h2>"


def merged_text(ours: str, there: str, key: str, written: str) -> str:
    """Put our block into the text that is there, and keep all that people wrote.

    A block that people changed is kept below ours.

    Parameters
    ----------
    ours
        Our block.
    there
        The text of the experiment.
    key
        The record's key.
    written
        Digest of the block as we wrote it last; empty if the events do not know.
    """
    span = _span(there, key)
    if span is None:
        return f"{ours}\n{there}" if there.strip() else ours
    before, block, after = there[: span[0]], there[slice(*span)], there[span[1] :]
    if written and block_digest(there, key) != written and block != ours:
        after = f"\n{_CHANGED}{_without_marks(block, key)}{after}"
    return f"{before}{ours}{after}"


def block_digest(text: str, key: str) -> str:
    """Return the digest of our block in a text; empty if it is not there.

    Parameters
    ----------
    text
        The text of an experiment.
    key
        The record's key.
    """
    span = _span(text, key)
    return hashlib.sha256(text[slice(*span)].encode()).hexdigest()[:32] if span else ""


def _span(text: str, key: str) -> tuple[int, int] | None:
    """Find our block: from our first heading to the key that follows it."""
    begin = _BEGIN.search(text)
    if begin is None:
        return None
    end = _end(key).search(text, begin.end())
    return (begin.start(), end.end()) if end else None


def _end(key: str) -> "re.Pattern[str]":
    return re.compile(rf"<p[^>]*>\s*{KEY}:\s*{key}\s*</p>")


def _without_marks(block: str, key: str) -> str:
    return _end(key).sub("", _BEGIN.sub("", block, count=1))
