"""Taking records to LabArchives, so that one notebook holds one page of each session.

LabArchives knows no key of ours, names repeat, and it has no call that deletes. A page is found
again by its name and a key in its text; each step looks at what is there before it writes, so a
crash between two is completed by the next upload, and a lost answer by the next look.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

from nexuslims_shared.settings import Settings, read
from nexuslims_uploader.destination import Holding, RecordToUpload, UploadResult
from nexuslims_uploader.errors import RefusedError, UploadError
from nexuslims_uploader.http import is_passing
from nexuslims_uploader.labarchives.client import ROOT, LabarchivesClient
from nexuslims_uploader.labarchives.page import (
    NOTICE,
    html_of,
    is_incumbents,
    is_ours,
    is_record,
    is_withdrawn,
    links_lead_there,
    may_be_of,
    page_name,
    pictures,
    plain,
    same,
    withdrawn_html,
)
from nexuslims_uploader.labarchives.replies import Entry, Node
from nexuslims_uploader.labarchives.settings import LabarchivesSettings

log = logging.getLogger(__name__)

DELETED: Final = "API Deleted Items"
"""The folder to which public clients of LabArchives move what they delete."""
_LOOKS: Final = 4
"""Times that we look again after a lost answer, before the upload waits."""


def create(settings: Settings) -> "LabarchivesDestination":
    """Make the destination."""
    own = read(LabarchivesSettings)
    return LabarchivesDestination(LabarchivesClient(own), own, settings.data_path)


@dataclass(frozen=True, slots=True)
class Page:
    """A session's page, and what is on it."""

    id: str
    name: str
    entries: Sequence[Entry] = ()

    def text(self, record: RecordToUpload) -> Entry | None:
        """Return our text on it, or the incumbent's."""
        ours = [one for one in self.entries if is_ours(one, record.session)]
        theirs = [one for one in self.entries if is_incumbents(one, record)]
        return next(iter(ours + theirs), None)


