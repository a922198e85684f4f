"""Pages for people, of one file each: no script, no server, nothing fetched but the previews."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from nexuslims_uploader.catalogue import Entry
from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.html import is_web_address, templates

if TYPE_CHECKING:
    from jinja2 import Environment


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


def index_page(entries: Iterable[Entry], folder: str, previews: str) -> bytes:
    """Render the list of all records, newest first.

    Parameters
    ----------
    entries
        What is known of them.
    folder
        Relative address of the folder with their pages.
    previews
        Relative address of the data folder.
    """
    newest_first = sorted(entries, key=lambda entry: (entry.start, entry.file), reverse=True)
    template = _environment().get_template("index.html.j2")
    return template.render(entries=newest_first, folder=folder, previews=previews).encode()


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    environment = templates().overlay()
    environment.filters |= {
        "address": quote,
        "page": lambda file: PurePosixPath(file).with_suffix(".html").name,
        "moment": _moment,
    }
    environment.tests["web_address"] = is_web_address
    return environment


def _moment(text: str) -> str:
    """Return an ISO 8601 time as people read it, to the minute, in its own zone."""
    return text[:16].replace("T", " ")
