"""What a page in LabArchives says of a session: as the incumbent writes it, and escaped."""

import base64
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Final

from nexuslims_shared.artifacts import resolve
from nexuslims_uploader.destination import Preview, RecordToUpload, UploadResult
from nexuslims_uploader.html import templates
from nexuslims_uploader.labarchives.replies import Entry
from nexuslims_uploader.notebook import (
    COMMENT,
    DIGEST,
    KEY,
    SESSION,
    key_of,
    links_of,
    session_id,
    users_of,
)

HEADING: Final = "NexusLIMS Microscopy Session"
WITHDRAWN: Final = f"{DIGEST}: withdrawn"
NOTICE: Final = b"This record was withdrawn.\n"
"""In the place of a withdrawn record's bytes."""
_DASH: Final = " — "
_LONGEST_NAME: Final = 200
"""Characters: names travel in addresses."""
_FILES: Final = 500
_ROW: Final = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on a page."""

    caption: str
    source: str
    """A ``data:`` address."""


def page_name(record: RecordToUpload) -> str:
    """Return the name of a session's page: its first day, and what the calendar calls it."""
    return plain(f"{record.start:%Y-%m-%d}{_DASH}{session_id(record)}")


def may_be_of(record: RecordToUpload, name: str) -> bool:
    """Tell whether a page is a session's by its name; the session may have begun on another day.

    Parameters
    ----------
    record
        The record.
    name
        Name of a page.
    """
    return same(plain(name).partition(_DASH)[2], page_name(record).partition(_DASH)[2])


def plain(text: str) -> str:
    """Return a text as a name: one line, without control characters, not too long."""
    line = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(line.split())[:_LONGEST_NAME].rstrip()


def same(one: str, other: str) -> bool:
    """Compare two names, whatever a server has made of them.

    Parameters
    ----------
    one
        A name.
    other
        Another.
    """
    return _normal(one) == _normal(other)


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", " ".join(unescape(name).split()))


def is_ours(entry: Entry, session: str) -> bool:
    """Tell whether a text is the one that we wrote for a session.

    Parameters
    ----------
    entry
        An entry of a page.
    session
        Token of the session.
    """
    return not entry.is_file and key_of(session) in entry.text


def is_incumbents(entry: Entry, record: RecordToUpload) -> bool:
    """Tell whether a text is one that the incumbent wrote for a session.

    Parameters
    ----------
    entry
        An entry of a page.
    record
        The record.
    """
    text = unescape(entry.text)
    return HEADING in text and f"{KEY}:" not in text and session_id(record) in text


def is_withdrawn(entry: Entry) -> bool:
    """Tell whether a text of ours says that the record was withdrawn."""
    return WITHDRAWN in entry.text


def links_lead_there(entry: Entry, elsewhere: Mapping[str, UploadResult]) -> bool:
    """Tell whether the links in a text of ours lead to where the record is elsewhere now.

    Parameters
    ----------
    entry
        An entry of a page.
    elsewhere
        Where the record is too, by destination.
    """
    text = unescape(entry.text)
    return all(
        address in text or f"View in {name}" not in text
        for name, address in links_of(elsewhere).items()
    )


def is_record(entry: Entry, record: RecordToUpload) -> bool:
    """Tell whether a file is the one that we attached: by its caption, or its name.

    Parameters
    ----------
    entry
        An entry of a page.
    record
        The record.
    """
    return entry.is_file and (entry.caption == COMMENT or entry.file_name == record.file_name)


def pictures(
    previews: Iterable[Preview], data: Path, *, most: int, most_bytes: int
) -> list[Picture]:
    """Read the pictures that a page shows, from our disk.

    Parameters
    ----------
    previews
        In the order of the record; one that is not on the disk is left out.
    data
        The data folder, to which their paths are relative.
    most, most_bytes
        When to stop.
    """
    found: list[Picture] = []
    room = most_bytes
    for preview in previews:
        path = resolve(data, preview.path)
        if len(found) == most or (path.is_file() and path.stat().st_size > room):
            break
        if path.is_file():
            content = path.read_bytes()
            room -= len(content)
            encoded = base64.b64encode(content).decode()
            found.append(Picture(preview.caption, f"data:image/png;base64,{encoded}"))
    return found


def html_of(
    record: RecordToUpload, elsewhere: Mapping[str, UploadResult], images: list[Picture]
) -> str:
    """Return the text of a page.

    Parameters
    ----------
    record
        The record.
    elsewhere
        Where the record is too, by destination.
    images
        The pictures.
    """
    details = {
        SESSION: session_id(record),
        "Instrument": record.instrument.pid,
        "User": ", ".join(users_of(record)),
        "Start": record.start.isoformat(),
        "End": record.end.isoformat(),
    }
    files = list(dict.fromkeys(dataset.location for dataset in record.experiment.datasets()))
    return templates().get_template("labarchives.html.j2").render(
        heading=HEADING,
        details={name: value for name, value in details.items() if value},
        links=links_of(elsewhere),
        rows=[images[at : at + _ROW] for at in range(0, len(images), _ROW)],
        pictures_left_out=len(record.previews) - len(images),
        files=files[:_FILES],
        files_left_out=max(0, len(files) - _FILES),
        attached=record.file_name,
        keys={KEY: key_of(record.session), DIGEST: record.sha256},
    )  # fmt: skip


def withdrawn_html(session: str) -> str:
    """Return the text of a page whose record was withdrawn; by its key it is found again."""
    return (
        f"<h1>{HEADING}</h1><p>The record of this session was withdrawn.</p>"
        f"<p>{KEY}: {key_of(session)}</p><p>{WITHDRAWN}</p>"
    )
