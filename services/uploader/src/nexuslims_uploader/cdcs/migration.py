"""Putting a record under the current version of its template; its id and its address stay."""

import asyncio
import logging
from typing import Final

from nexuslims_uploader.cdcs.client import CdcsClient
from nexuslims_uploader.cdcs.shapes import Data, Id
from nexuslims_uploader.errors import UploadError

log = logging.getLogger(__name__)

_UNDER_WAY: Final = frozenset({"PENDING", "RECEIVED", "STARTED", "PROGRESS", "RETRY"})
_LOOKS: Final = 20
_PAUSE_S: Final = 0.5
"""Between two looks; CDCS does it by a worker of its own."""


async def migrate(client: CdcsClient, data: Data, template: Id, session: str) -> Data:
    """Put a record under another version of its template, and return it as it is then.

    It stays as it is where CDCS does not do that, because its content is not valid under the new
    version for example: that is no reason not to change the record.

    Parameters
    ----------
    client
        The connection, with a superuser's token.
    data
        The record.
    template
        Number of the template's version.
    session
        Token of the session.
    """
    try:
        task = await client.begin_migration(data.id, template, session)
        for _ in range(_LOOKS):
            if await client.migration(task, session) not in _UNDER_WAY:
                break
            await asyncio.sleep(_PAUSE_S)
    except UploadError as error:
        log.warning("record %s keeps its template's version: %s", data.id, error.explanation)
        return data
    now = await client.get(str(data.id), session) or data
    if str(now.template) != str(template):
        log.warning("record %s keeps its template's version %s", data.id, now.template)
    return now
