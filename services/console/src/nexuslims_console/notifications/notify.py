"""Telling people of sessions that need them: at least once, and not twice a day."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from nexuslims_console.notifications.channels import Channel, NotificationError
from nexuslims_console.notifications.digest import (
    Digest,
    Notified,
    make_digest,
    to_notify,
    trouble_of,
)
from nexuslims_console.views import SessionRow
from nexuslims_shared.artifacts import write_artifact

log = logging.getLogger(__name__)

FILE: Final = "notified.json"
"""In NX_STATE_PATH: what was said of which session. Without it everything is said again."""
_NOTIFIED: Final = TypeAdapter(dict[str, dict[str, Notified]])


def notify(
    rows: Iterable[SessionRow], channels: Mapping[str, Channel], state: Path, now: datetime
) -> dict[str, Digest]:
    """Tell people what is new; return what was sent, by channel. Blocks.

    A message counts as said once its channel took it: after a crash in between it is sent again.

    Parameters
    ----------
    rows
        All sessions that may be in trouble.
    channels
        By name.
    state
        Folder in which it is kept what was said.
    now
        The time.
    """
    rows = list(rows)
    notified = _read(state / FILE)
    sent: dict[str, Digest] = {}
    for name, channel in channels.items():
        before = notified.get(name, {})
        news = to_notify(rows, before, now)
        if not news:
            continue
        digest = make_digest(news)
        try:
            channel.send(digest)
        except NotificationError as error:
            log.warning("%s: %s", name, error)
            continue
        fresh = {row.session: Notified(trouble_of(row), now.astimezone(UTC)) for row in news}
        notified[name] = {**before, **fresh}
        write_artifact(state, FILE, _NOTIFIED.dump_json(notified))
        sent[name] = digest
    return sent


def _read(path: Path) -> dict[str, dict[str, Notified]]:
    try:
        return _NOTIFIED.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError:
        log.warning("%s cannot be read: everything is said again", path)
        return {}
