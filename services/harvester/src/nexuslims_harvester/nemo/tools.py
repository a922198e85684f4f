"""The tools of a NEMO, as instruments of ours."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from nexuslims_harvester.nemo.client import NemoClient
from nexuslims_harvester.nemo.payload import Tool
from nexuslims_harvester.nemo.settings import NemoSettings, read_nemo_settings
from nexuslims_shared.instruments import InstrumentEntry

_NOT_PID = re.compile(r"[^\w.]+")


def instruments(
    number: str, *, connect: Callable[[str, str, NemoSettings], NemoClient] = NemoClient
) -> list[InstrumentEntry]:
    """Ask a NEMO for its tools.

    Parameters
    ----------
    number
        Of its settings: ``1`` for ``NX_NEMO_ADDRESS_1``.
    connect
        Makes the connection.

    Returns
    -------
    list of InstrumentEntry
        In the order of their numbers. NEMO knows no folder of files: the pid stands for it, and no
        two are the same but for the case of letters, which some file systems do not tell apart.

    Raises
    ------
    SettingsError
        If a setting is missing or wrong.
    CalendarUnavailableError
        If NEMO cannot be asked.
    """
    settings = read_nemo_settings(number)
    objects = asyncio.run(_ask(connect(f"nemo-{number}", number, settings)))
    tools = sorted(_readable(objects), key=lambda tool: tool.id)
    taken: set[str] = set()
    return [_entry(tool, f"nemo-{number}", settings, taken) for tool in tools]


async def _ask(client: NemoClient) -> list[Any]:
    async with client:
        return await client.all("tools", {})


def _readable(objects: list[Any]) -> list[Tool]:
    tools: list[Tool] = []
    for one in objects:
        try:
            tools.append(Tool.model_validate(one))
        except ValidationError:  # no name or no number: nothing to write down
            continue
    return tools


def _entry(tool: Tool, calendar: str, settings: NemoSettings, taken: set[str]) -> InstrumentEntry:
    pid = _NOT_PID.sub("-", tool.name).strip("-.") or f"tool-{tool.id}"
    while pid.casefold() in taken:
        pid = f"{pid}-{tool.id}"
    taken.add(pid.casefold())
    return InstrumentEntry(
        pid=pid,
        name=tool.name,
        filestore_path=pid,
        timezone=settings.tz or "UTC",
        calendar=calendar,
        calendar_id=str(tool.id),
        location=tool.location,
        property_tag=tool.serial,
    )