class LabarchivesDestination:
    """Keeps records in a notebook of LabArchives.

    Parameters
    ----------
    client
        The connection.
    settings
        How pages are filed there.
    data
        The data folder, with the pictures.
    """

    name = "labarchives"
    priority = 90
    """The incumbent's: after CDCS, to link to it."""
    one_at_a_time = True
    """Folders are made once, and calls keep their pace."""

    def __init__(
        self, client: LabarchivesClient, settings: LabarchivesSettings, data: Path
    ) -> None:
        self._client = client
        self._settings = settings
        self._data = data
        self._folders: dict[str, str] = {}
        """Ids of the instruments' folders, by name; asked for again when one is not there."""

    async def check(self) -> list[str]:
        """Say whether we are let in, and the notebook is there."""
        try:
            notebooks = await self._client.notebooks()
        except UploadError as error:
            return [error.explanation]
        if self._settings.notebook_id.get_secret_value() in notebooks:
            return []
        known = ", ".join(f"{name!r} ({one})" for one, name in notebooks.items()) or "none"
        return [f"NX_LABARCHIVES_NOTEBOOK_ID is none of the account's notebooks: {known}"]

    async def upload(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> UploadResult:
        """Make the session's page, or bring it up to date; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        known = previous.get(self.name)
        elsewhere = {name: one for name, one in previous.items() if name != self.name}
        try:
            async for attempt in _looking_again():
                with attempt:
                    return await self._upload(record, known, elsewhere)
        finally:
            await self._client.rest()
        raise AssertionError("the loop ends by a result or an error")

    async def inspect(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> Holding:
        """Look whether the page is there, with our text and the record attached; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        try:
            page = await self._found(record, previous.get(self.name))
        finally:
            await self._client.rest()
        text = page.text(record) if page else None
        attached = page is not None and any(is_record(one, record) for one in page.entries)
        if text is None or not attached:
            return "missing"
        return "current" if record.sha256 in text.text else "changed"

    async def withdraw(self, record: RecordToUpload, previous: Mapping[str, UploadResult]) -> None:
        """Empty the session's page, and move it out of sight; see the port.

        LabArchives keeps the versions of its entries: only the notebook's owner can look at them.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        try:
            async for attempt in _looking_again():
                with attempt:
                    return await self._remove(record, previous.get(self.name))
        finally:
            await self._client.rest()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.api.close()

    async def _upload(
        self,
        record: RecordToUpload,
        known: UploadResult | None,
        elsewhere: Mapping[str, UploadResult],
    ) -> UploadResult:
        page = await self._found(record, known, make=True)
        if page is None:
            folder = self._folders[plain(record.instrument.pid)]
            made = await self._client.insert(
                folder, page_name(record), record.session, folder=False
            )
            page = Page(made, page_name(record))
        if page.name and not same(page.name, page_name(record)):
            await self._client.rename(page.id, page_name(record), record.session)
        await self._write(page, record, elsewhere)
        await self._attach(page, record, record.xml)
        return self._client.result(page.id)

    async def _write(
        self, page: Page, record: RecordToUpload, elsewhere: Mapping[str, UploadResult]
    ) -> None:
        """Leave one text of ours, which shows this record."""
        there = page.text(record)
        whole = there is not None and record.sha256 in there.text
        if there is not None and whole and links_lead_there(there, elsewhere):
            return
        html = await asyncio.to_thread(self._html, record, elsewhere)
        if there is None:
            await self._client.write(page.id, html, record.session)
        else:
            await self._client.rewrite(there.id, html, record.session)

    def _html(self, record: RecordToUpload, elsewhere: Mapping[str, UploadResult]) -> str:
        images = pictures(
            record.previews,
            self._data,
            most=self._settings.previews,
            most_bytes=self._settings.preview_bytes,
        )
        return html_of(record, elsewhere, images)

    async def _attach(self, page: Page, record: RecordToUpload, content: bytes) -> None:
        """Leave these bytes in every file of ours; there is one, unless somebody copied it."""
        ours = [one for one in page.entries if is_record(one, record)]
        for one in ours:
            named = one.file_name in ("", record.file_name)
            if not named or await self._client.content(one.id, record.session) != content:
                await self._client.replace(one.id, record.file_name, content, record.session)
        if not ours:
            await self._client.attach(page.id, record.file_name, content, record.session)

    async def _remove(self, record: RecordToUpload, known: UploadResult | None) -> None:
        done: set[str] = set()
        while page := await self._found(record, known):
            if page.id in done:
                raise self._client.still_there(page.id, record.session)
            await self._put_away(page, record)
            done.add(page.id)

    async def _put_away(self, page: Page, record: RecordToUpload) -> None:
        """Take the record off a page; the move comes last, and says that all is done."""
        if any(is_record(one, record) for one in page.entries):
            await self._attach(page, record, NOTICE)
        text = page.text(record)
        if text is not None and not is_withdrawn(text):
            await self._client.rewrite(text.id, withdrawn_html(record.session), record.session)
        deleted = await self._folder(ROOT, DELETED, record.session, make=True)
        await self._client.move(page.id, deleted, record.session)

    async def _found(
        self, record: RecordToUpload, known: UploadResult | None, *, make: bool = False
    ) -> Page | None:
        """Return the session's page: by number, key, or as the incumbent made it; or an empty one.

        A page without entries is one of ours whose maker crashed, or lost the answer.
        """
        nodes = [one for one in await self._pages(record, make=make) if may_be_of(record, one.name)]
        if known is not None and known.record_id not in {one.id for one in nodes}:
            page = await self._moved(record, known.record_id)
            if page is not None:
                return page
        nodes.sort(key=lambda one: known is None or one.id != known.record_id)
        pages = [
            Page(one.id, one.name, await self._client.entries(one.id, record.session))
            for one in nodes
        ]
        keyed = [one for one in pages if any(is_ours(e, record.session) for e in one.entries)]
        empty = [one for one in pages if not one.entries]
        theirs = [one for one in pages if one.text(record) is not None]
        return next(iter(keyed + empty + theirs), None)

    async def _moved(self, record: RecordToUpload, page: str) -> Page | None:
        """Return a page that people moved or renamed; None if it is gone, or was withdrawn."""
        try:
            entries = await self._client.entries(page, record.session)
        except RefusedError:
            return None
        current = [one for one in entries if is_ours(one, record.session) and not is_withdrawn(one)]
        return Page(page, "", entries) if current else None

    async def _pages(self, record: RecordToUpload, *, make: bool) -> list[Node]:
        """Return what is in the instrument's folder; nothing if it is not there, nor made."""
        session, name = record.session, plain(record.instrument.pid)
        if name in self._folders:
            try:
                return _only_pages(await self._client.level(self._folders[name], session))
            except RefusedError:
                log.info("the folder of %s is not where it was", name)
                del self._folders[name]
        top = await self._folder(ROOT, plain(self._settings.folder), session, make=make)
        folder = top and await self._folder(top, name, session, make=make)
        if not folder:
            return []
        self._folders[name] = folder
        return _only_pages(await self._client.level(folder, session))

    async def _folder(self, parent: str, name: str, session: str, *, make: bool) -> str:
        """Return the id of a folder, the first of several; empty if it is not there nor made."""
        there = await self._client.level(parent, session)
        found = [one for one in there if not one.is_page and same(one.name, name)]
        if len(found) > 1:
            log.warning("%d folders are called %r: the first is used", len(found), name)
        if found:
            return found[0].id
        return await self._client.insert(parent, name, session, folder=True) if make else ""


def _only_pages(nodes: Sequence[Node]) -> list[Node]:
    return [one for one in nodes if one.is_page]


def _looking_again() -> AsyncRetrying:
    """Repeat what looks before it writes, after troubles that pass; calls keep their own pace."""
    return AsyncRetrying(
        retry=retry_if_exception(is_passing), stop=stop_after_attempt(_LOOKS), reraise=True
    )
