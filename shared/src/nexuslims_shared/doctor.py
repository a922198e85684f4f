"""What ``nexuslims doctor`` checks, and what it finds.

Other distributions bring checks by an entry point of the group ``nexuslims.doctor``:
``Settings -> awaitable of Findings``.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from nexuslims_contracts.errors import ContractError
from nexuslims_contracts.plugins import Plugin, installed
from nexuslims_contracts.topology import CONSUMERS
from nexuslims_shared.broker import consumers_without_service, missing, require_version
from nexuslims_shared.errors import SettingsError, SharedError
from nexuslims_shared.secrets import hide
from nexuslims_shared.service import ServiceContext, service_context
from nexuslims_shared.settings import Settings, read_settings

GROUP: Final = "nexuslims.doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Parameters
    ----------
    what
        Was checked, such as ``broker``.
    problem
        What is wrong, and the remedy; empty if nothing is.
    detail
        What else is worth knowing.
    """

    what: str
    problem: str = ""
    detail: str = ""


Checks: TypeAlias = Callable[[Settings], Awaitable[Iterable[Finding]]]
"""What an entry point of the group names."""


async def examine() -> list[Finding]:
    """Check everything that can be checked with what is installed here; without secrets."""
    try:
        settings = read_settings()
    except SettingsError as error:
        return [Finding("settings", str(error))]
    findings = [Finding("settings"), *await _check_broker(settings)]
    for plugin in installed(GROUP).values():
        findings += await _check_by(plugin, settings)
    return [
        replace(finding, problem=hide(finding.problem), detail=hide(finding.detail))
        for finding in findings
    ]


async def _check_by(plugin: Plugin, settings: Settings) -> list[Finding]:
    try:
        return list(await plugin.load()(settings))
    except (SharedError, ContractError) as error:
        return [Finding(plugin.name, str(error))]
    except Exception as error:  # noqa: BLE001 - one faulty plugin must not hide the others
        return [Finding(plugin.name, f"its check failed ({error!r}): tell its author")]


async def _check_broker(settings: Settings) -> list[Finding]:
    checks: tuple[tuple[str, Callable[[ServiceContext], Awaitable[str]]], ...] = (
        ("topology", _topology),
        ("consumers", _consumers),
        ("dead letters", _dead_letters),
    )
    try:
        async with service_context(settings, "doctor") as context:
            found = [Finding("broker", detail="NATS_URL" if settings.nats_url else "embedded")]
            found += [Finding(name, await _problem(check, context)) for name, check in checks]
            return found
    except SharedError as error:
        return [Finding("broker", str(error))]


async def _problem(check: Callable[[ServiceContext], Awaitable[str]], context: Any) -> str:
    try:
        return await check(context)
    except SharedError as error:
        return str(error)


async def _topology(context: ServiceContext) -> str:
    await require_version(context.jetstream)
    lacks = await missing(context.jetstream, CONSUMERS)
    return f"lacks {', '.join(lacks)}: run `nexuslims provision`" if lacks else ""


async def _consumers(context: ServiceContext) -> str:
    absent = await consumers_without_service(context.jetstream)
    return f"nobody is at work as {', '.join(absent)}: run `nexuslims up`" if absent else ""


async def _dead_letters(context: ServiceContext) -> str:
    count = 0
    async for _ in context.dead_letters.read():
        count += 1
    return f"{count} wait: see `nexuslims dead-letters list`" if count else ""
