"""What ``nexuslims doctor`` checks, what it finds, and what it can repair.

Other distributions bring checks by an entry point of the group ``nexuslims.doctor``:
``Settings -> awaitable of Findings``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import nats.errors

from nexuslims_contracts.errors import ContractError
from nexuslims_contracts.plugins import Plugin, installed
from nexuslims_contracts.topology import CONSUMERS
from nexuslims_shared.broker import (
    altered,
    consumers_without_service,
    missing,
    require_version,
)
from nexuslims_shared.broker_address import running_broker
from nexuslims_shared.embedded import end_running_broker
from nexuslims_shared.errors import SettingsError, SharedError, TopologyError
from nexuslims_shared.facility import (
    broker_at_hand,
    provision_at_hand,
    runs_here,
    services_run_here,
)
from nexuslims_shared.health import Check, Outcome, Result, look
from nexuslims_shared.last_run import LASTING, read_last_run
from nexuslims_shared.probes import ROOM_FOR_BROKER, check_limits, check_storing, has_room
from nexuslims_shared.secrets import hide
from nexuslims_shared.service import ServiceContext, service_context
from nexuslims_shared.settings import Settings, make_state_folder, read_settings
from nexuslims_shared.settings.account import account
from nexuslims_shared.threads import in_thread

GROUP: Final = "nexuslims.doctor"
PATIENCE_S: Final = 5.0
"""How long one check may take."""
_CONSUMERS: Final = "consumers"
_SERVICES: Final = "services"
"""What is found where none run."""
_START: Final = "run `nexuslims up`, or `nexuslims build-records` from cron"


@dataclass(frozen=True, slots=True)
class Repair:
    """What may mend a problem.

    Parameters
    ----------
    name
        What is done, such as ``restart extractor``; the same one is done once, whoever asks.
    order
        Repairs with a lower number come first: a broker before what it holds, before services.
    act
        Does it, and returns what was done, in a few words.
    """

    name: str
    order: int
    act: Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of a repair: what was done, or why it could not be."""

    repair: str
    done: bool
    what: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Parameters
    ----------
    what
        Was checked, such as ``broker``.
    problem
        What is wrong, and the remedy, or what kept the check from looking; empty if all is well.
    detail
        What else is worth knowing.
    unknown
        Whether the check could not look.
    repair
        What may mend it, if anything can.
    """

    what: str
    problem: str = ""
    detail: str = ""
    unknown: bool = False
    repair: Repair | None = None

    @property
    def outcome(self) -> Outcome:
        """Whether all is well, something is wrong, or nobody could look."""
        if self.unknown:
            return Outcome.UNKNOWN
        return Outcome.FAILED if self.problem else Outcome.OK


Checks: TypeAlias = Callable[[Settings], Awaitable[Iterable[Finding]]]
"""What an entry point of the group names."""


async def examine() -> list[Finding]:
    """Check everything that can be checked with what is installed here; without secrets."""
    try:
        settings = read_settings()
    except SettingsError as error:
        return [Finding("settings", str(error))]
    findings = [_account()]
    async with AsyncExitStack() as stack:
        findings += await _check_broker(settings, stack)
        for plugin in installed(GROUP).values():
            findings += await _check_by(plugin, settings)
    return [
        replace(finding, problem=hide(finding.problem), detail=hide(finding.detail))
        for finding in findings
    ]


async def find(check: Check, *, detail: str = "", repair: Repair | None = None) -> Finding:
    """Run one check, for as long as it is worth waiting, and return what it finds.

    Parameters
    ----------
    check
        What to look at.
    detail, repair
        As for a finding.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            result = await look(check)
    except TimeoutError:
        result = Result(Outcome.UNKNOWN, f"no answer within {PATIENCE_S:g} s")
    mending = repair if result.reason else None
    unknown = result.outcome is Outcome.UNKNOWN
    return Finding(check.name, result.reason, detail, unknown, mending)


async def repair(findings: Iterable[Finding]) -> list[Repaired]:
    """Do what may mend what was found, each repair once; report what was done and what could not.

    Parameters
    ----------
    findings
        What :func:`examine` found.
    """
    wanted = {one.repair.name: one.repair for one in findings if one.problem and one.repair}
    done = []
    for one in sorted(wanted.values(), key=lambda each: (each.order, each.name)):
        try:
            what = await one.act()
        except Exception as error:  # noqa: BLE001 - one that fails must not keep others from trying
            done.append(Repaired(one.name, False, hide(str(error) or type(error).__name__)))
        else:
            done.append(Repaired(one.name, True, hide(what)))
    return done


