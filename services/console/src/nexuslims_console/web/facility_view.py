"""How the facility is at this moment: consumers, services, destinations, as they answer."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Final

import httpx
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo

from nexuslims_console.facility import read_services
from nexuslims_console.probes import Readiness, readiness_of
from nexuslims_console.web.in_time import in_time
from nexuslims_console.web.site import AWAY, Site
from nexuslims_contracts.periods import Period
from nexuslims_contracts.topology import CONSUMERS
from nexuslims_shared.errors import BrokerUnavailableError, SettingsError

_TIMEOUT_S: Final = 5.0
"""For a service that looks at everything; a page does not wait for so long."""
_AWAY_SINCE: Final = re.compile(r"away since (\d{4}-\d\d-\d\d \d\d:\d\d) UTC")


@dataclass(frozen=True, slots=True)
class ConsumerLag:
    """What a consumer has not dealt with: not delivered yet, and delivered but not settled."""

    name: str
    pending: int
    in_flight: int
    redelivered: int
    last_active: datetime | None


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """What a service answers when it is asked whether it is ready."""

    name: str
    readiness: Readiness

    @property
    def ready(self) -> bool:
        """Whether all its checks hold."""
        return not self.readiness.problems

    @property
    def at_work(self) -> bool:
        """Whether it works all the same: what fails is nothing that it needs."""
        return self.readiness.problems.keys() <= self.readiness.not_essential


@dataclass(frozen=True, slots=True)
class DestinationHealth:
    """A destination: what uploads to it came to, and whether its circuit breaker is open.

    Parameters
    ----------
    name
        Of the destination.
    outage
        What the uploader says of it if it does not answer; else empty.
    since
        Since when it fails; None if it does not.
    taken_at, failed_at
        When it last took a record, and last did not.
    failures
        In a row.
    reason
        Of the last failure.
    """

    name: str
    outage: str = ""
    since: datetime | None = None
    taken_at: datetime | None = None
    failed_at: datetime | None = None
    failures: int = 0
    reason: str = ""

    @property
    def down(self) -> bool:
        """Whether it does not answer, as far as is known."""
        return bool(self.outage) or self.since is not None


@dataclass(frozen=True, slots=True)
class Consumers:
    """The broker's consumers, or why they are not known."""

    lags: Sequence[ConsumerLag] = field(default_factory=list)
    absent: str = ""


async def consumers(jetstream: JetStreamContext) -> Consumers:
    """Ask the broker how far each consumer is, in all periods of the log together."""
    try:
        found = await in_time(_consumers_by_name(jetstream))
    except AWAY as error:
        return Consumers(absent=f"the broker does not answer ({error or type(error).__name__})")
    return Consumers([_lag(spec.name, found[spec.name]) for spec in CONSUMERS])


async def _consumers_by_name(jetstream: JetStreamContext) -> dict[str, list[ConsumerInfo]]:
    found: dict[str, list[ConsumerInfo]] = {spec.name: [] for spec in CONSUMERS}
    for info in await jetstream.streams_info():
        stream = info.config.name or ""
        if Period.of_stream(stream) is not None:
            for one in await jetstream.consumers_info(stream):
                found.setdefault(one.name, []).append(one)
    return found


def _lag(name: str, periods: Sequence[ConsumerInfo]) -> ConsumerLag:
    """Add up the consumers of one name, one of each period."""
    active = [one.ack_floor.last_active for one in periods if one.ack_floor]
    return ConsumerLag(
        name=name,
        pending=sum(one.num_pending or 0 for one in periods),
        in_flight=sum(one.num_ack_pending or 0 for one in periods),
        redelivered=sum(one.num_redelivered or 0 for one in periods),
        last_active=max(filter(None, active), default=None),
    )


async def services(site: Site) -> list[ServiceHealth]:
    """Ask every service that is known whether it is ready."""
    addresses = dict(site.settings.service_addresses)
    try:
        local = await asyncio.to_thread(read_services, site.context.settings.state_path)
    except SettingsError:
        local = {}
    addresses |= {name: f"http://127.0.0.1:{at['port']}" for name, at in local.items()}
    asked = (
        _in_time(site.services.ask(address, partial(_ask, address)))
        for address in addresses.values()
    )
    found = await asyncio.gather(*asked)
    pairs = sorted(zip(addresses, found, strict=True), key=lambda pair: pair[0])
    return [ServiceHealth(name, readiness) for name, readiness in pairs]


def destinations(
    health: Sequence[ServiceHealth], outcomes: Sequence[Mapping[str, Any]]
) -> list[DestinationHealth]:
    """Put together what is known of destinations, those that are down first.

    Parameters
    ----------
    health
        Of the services: the uploader names destinations that do not answer.
    outcomes
        Of uploads, see :meth:`nexuslims_console.archive.search.Archive.destinations`.
    """
    notes = {
        name: note
        for one in health
        if one.name == "uploader"
        for name, note in one.readiness.notes.items()
    }
    by_name = {one["destination"]: one for one in outcomes}
    found = [
        DestinationHealth(
            name=name,
            outage=notes.get(name, ""),
            since=_since(notes.get(name, "")) or by_name.get(name, {}).get("failing_since"),
            taken_at=by_name.get(name, {}).get("taken_at"),
            failed_at=by_name.get(name, {}).get("failed_at"),
            failures=by_name.get(name, {}).get("failures", 0),
            reason=by_name.get(name, {}).get("reason", ""),
        )
        for name in sorted({*notes, *by_name})
    ]
    return sorted(found, key=lambda one: not one.down)


def _since(note: str) -> datetime | None:
    match = _AWAY_SINCE.search(note)
    return datetime.fromisoformat(f"{match[1]}+00:00") if match else None


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Return the authorities that certificates are held against; reading them takes 16 ms."""
    return httpx.create_ssl_context(trust_env=False)


async def _in_time(answer: Awaitable[Readiness]) -> Readiness:
    try:
        return await answer
    except BrokerUnavailableError as error:
        return Readiness({"http": str(error)}, unknown=frozenset({"http"}), answered=False)


async def _ask(address: str) -> Readiness:
    try:
        async with httpx.AsyncClient(
            timeout=_TIMEOUT_S, trust_env=False, verify=_trusted()
        ) as client:
            return readiness_of((await client.get(f"{address}/readyz")).json())
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Readiness({"http": f"no answer ({type(error).__name__})"}, answered=False)
