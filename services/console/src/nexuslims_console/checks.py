"""What the console adds to ``nexuslims doctor``: instruments, folders, services, read model."""

import asyncio

from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError
from nexuslims_console.facility import read_services
from nexuslims_console.probes import readiness
from nexuslims_console.queries import ReadModel
from nexuslims_shared.context import service_context
from nexuslims_shared.doctor import Finding
from nexuslims_shared.errors import SettingsError, TopologyError
from nexuslims_shared.health import check_mount
from nexuslims_shared.instruments import read_instruments
from nexuslims_shared.settings import Settings


async def check_facility(settings: Settings) -> list[Finding]:
    """Check the instruments' file, the folders, the services that run here, the read model."""
    return [
        _instruments(settings),
        *await _mounts(settings),
        *await _services(settings),
        await _read_model(settings),
    ]


def _instruments(settings: Settings) -> Finding:
    try:
        entries = read_instruments(settings.instruments_file)
    except SettingsError as error:
        return Finding("instruments", str(error))
    absent = [
        f"{entry.pid}: {entry.filestore_path}"
        for entry in entries.values()
        if not (settings.instrument_data_path / entry.filestore_path).is_dir()
    ]
    if absent:
        return Finding(
            "instruments",
            f"no such folder below {settings.instrument_data_path}: {', '.join(absent)};"
            f" mount it, or correct {settings.instruments_file}",
        )
    return Finding("instruments", detail=f"{len(entries)} in {settings.instruments_file}")


async def _mounts(settings: Settings) -> list[Finding]:
    folders = ((settings.instrument_data_path, False), (settings.data_path, True))
    checks = [check_mount(path, writable=writable) for path, writable in folders]
    return [Finding(check.name, await check.problem()) for check in checks]


async def _services(settings: Settings) -> list[Finding]:
    """Check the services that run on this machine."""
    findings: list[Finding] = []
    try:
        services = read_services(settings.state_path)
    except SettingsError as error:
        return [Finding("services", str(error))]
    for name, at in services.items():
        current = await readiness(at["port"])
        problems = [f"{check}: {problem}" for check, problem in current.problems.items()]
        remedy = f"; look into {settings.logs / f'{name}.log'}" if problems else ""
        findings.append(
            Finding(
                f"service {name}",
                "; ".join(problems) + remedy,
                "; ".join(
                    [
                        f"process {at['pid']}",
                        *(f"{topic}: {note}" for topic, note in current.notes.items()),
                    ]
                ),
            )
        )
    return findings


async def _read_model(settings: Settings) -> Finding:
    """Compare the read model with the stream, as it is: nothing is caught up."""
    try:
        return await _compare_read_model(settings)
    except (ReadModelError, SettingsError) as error:
        return Finding("read model", str(error))


async def _compare_read_model(settings: Settings) -> Finding:
    database = Database(settings.read_model_url)
    try:
        await asyncio.to_thread(database.prepare)
        model = ReadModel(database)
        position = (await asyncio.to_thread(model.position)).sequence
        unreadable = await asyncio.to_thread(model.unreadable)
    finally:
        database.close()
    try:
        async with service_context(settings, "doctor") as context:
            last = await context.store.last_sequence()
    except TopologyError:  # reported by the check of the broker
        return Finding("read model", detail=f"holds {position} events")
    detail = f"holds {position} of {last} events"
    if position > last:
        return Finding(
            "read model", f"{detail}: it is of another stream; run `nexuslims read-model rebuild`"
        )
    if unreadable:
        named = "; ".join(f"{one.sequence} ({one.reason})" for one in unreadable[:5])
        return Finding(
            "read model",
            f"{len(unreadable)} stored messages cannot be read by this release: {named};"
            " use a newer release, then run `nexuslims read-model rebuild`",
            detail,
        )
    return Finding("read model", detail=detail)