async def examine_until_well(patience: float, pause: float = 1.0) -> list[Finding]:
    """Check until all is well that can be repaired, or for as long as it is worth waiting.

    Where no services run, nobody works on what was requested: one look is enough.

    Parameters
    ----------
    patience
        Seconds.
    pause
        Seconds between two rounds of checks.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + patience
    while True:
        findings = await examine()
        resting = any(one.what == _SERVICES for one in findings)
        if resting or clock() >= end or not any(one.problem and one.repair for one in findings):
            return findings
        await asyncio.sleep(pause)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 if all is well, 1 if something is wrong, 3 if something could not be looked at."""
    outcomes = {finding.outcome for finding in findings}
    if Outcome.FAILED in outcomes:
        return 1
    return 3 if Outcome.UNKNOWN in outcomes else 0


def _account() -> Finding:
    """Name the variables that are set and mean nothing, and those that something else replaces."""
    by_use = {use: [one for one in account() if one.use == use] for use in ("unknown", "replaced")}
    unknown, replaced = (
        "; ".join(f"{one.name}: {one.remedy}" for one in some) for some in by_use.values()
    )
    return Finding("settings", unknown, replaced)


async def _check_by(plugin: Plugin, settings: Settings) -> list[Finding]:
    try:
        return list(await plugin.load()(settings))
    except (SharedError, ContractError) as error:
        return [Finding(plugin.name, str(error))]
    except (nats.errors.Error, OSError) as error:  # the checks of the broker name the reason
        return [Finding(plugin.name, str(error) or type(error).__name__, unknown=True)]
    except Exception as error:  # noqa: BLE001 - one faulty plugin must not hide the others
        return [Finding(plugin.name, f"its check failed ({error!r}): tell its author")]


async def _check_broker(settings: Settings, stack: AsyncExitStack) -> list[Finding]:
    """Check the broker; where nothing runs, the embedded one does while the stack lasts."""
    mend = _broker_repairs(settings)
    kind = "NATS_URL" if settings.nats_url else "embedded"
    resting = []
    try:
        if _nothing_runs(settings):
            resting = [_resting(settings)]
            await stack.enter_async_context(broker_at_hand(settings))
            kind = "embedded; it ran for these checks"
        async with service_context(settings, "doctor") as context:
            checks = _broker_checks(context)
            return [
                Finding("broker", detail=kind),
                *[
                    await find(check, repair=mend.get(check.name))
                    for check in checks
                    if not (resting and check.name == _CONSUMERS)
                ],
                *resting,
            ]
    except SharedError as error:
        return [Finding("broker", str(error), repair=mend.get("broker")), *resting]


def _nothing_runs(settings: Settings) -> bool:
    """Tell whether neither services nor a broker run, but for one that a command uses."""
    if settings.nats_url:
        return False
    state = make_state_folder(settings.state_path)
    if runs_here(state):
        return not services_run_here(state)
    return not running_broker(state)


def _resting(settings: Settings) -> Finding:
    """Say that no service runs: a problem where `nexuslims up` ran last, and a fact elsewhere."""
    last = read_last_run(settings.state_path)
    if last is None:
        return Finding(_SERVICES, detail=f"none runs: {_START}")
    if last.command == LASTING:
        return Finding(_SERVICES, f"none runs: {last.describe()}; {_START}")
    return Finding(_SERVICES, detail=f"none runs now: {last.describe()}")


def _broker_checks(context: ServiceContext) -> tuple[Check, ...]:
    jetstream = context.jetstream

    async def topology() -> str:
        await require_version(jetstream)
        lacks = await missing(jetstream, CONSUMERS)
        if lacks:
            return f"lacks {', '.join(lacks)}: run `nexuslims provision`"
        other = await altered(jetstream)
        return f"{'; '.join(other)}: run `nexuslims provision`" if other else ""

    async def consumers() -> str:
        absent = await consumers_without_service(jetstream)
        return f"nobody is at work as {', '.join(absent)}: run `nexuslims up`" if absent else ""

    return (
        check_storing(jetstream, "console"),
        Check("topology", topology),
        check_limits(jetstream),
        Check(_CONSUMERS, consumers),
    )


def _broker_repairs(settings: Settings) -> dict[str, Repair]:
    """Return what may mend the broker, by the check that asks for it."""

    async def provision() -> str:
        await provision_at_hand(settings)
        return "the broker has all streams, consumers and buckets, without limits"

    async def restart() -> str:
        if not await in_thread(lambda: has_room(settings.state_path, ROOM_FOR_BROKER)):
            raise TopologyError(
                f"the broker would not start again: nothing can be written to"
                f" {settings.state_path}; make room, or have its disk mounted for writing"
            )
        return await in_thread(lambda: end_running_broker(settings.state_path))

    provisioning = Repair("provision", 20, provision)
    found = dict.fromkeys(("topology", "broker limits"), provisioning)
    if not settings.nats_url and running_broker(settings.state_path):
        restarting = Repair("restart the broker", 10, restart)
        found |= dict.fromkeys(("broker", "broker stores"), restarting)
    return found
