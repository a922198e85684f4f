"""The archive: searching datasets, and reading records."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import PurePosixPath
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from nexuslims_console.archive.question import Question, QuestionError, read_question
from nexuslims_console.archive.rows import RecordRow
from nexuslims_console.archive.search import COUNTED
from nexuslims_console.errors import ConsoleError
from nexuslims_console.web.files import may_download
from nexuslims_console.web.parameters import grouped
from nexuslims_console.web.records import read_page
from nexuslims_console.web.responses import page, site_of, visitor_of
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.record.model import Activity
from nexuslims_contracts.record.reader import RecordPart
from nexuslims_shared.errors import ArtifactError
from nexuslims_shared.record_formats import record_formats

_SIZE: Final = 150
"""Datasets on one page of a record."""


@dataclass(frozen=True, slots=True)
class Part:
    """An activity of a record.

    Parameters
    ----------
    number
        Of the activity, from 1.
    activity
        With its datasets on the present page.
    page
        Of the record, on which it begins.
    size
        How many datasets it has in all.
    """

    number: int
    activity: Activity
    page: int
    size: int


async def search(request: Request) -> HTMLResponse:
    """Search datasets by words and by quantities."""
    site = site_of(request)
    asked = request.query_params
    values = {name: asked.get(name, "") for name in ("q", "instrument", "type", "technique")}
    before = asked.get("before", "")
    problem, question = "", Question()
    try:
        question = read_question(values["q"])
    except QuestionError as error:
        problem = str(error)
    question = replace(
        question,
        instrument_pid=values["instrument"] or question.instrument_pid,
        dataset_type=values["type"] or question.dataset_type,
        data_type=values["technique"] or question.data_type,
    )
    cursor = int(before) if before.removeprefix("-").isdecimal() else None
    found, counts = await asyncio.gather(
        asyncio.to_thread(site.archive.search, question, before=cursor),
        asyncio.to_thread(site.archive.count),
    )
    return page(
        request,
        "archive",
        values=values,
        question=question,
        problem=problem,
        found=found,
        counted=COUNTED,
        counts=counts,
        anchor=anchor,
    )


async def show_record(request: Request) -> HTMLResponse:
    """Show a record: its activities, datasets, parameters."""
    site, row = site_of(request), await required(request)
    given = request.query_params.get("page", "1")
    asked = max(int(given) if given.isdecimal() else 1, 1)
    pages = max(ceil(row.datasets / _SIZE), 1)
    number = min(asked, pages)
    try:
        part = await read_page(site, artifact(row), range((number - 1) * _SIZE, number * _SIZE))
    except (ArtifactError, UnreadableRecordError) as error:
        raise HTTPException(503, f"The record cannot be read: {error}") from error
    contents = list(_contents(part))
    return page(
        request,
        "record",
        row=row,
        experiment=part.experiment,
        contents=contents,
        parts=[one for one in contents if one.activity.datasets or _is_empty_on(one, number)],
        number=number,
        pages=pages,
        total=sum(part.sizes),
        formats=record_formats(),
        raw=may_download(site, visitor_of(request)),
        grouped=grouped,
        anchor=anchor,
        metadata_of=metadata_of,
    )


async def download(request: Request) -> Response:
    """Send a record in one of the installed forms."""
    site, row = site_of(request), await required(request)
    ending = request.path_params["ending"]
    form = record_formats().get(ending)
    if form is None:
        raise HTTPException(404, f"Records cannot be had as .{ending}.")
    try:
        content = await form.write(site.context, row.session, artifact(row))
    except (ArtifactError, UnreadableRecordError, ConsoleError) as error:
        raise HTTPException(503, f"The record cannot be had as .{ending}: {error}") from error
    name = PurePosixPath(row.path).with_suffix(f".{ending}").name
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=form.media_type, headers=headers)


async def required(request: Request) -> RecordRow:
    """Return the record that a request is about; answer 404 if it may not be read."""
    session = request.path_params["session"]
    row = await asyncio.to_thread(site_of(request).archive.record, session)
    if row is None:
        raise HTTPException(404, f"There is no record of session {session} that may be read.")
    return row


def artifact(row: RecordRow) -> ArtifactRef:
    """Return where the record is."""
    return ArtifactRef(path=row.path, sha256=row.sha256, size=row.size)


def anchor(location: str) -> str:
    """Return the name of a file's place on the page of its record."""
    return f"file-{digest([location])[:12]}"


def metadata_of(preview: str) -> str:
    """Return the path of the metadata beside a preview."""
    return f"{preview.removesuffix('.thumb.png')}.json"


def _contents(record: RecordPart) -> Iterator[Part]:
    """Give all activities, each with the page on which it begins."""
    before = 0
    for number, activity in enumerate(record.experiment.activities, 1):
        size = record.sizes[number - 1]
        yield Part(number, activity, before // _SIZE + 1, size)
        before += size


def _is_empty_on(part: Part, number: int) -> bool:
    """Tell whether an activity has no datasets, and is on a page."""
    return not part.size and part.page == number
