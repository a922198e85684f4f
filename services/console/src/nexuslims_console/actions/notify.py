"""``nexuslims notify``: tell people now of sessions that need them."""

import asyncio
from datetime import UTC, datetime

from nexuslims_console.errors import ConsoleError
from nexuslims_console.notifications.channels import channels
from nexuslims_console.notifications.digest import make_digest, trouble_of
from nexuslims_console.notifications.notify import notify
from nexuslims_console.notifications.telling import in_trouble
from nexuslims_console.open_read_model import latest_view
from nexuslims_console.views import SessionRow
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import say, show
from nexuslims_shared.facility import broker_at_hand
from nexuslims_shared.settings import Settings, make_state_folder, read_settings


def notify_now(*, dry_run: bool) -> None:
    """Send what is new to all channels.

    Parameters
    ----------
    dry_run
        Print what needs a person instead, told before or not.

    Raises
    ------
    ConsoleError
        If no channel has settings.
    """
    settings = read_settings()
    there = {} if dry_run else channels()
    if not there and not dry_run:
        raise ConsoleError("nobody can be told: set NX_EMAIL_SMTP_HOST, or NX_WEBHOOK_URL")
    rows = [row for row in run(_rows(settings)) if trouble_of(row)]
    if dry_run:
        show(make_digest(rows).text if rows else "no session needs a person")
        return
    state = make_state_folder(settings.state_path)
    sent = notify(rows, there, state, datetime.now(UTC))
    for name, digest in sent.items():
        say(f"{name}: {digest.subject}")


async def _rows(settings: Settings) -> list[SessionRow]:
    async with broker_at_hand(settings), latest_view(settings) as view:
        return await asyncio.to_thread(in_trouble, view.model)
