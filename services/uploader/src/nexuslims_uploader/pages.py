"""Pages for people, of one file each: no script, no server, nothing fetched but the previews."""

from calendar import month_name
from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from nexuslims_contracts.record.model import Parameter
from nexuslims_uploader.catalogue import Entry, Page
from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.html import escaped, is_web_address, templates

if TYPE_CHECKING:
    from jinja2 import Environment

_UNRELIABLE: Final = (
    ' <span class="tag" title="The instrument\'s software is known to fill this in unreliably">'
    "unreliable</span>"
)


def record_page(record: RecordToUpload, *, home: str, previews: str) -> bytes:
    """Render the page of one record.

    Parameters
    ----------
    record
        The record; the page lies beside its XML.
    home
        Relative address of the index.
    previews
        Relative address of the data folder.
    """
    template = _environment().get_template("record.html.j2")
    return template.render(
        record=record, experiment=record.experiment, home=home, previews=previews
    ).encode()


def index_page(newest: Iterable[Entry], months: Iterable[str], folder: str, previews: str) -> bytes:
    """Render the front page: the newest records, and links to all months.

    Parameters
    ----------
    newest
        The entries of the newest records.
    months
        All that have records, such as ``2018-11``.
    folder
        Relative address of the folder with the records' pages.
    previews
        Relative address of the data folder.
    """
    years: dict[str, list[str]] = {}
    for month in sorted(months, reverse=True):
        years.setdefault(month[:4], []).append(month)
    template = _environment().get_template("index.html.j2")
    return template.render(
        entries=_newest_first(newest), years=years, folder=folder, previews=previews
    ).encode()


def month_page(page: Page, entries: Iterable[Entry], folder: str, previews: str) -> bytes:
    """Render a list of records of one month, newest first.

    Parameters
    ----------
    page
        Which list it is.
    entries
        The entries on it.
    folder
        Relative address of the folder with the records' pages, as seen from the index.
    previews
        Relative address of the data folder.
    """
    template = _environment().get_template("month.html.j2")
    return template.render(
        page=page, entries=_newest_first(entries), folder=f"../../{folder}", previews=previews
    ).encode()


def _newest_first(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.start, entry.file), reverse=True)


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    environment = templates().overlay()
    environment.filters |= {
        "address": quote,
        "rows": _rows,
        "page": lambda file: PurePosixPath(file).with_suffix(".html").name,
        "moment": _moment,
        "month": _month,
    }
    environment.tests["web_address"] = is_web_address
    return environment


def _rows(parameters: Iterable[Parameter]) -> str:
    """Return the rows of a table of parameters, as HTML."""
    return "".join(map(_row, parameters))


@lru_cache(maxsize=8192)
def _row(one: Parameter) -> str:
    """Return the row of a parameter; most are those of many datasets."""
    value = f"{one.value} {one.unit}" if one.unit else one.value
    doubt = _UNRELIABLE if one.unreliable else ""
    return f"<tr><td>{escaped(one.name)}</td><td>{escaped(value)}{doubt}</td></tr>\n"


def _moment(text: str) -> str:
    """Return an ISO 8601 time as people read it, to the minute, in its own zone."""
    return text[:16].replace("T", " ")


def _month(text: str) -> str:
    """Return a month such as ``2018-11`` as people read it."""
    return f"{month_name[int(text[5:7])]} {text[:4]}"
