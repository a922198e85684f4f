"""What services and commands work with: settings, the event store, people, dead letters.

Apart from running services, so that a command need not import FastStream and its HTTP server.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from nexuslims_shared.accounts.access import Access
from nexuslims_shared.accounts.keys import read_seed
from nexuslims_shared.accounts.rights import OPERATOR
from nexuslims_shared.broker import connect, open_period, provision
from nexuslims_shared.broker_address import broker_url
from nexuslims_shared.dead_letters import DeadLetters, SessionDeadLetters, StreamDeadLetters
from nexuslims_shared.embedded import credentials_folder
from nexuslims_shared.errors import TopologyError
from nexuslims_shared.log_identity import (
    facility_of,
    make_facility,
    read_identity,
    require_own,
    setting_of_broker,
    settle_identity,
)
from nexuslims_shared.network import trust
from nexuslims_shared.people import BucketPeople, People
from nexuslims_shared.secrets import hide
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.broker_errors import one_error_for_silence
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.port import EventStore
from nexuslims_shared.telemetry import tracing

_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """What a running service works with."""

    settings: Settings
    store: EventStore
    people: People
    dead_letters: DeadLetters
    jetstream: JetStreamContext


def broker_access(settings: Settings, user: str = OPERATOR) -> Access:
    """Return how the broker is reached, and as which of its users.

    Parameters
    ----------
    settings
        Where the broker is, and where keys are.
    user
        A service, or the operator.

    Raises
    ------
    TopologyError
        If there is no broker.
    SettingsError
        If the user's key, or the certificates to trust, cannot be read.
    """
    url = broker_url(settings)
    folder = settings.nats_credentials
    if not settings.nats_url:
        folder = credentials_folder(settings.state_path)
    seed = settings.nats_nkey.get_secret_value() if settings.nats_nkey else ""
    if not seed and folder is not None:
        seed = read_seed(folder, user)
    tls = trust(settings.nats_ca, "NX_NATS_CA") if settings.nats_ca else None
    return Access.of(url, seed=seed, tls=tls)


@asynccontextmanager
async def service_context(
    settings: Settings, name: str, *, lasting: bool = False
) -> AsyncIterator[ServiceContext]:
    """Connect a command or a test to the broker for a while; fail at once if there is none.

    Parameters
    ----------
    settings
        Where the broker is.
    name
        For the broker's list of connections.
    lasting
        Connect again whenever the broker is restarted, for work that takes longer.

    Raises
    ------
    TopologyError
        If the broker does not answer.
    ForeignLogError
        If its log is another facility's.
    """
    async with _connected(settings, name, lasting=lasting) as client:
        with one_error_for_silence():
            identity = await read_identity(client.jetstream(timeout=5))
        if identity is not None:
            require_own(identity, facility_of(settings), place=setting_of_broker(settings))
        yield make_context(settings, client)


@asynccontextmanager
async def _connected(
    settings: Settings, name: str, *, lasting: bool = False, wait: bool = False
) -> AsyncIterator[Client]:
    access = broker_access(settings)
    try:
        client = await connect(access, name=name, wait=wait)
        if lasting:
            await client.close()
            client = await connect(access, name=name)
    except (OSError, nats.errors.Error) as error:
        raise TopologyError(_describe(access, error)) from error
    tracing.configure(name)
    try:
        yield client
    finally:
        await client.close()
        await asyncio.to_thread(tracing.shutdown)


def _describe(access: Access, error: Exception) -> str:
    """Say why there is no connection, and what to do; addresses without secrets."""
    servers = hide(",".join(access.servers))
    if isinstance(error, nats.errors.AuthorizationError) or "authorization" in str(error).lower():
        return (
            f"the broker at {servers} does not let us in: NX_NATS_NKEY_FILE or NX_NATS_CREDENTIALS"
            " must name the key of one of its users, see `nexuslims broker init`"
        )
    return f"the broker at {servers} does not answer: does it run?"


async def provision_broker(settings: Settings, *, wait: bool = False) -> None:
    """Create or update what the system needs on the broker; running it again changes nothing.

    Parameters
    ----------
    settings
        Where the broker is, and how many replicas its streams have.
    wait
        Wait until the broker answers, and for each answer as long as a busy machine may take;
        otherwise fail at once.

    Raises
    ------
    TopologyError
        If the broker does not answer, is too old, or refuses a definition.
    ForeignLogError
        If its log is another facility's.
    """
    async with _connected(settings, "provision", wait=wait) as client:
        jetstream = client.jetstream(timeout=_PATIENCE_S if wait else 5)
        if known := await read_identity(jetstream):
            require_own(known, facility_of(settings), place=setting_of_broker(settings))
        await provision(jetstream, replicas=settings.stream_replicas, length=settings.periods)
        await settle_identity(jetstream, make_facility(settings))


def make_context(settings: Settings, client: Client) -> ServiceContext:
    """Return the context of a process that is connected.

    Parameters
    ----------
    settings
        The facility's.
    client
        A live connection.
    """
    jetstream = client.jetstream(timeout=5)
    store = JetStreamEventStore(
        jetstream,
        length=settings.periods,
        open_period=partial(open_period, jetstream, replicas=settings.stream_replicas),
    )
    return ServiceContext(
        settings,
        store,
        BucketPeople(jetstream),
        SessionDeadLetters(StreamDeadLetters(jetstream), store),
        jetstream,
    )
