"""The templates of the pages, in which every value is escaped, and what they write values with."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from nexuslims_contracts.text import page_text
from nexuslims_contracts.units import written_unit

STATIC: Final = Path(__file__).parent / "static"

_STATUS: Final[Mapping[str, tuple[str, str]]] = {
    "WAITING_FOR_END": ("In use", "active"),
    "TO_BE_BUILT": ("In progress", "active"),
    "COMPLETED": ("Completed", "good"),
    "ERROR": ("Error", "bad"),
    "NO_FILES_FOUND": ("No files found", "quiet"),
    "NO_CONSENT": ("No consent", "quiet"),
    "NO_RESERVATION": ("No reservation", "quiet"),
    "BUILT_NOT_EXPORTED": ("Not exported", "bad"),
    "CANCELLED": ("Cancelled", "quiet"),
}
_LONG: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


_CODE: Final = re.compile("`([^`]+)`")


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates."""
    made = Environment(
        loader=PackageLoader("nexuslims_console.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
    )
    made.filters |= {
        "address": quote,
        "ago": ago,
        "brief": brief,
        "bytes": in_bytes,
        "number": lambda number: f"{number:,}",
        "day": lambda moment: local(moment, "%Y-%m-%d"),
        "iso": lambda moment: moment.isoformat() if moment else "",
        "duration": duration,
        "moment": lambda moment: local(moment, "%Y-%m-%d %H:%M"),
        "second": lambda moment: local(moment, "%Y-%m-%d %H:%M:%S"),
        "status": lambda status: _STATUS.get(status, (status, "quiet"))[0],
        "tone": lambda status: _STATUS.get(status, (status, "quiet"))[1],
        "static": static,
        "unit": written_unit,
        "written": written,
        "code": code,
        "clock": lambda moment: local(moment, "%H:%M:%S"),
    }
    made.globals |= {"query": query, "statuses": list(_STATUS), "zone": zone}
    made.tests["web_address"] = is_web_address
    return made


def visible(value: Any) -> Any:
    """Return what an expression gives, with characters escaped that turn other text about."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return page_text(value)
    return value


def code(text: str) -> Markup:
    """Return a text in which what stands between backticks is set as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(visible(text)))))  # noqa: S704 - escaped


def is_web_address(text: str) -> bool:
    """Tell whether a text may become a link: the schemes that run code in a browser may not."""
    try:
        return urlsplit(text).scheme in ("http", "https")
    except ValueError:
        return False


def query(values: Mapping[str, Any], **changes: Any) -> str:
    """Return the query of an address, without what is empty.

    Parameters
    ----------
    values
        Those of the present page.
    changes
        Those that are different.
    """
    merged = {**values, **changes}
    given = {name: value for name, value in merged.items() if value not in ("", None, False)}
    return f"?{urlencode(given)}" if given else "?"


def local(moment: datetime | None, form: str) -> str:
    """Write a time in the zone of this machine.

    Parameters
    ----------
    moment
        None if it is not known.
    form
        As ``strftime`` takes it.
    """
    return moment.astimezone().strftime(form) if moment else ""


def written(text: str) -> str:
    """Write a time of a record in the zone of this machine; one without a zone as it stands."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment.astimezone() if moment.tzinfo else moment:%Y-%m-%d %H:%M}"


def zone() -> str:
    """Return the name of the zone in which times are written."""
    return datetime.now().astimezone().tzname() or "local time"


def ago(moment: datetime | None) -> str:
    """Write how long ago something was, in its largest unit."""
    if moment is None:
        return ""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if 0 <= seconds < 1:
        return "just now"
    return f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"


def duration(seconds: float | timedelta | None) -> str:
    """Write a length of time, in its largest unit, or milliseconds."""
    if seconds is None:
        return ""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    for unit, size in _LONG:
        if seconds >= size:
            number = seconds / size
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"  # noqa: PLR2004
    return f"{seconds * 1000:.0f} ms"


def brief(value: str) -> str:
    """Write a number with as many digits as people read, and any other value as it is."""
    try:
        number = float(value)
    except ValueError:
        return value
    short = f"{number:.6g}"
    return value if len(value) <= len(short) else short.replace("-0", "0") if not number else short


def in_bytes(count: int) -> str:
    """Write a size in its largest unit."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - SI
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"  # noqa: PLR2004
        size /= 1000
    return f"{size:.1f} TB"


@lru_cache(maxsize=32)
def static(name: str) -> str:
    """Return the address of a file of ours, which changes with its content."""
    content = (STATIC / name).read_bytes()
    return f"/static/{name}?{hashlib.sha256(content).hexdigest()[:12]}"
