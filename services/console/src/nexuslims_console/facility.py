"""A running facility: the broker and every installed service, each a process of its own."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Final

import nats.errors

from nexuslims_console.broker_keeper import broker_at_work
from nexuslims_console.supervisor import Program, Supervisor
from nexuslims_console.web.settings import DEFAULT_PORT, ConsoleSettings
from nexuslims_contracts.plugins import installed
from nexuslims_contracts.topology import PROJECTION
from nexuslims_shared.broker import consumers_without_service
from nexuslims_shared.errors import TopologyError
from nexuslims_shared.facility import locked_for_services, services_run_here
from nexuslims_shared.last_run import noted_run
from nexuslims_shared.service import (
    SERVICES,
    Mount,
    provision_broker,
    require_mounts,
    service_context,
)
from nexuslims_shared.settings import Settings, make_folder, make_state_folder
from nexuslims_shared.settings.groups import read

SERVICES_FILE: Final = "services.json"
CONSOLE_FILE: Final = "console.port"

Say = Callable[[str], None]


@asynccontextmanager
async def at_work(
    settings: Settings, *, say: Say, without: Collection[str] = (), command: str = ""
) -> AsyncIterator[dict[str, int]]:
    """Use the running system, or run one for the duration; yield the HTTP ports known here.

    Parameters
    ----------
    settings
        The facility's.
    say
        Takes messages for the operator.
    without
        Services that are not needed.
    command
        As for :func:`running`.
    """
    if services_run_here(settings.state_path) or await _runs_elsewhere(settings):
        with _saying(say, "the services go on by themselves: nothing that was asked for is lost"):
            yield {name: at["port"] for name, at in read_services(settings.state_path).items()}
        return
    with _saying(say, "the services that ran for this command stop; call it again to go on"):
        async with running(settings, say=say, without=without, command=command) as ports:
            yield ports


@contextmanager
def _saying(say: Say, what: str) -> Iterator[None]:
    """Say what becomes of the work if the command is interrupted."""
    try:
        yield
    except asyncio.CancelledError:
        say(f"interrupted: {what}")
        raise


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    say: Say,
    without: Collection[str] = (),
    pages: bool = False,
    command: str = "",
) -> AsyncIterator[dict[str, int]]:
    """Run broker and services as long as the context lasts; yield the services' HTTP ports.

    Parameters
    ----------
    settings
        The facility's.
    say
        Takes messages for the operator.
    without
        Services that are not needed.
    pages
        Whether the console serves its pages too.
    command
        The command that does a facility's work with them, noted for those who ask what ran last.

    Raises
    ------
    AlreadyRunningError
        If they run already.
    TopologyError
        If the broker does not start, or does not answer.
    SettingsError
        If a folder that the settings name cannot be made.
    """
    make_state_folder(settings.state_path)
    make_folder(settings.logs, "NX_LOG_PATH")
    async with locked_for_services(settings.state_path, say), broker_at_work(settings, say):
        await provision_broker(settings, wait=not settings.nats_url)  # our own is there
        ports = _free_ports([name for name in installed(SERVICES) if name not in without])
        file = settings.state_path / SERVICES_FILE
        console_port = _console_port() if pages else 0
        (settings.state_path / CONSOLE_FILE).write_text(str(console_port))
        programs = [_program(name, port, settings) for name, port in ports.items()]
        supervisor = Supervisor(
            [_with_console(program, console_port) for program in programs],
            say=say,
            changed=lambda pids: _write_services(file, pids, ports),
            grace=settings.shutdown_grace + 5,
        )
        try:
            await supervisor.start()
            with noted_run(settings.state_path, command) if command else nullcontext():
                yield ports
        finally:
            await supervisor.stop()
            file.unlink(missing_ok=True)
            (settings.state_path / CONSOLE_FILE).unlink(missing_ok=True)


def require_folders(settings: Settings) -> None:
    """Check the folders without which no service can work, before any is started.

    Raises
    ------
    SettingsError
        If a folder is not there.
    """
    require_mounts(
        (
            Mount(settings.instrument_data_path, "NX_INSTRUMENT_DATA_PATH"),
            Mount(settings.data_path, "NX_DATA_PATH", writable=True),
        )
    )


def read_services(state: Path) -> dict[str, dict[str, int]]:
    """Process ids and HTTP ports of the services that run here, by name."""
    if not services_run_here(state):
        return {}
    try:
        services: dict[str, dict[str, int]] = json.loads((state / SERVICES_FILE).read_text())
    except FileNotFoundError:
        return {}
    return services


async def _runs_elsewhere(settings: Settings) -> bool:
    if not settings.nats_url:
        return False
    try:
        async with service_context(settings, "console") as context:
            return not await consumers_without_service(context.jetstream)
    except (TopologyError, nats.errors.Error):
        return False


def console_address(state: Path) -> str:
    """Return the address of the console that runs here; empty if none does."""
    try:
        port = (state / CONSOLE_FILE).read_text()
    except FileNotFoundError:
        return ""
    host = read(ConsoleSettings).host
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - only compared
    return f"http://{reachable}:{port}/" if services_run_here(state) and port != "0" else ""


def _console_port() -> int:
    """Return the console's port; any that is free, where the usual one is taken and none is set."""
    wanted = read(ConsoleSettings)
    if wanted.port != DEFAULT_PORT:
        return wanted.port
    try:
        with socket.create_server((wanted.host, wanted.port)):
            return wanted.port
    except OSError:
        with socket.create_server((wanted.host, 0)) as free:
            port: int = free.getsockname()[1]
            return port


def _with_console(program: Program, port: int) -> Program:
    """Tell the console where to serve its pages; nothing changes for other services."""
    if program.name != PROJECTION:
        return program
    return replace(program, environment={**program.environment, "NX_CONSOLE_PORT": str(port)})


def _program(name: str, port: int, settings: Settings) -> Program:
    return Program(
        name=name,
        arguments=[sys.executable, "-P", "-m", "nexuslims_shared", "run", name],
        log=settings.logs / f"{name}.log",
        environment={"NX_HTTP_PORT": str(port)},
    )


def _free_ports(names: Collection[str]) -> dict[str, int]:
    """Find a free port for each name; all are held until all are found."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    try:
        return {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
    finally:
        for one in sockets:
            one.close()


def _write_services(file: Path, pids: Mapping[str, int], ports: Mapping[str, int]) -> None:
    services = {name: {"pid": pid, "port": ports[name]} for name, pid in pids.items()}
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(services, indent=2))
    temporary.replace(file)
