"""``nexuslims up``."""

import asyncio
import os
from pathlib import Path

from nexuslims_console.facility import console_address, read_services, require_folders, running
from nexuslims_console.probes import until_ready
from nexuslims_shared.broker_address import broker_url
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_table, say
from nexuslims_shared.last_run import LASTING
from nexuslims_shared.secrets import hide
from nexuslims_shared.settings import Settings, read_settings


def up(folder: Path | None) -> None:
    """Run broker and services until a signal stops them."""
    if folder is not None:
        os.chdir(folder)
    settings = read_settings()
    require_folders(settings)
    run(_up(settings))


async def _up(settings: Settings) -> None:
    async with running(settings, say=say, pages=True, command=LASTING) as ports:
        _print_services(settings)
        say(f"broker: {hide(broker_url(settings))}; Ctrl-C stops everything")
        await asyncio.gather(*(_say_when_ready(name, port) for name, port in ports.items()))
        say("all services are ready")
        if address := console_address(settings.state_path):
            say(f"the console is at {address}")
        await asyncio.Event().wait()


def _print_services(settings: Settings) -> None:
    print_table(
        ("service", "process", "health", "log"),
        [
            (
                name,
                at["pid"],
                f"http://127.0.0.1:{at['port']}/readyz",
                settings.logs / f"{name}.log",
            )
            for name, at in read_services(settings.state_path).items()
        ],
    )


async def _say_when_ready(name: str, port: int) -> None:
    await until_ready(port)
    say(f"{name} is ready")
