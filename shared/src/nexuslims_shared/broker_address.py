"""Where the broker is; imports little, so that a command that needs none starts fast."""

import json
import os
from pathlib import Path
from typing import Any

from nexuslims_shared.errors import TopologyError
from nexuslims_shared.settings import Settings

BROKER_FILE = "broker.json"


def broker_url(settings: Settings) -> str:
    """Return the address of the broker: the configured one, or the embedded one that runs.

    Raises
    ------
    TopologyError
        If neither is there.
    """
    url = settings.nats_url or running_broker(settings.state_path)
    if not url:
        raise TopologyError(
            "no broker: set NATS_URL, or start the embedded one with `nexuslims up`"
        )
    return url


def running_broker(state: Path) -> str | None:
    """Address of the embedded broker that runs on a state folder, if one does."""
    known = running_on(state)
    return str(known["url"]) if known else None


def running_on(state: Path) -> dict[str, Any] | None:
    """Return what is known of the embedded broker of a state folder, if one runs."""
    try:
        known: dict[str, Any] = json.loads((state / BROKER_FILE).read_text())
        os.kill(known["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return known
