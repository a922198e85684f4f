"""A reading as a notebook shows it: HTML, in which nothing of the file is more than text."""

import base64
import logging
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from nexuslims_contracts.text import clean_text, printable
from nexuslims_formats.rows import row_of

if TYPE_CHECKING:
    from nexuslims_formats.reading import Reading

log = logging.getLogger(__name__)

_CELL = 'style="text-align: left; vertical-align: top"'


def as_html(reading: "Reading") -> str:
    """Return what came of a file: its outcome, and for each dataset a table and a picture."""
    return "\n".join(_parts(reading))


def _parts(reading: "Reading") -> Iterator[str]:
    yield f"<div><b>{_text(printable(reading.path.name))}</b>: {_text(reading.outcome)}"
    if reading.reason:
        yield f"<p>{_text(reading.reason)}</p>"
    for index, dataset in enumerate(reading.datasets):
        yield from _picture(reading, index)
        rows = (
            f"<tr><th {_CELL}>{_text(name)}</th><td {_CELL}>{_text(str(value))}</td></tr>"
            for name, value in row_of(dataset).items()
            if value not in ("", None)
        )
        yield f"<table>{''.join(rows)}</table>"
    yield "</div>"


def _picture(reading: "Reading", index: int) -> Iterator[str]:
    try:
        preview = reading.preview(index)
    except Exception as error:  # readers raise what they like; a notebook shows the table anyway
        log.debug("%s: no preview", reading.path, exc_info=True)
        yield f"<p>No preview: {_text(str(error) or type(error).__name__)}</p>"
        return
    if preview:
        data = base64.b64encode(preview).decode()
        yield f'<img alt="Preview of dataset {index}" src="data:image/png;base64,{data}"/>'


def _text(text: str) -> str:
    return escape(clean_text(text))
