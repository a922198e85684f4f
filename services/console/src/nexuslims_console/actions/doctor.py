"""``nexuslims doctor``: what is wrong, and the remedy; see also :mod:`nexuslims_shared.doctor`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import nats.js.errors

from nexuslims_console.asynchronous import run
from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError
from nexuslims_console.facility import absent_consumers, read_services
from nexuslims_console.output import print_json, print_table
from nexuslims_console.probes import readiness
from nexuslims_console.queries import ReadModel
from nexuslims_contracts.topology import CONSUMERS
from nexuslims_shared.broker import missing, require_version
from nexuslims_shared.doctor import checks
from nexuslims_shared.errors import SettingsError, SharedError
from nexuslims_shared.health import check_mount
from nexuslims_shared.instruments import read_instruments
from nexuslims_shared.service import ServiceContext, service_context
from nexuslims_shared.settings import Settings, read_settings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; the problem names its remedy."""

    what: str
    problem: str = ""
    detail: str = ""


def examine(*, as_json: bool) -> bool:
    """Look at everything and show what was found; True if all is well."""
    findings = run(_examine())
    ok = not any(finding.problem for finding in findings)
    if as_json:
        print_json({"ok": ok, "findings": [asdict(finding) for finding in findings]})
    else:
        print_table(
            ("looked at", "result", "detail"),
            [(f.what, f.problem or "ok", f.detail) for f in findings],
        )
    return ok


async def _examine() -> list[Finding]:
    try:
        settings = read_settings()
    except SettingsError as error:
        return [Finding("settings", str(error))]
    return [
        Finding("settings"),
        _instruments(settings),
        *await _mounts(settings),
        *await _services(settings),
        *(Finding(what, problem) for what, problem in (await checks(settings)).items()),
        *await _broker(settings),
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
    """Ask the services that run here."""
    findings: list[Finding] = []
    try:
        services = read_services(settings.state_path)
    except SettingsError as error:
        return [Finding("services", str(error))]
    for name, at in services.items():
        at_work = await readiness(at["port"])
        problems = [f"{check}: {problem}" for check, problem in at_work.problems.items()]
        remedy = f"; look into {settings.logs / f'{name}.log'}" if problems else ""
        findings.append(
            Finding(
                f"service {name}",
                "; ".join(problems) + remedy,
                "; ".join(
                    [
                        f"process {at['pid']}",
                        *(f"{on}: {said}" for on, said in at_work.notes.items()),
                    ]
                ),
            )
        )
    return findings


async def _broker(settings: Settings) -> list[Finding]:
    checks: tuple[tuple[str, Callable[[ServiceContext], Awaitable[Finding]]], ...] = (
        ("topology", _topology),
        ("consumers", _consumers),
        ("dead letters", _dead_letters),
        ("read model", _read_model),
    )
    findings: list[Finding] = []
    try:
        async with service_context(settings, "doctor") as context:
            findings.append(
                Finding("broker", detail="NATS_URL" if settings.nats_url else "embedded")
            )
            for name, look in checks:
                try:
                    findings.append(await look(context))
                except (SharedError, ReadModelError) as error:
                    findings.append(Finding(name, str(error)))
    except SharedError as error:
        findings.append(Finding("broker", str(error)))
    return findings


async def _topology(context: ServiceContext) -> Finding:
    await require_version(context.jetstream)
    lacks = await missing(context.jetstream, CONSUMERS)
    problem = f"lacks {', '.join(lacks)}: run `nexuslims provision`" if lacks else ""
    return Finding("topology", problem)


async def _consumers(context: ServiceContext) -> Finding:
    try:
        absent = await absent_consumers(context.jetstream)
    except nats.js.errors.NotFoundError:
        return Finding("consumers", "not all are there: run `nexuslims provision`")
    if absent:
        return Finding("consumers", f"nobody is at work as {', '.join(absent)}: run `nexuslims up`")
    return Finding("consumers")


async def _dead_letters(context: ServiceContext) -> Finding:
    count = 0
    async for _ in context.dead_letters.read():
        count += 1
    problem = f"{count} wait: see `nexuslims dead-letters list`" if count else ""
    return Finding("dead letters", problem)


async def _read_model(context: ServiceContext) -> Finding:
    """Compare the read model with the stream, as it is: nothing is caught up."""
    database = Database(context.settings.read_model_url)
    try:
        await asyncio.to_thread(database.prepare)
        model = ReadModel(database)
        position = (await asyncio.to_thread(model.position)).sequence
        unreadable = await asyncio.to_thread(model.unreadable)
    finally:
        database.close()
    last = await context.store.last_sequence()
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
