"""Telling people again and again, as long as the console's service lives."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError
from nexuslims_console.notifications.channels import Channel
from nexuslims_console.notifications.notify import notify
from nexuslims_console.queries import ReadModel
from nexuslims_console.views import SessionRow
from nexuslims_shared.errors import DiskError
from nexuslims_shared.session.status import FINAL, WELL
from nexuslims_shared.threads import in_thread

log = logging.getLogger(__name__)

EVERY_S: Final = 600.0
"""A trouble that is over by itself within that time needs nobody."""


async def keep_telling(database: Database, there: Mapping[str, Channel], state: Path) -> None:
    """Look every ten minutes for sessions that need a person, and tell people of them.

    Parameters
    ----------
    database
        The read model.
    there
        Channels by name.
    state
        Folder in which it is kept what was said.
    """
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            sent = await in_thread(lambda: tell(database, there, state))
        except (ReadModelError, DiskError) as error:
            log.warning("nobody is told of sessions that need a person now: %s", error)
            continue
        for name, subject in sent.items():
            log.info("%s: %s", name, subject)


def tell(database: Database, there: Mapping[str, Channel], state: Path) -> dict[str, str]:
    """Tell people what is new; return the subjects that were sent, by channel. Blocks.

    Parameters
    ----------
    database, there, state
        As for :func:`keep_telling`.
    """
    sent = notify(in_trouble(ReadModel(database)), there, state, datetime.now(UTC))
    return {name: digest.subject for name, digest in sent.items()}


def in_trouble(model: ReadModel) -> list[SessionRow]:
    """Return the sessions in which nothing happens any more, though not all is well."""
    return [row for status in sorted(FINAL - WELL) for row in model.sessions(status=status)]
