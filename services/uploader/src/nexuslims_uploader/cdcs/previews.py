"""Taking the pictures of a record to CDCS, as files that belong to it."""

import asyncio
import hashlib
from pathlib import Path, PurePosixPath

from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.record.reader import read_record
from nexuslims_shared.artifacts import resolve
from nexuslims_uploader.cdcs.client import CdcsClient
from nexuslims_uploader.cdcs.shapes import Id
from nexuslims_uploader.destination import RecordToUpload


class Previews:
    """Takes pictures to CDCS; each once, under a name made of its session and path.

    Parameters
    ----------
    client
        The connection.
    data
        The data folder, to which the pictures' paths are relative.
    """

    def __init__(self, client: CdcsClient, data: Path) -> None:
        self._client = client
        self._data = data

    async def bring(self, record: RecordToUpload, data: Id, workspace: Id | None) -> None:
        """Bring the pictures that are on our disk and not there, or are others there.

        Parameters
        ----------
        record
            The record.
        data
            Number of the record they belong to.
        workspace
            Number of the workspace; None for none.
        """
        for preview in record.previews:
            file = resolve(self._data, preview.path)
            if await asyncio.to_thread(file.is_file):
                content = await asyncio.to_thread(file.read_bytes)
                name = blob_name(record.session, preview.path)
                await self._bring_one(name, content, record.session, data, workspace)

    async def are_there(self, record: RecordToUpload) -> bool:
        """Tell whether all pictures that are on our disk are there, whatever they show.

        Parameters
        ----------
        record
            The record.
        """
        for preview in record.previews:
            if await asyncio.to_thread(resolve(self._data, preview.path).is_file):
                name = blob_name(record.session, preview.path)
                if not await self._client.blobs(name, record.session):
                    return False
        return True

    async def drop(self, record: RecordToUpload, former: str) -> None:
        """Remove the pictures of an earlier record, by its XML, that this one no longer has.

        Parameters
        ----------
        record
            The record.
        former
            XML of the session's earlier record; empty for none.
        """
        current = {blob_name(record.session, preview.path) for preview in record.previews}
        earlier = {blob_name(record.session, path) for path in _pictures(former)}
        for name in sorted(earlier - current):
            for blob in await self._client.blobs(name, record.session):
                await self._client.delete("blob", blob.id, record.session)

    async def remove(self, session: str) -> None:
        """Remove all pictures of a session, also those of earlier records of it."""
        for blob in await self._client.blobs_below(f"{session}.", session):
            await self._client.delete("blob", blob.id, session)

    async def _bring_one(
        self, name: str, content: bytes, session: str, data: Id, workspace: Id | None
    ) -> None:
        held = await self._client.blobs(name, session)
        for blob in held:
            if await self._client.blob_content(blob.id, session) == content:
                break
            await self._client.delete("blob", blob.id, session)
        else:
            blob = await self._client.add_blob(name, content, session)
        if workspace is not None:
            await self._client.assign("blob", blob.id, workspace, session)
        await self._client.link_blob(blob.id, data, session)


def _pictures(xml: str) -> list[str]:
    """Paths of a record's pictures; none where there is no record."""
    try:
        experiment = read_record(xml.encode())
    except UnreadableRecordError:
        return []
    return [dataset.previews[0] for dataset in experiment.datasets() if dataset.previews]


def blob_name(session: str, path: str) -> str:
    """Name a picture so that it is found again: the session, and a digest of the picture's path.

    Parameters
    ----------
    session
        Token of the session.
    path
        Of the picture, below the data path.
    """
    digest = hashlib.sha256(path.encode()).hexdigest()[:16]
    return f"{session}.{digest}{''.join(PurePosixPath(path).suffixes[-2:])}"
