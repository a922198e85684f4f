"""An old period is moved to the slow servers of a real cluster of three, and goes on there."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import nats.errors
import pytest
from benchmarks.three_brokers import SLOW, Cluster, running
from nats.js import JetStreamContext

from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.periods import Period
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.backups.periods import list_periods, move_period
from nexuslims_shared.broker import connect, open_period, provision
from nexuslims_shared.context import ServiceContext, make_context
from nexuslims_shared.errors import BackupError
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.jetstream import JetStreamEventStore

Y2019 = Period.named("2019")
OLD = datetime(2019, 5, 17, 9, 0, tzinfo=UTC)

pytestmark = pytest.mark.broker


def story() -> list[Envelope]:
    made = SessionEvents("old", start=OLD, end=OLD)
    return [envelop(event, source="test", time=OLD) for event in made.history()]


def store_of(jetstream: JetStreamContext) -> JetStreamEventStore:
    return JetStreamEventStore(
        jetstream, length="year", open_period=partial(open_period, jetstream, replicas=1)
    )


def context_of(cluster: Cluster, jetstream: JetStreamContext) -> ServiceContext:
    settings = Settings(
        instrument_data_path=cluster.folder, data_path=cluster.folder, state_path=cluster.folder
    )
    return make_context(settings, jetstream._nc)


async def held_by(jetstream: JetStreamContext, stream: str) -> list[str]:
    """Return the servers that hold a stream, the leader first; none while they elect one."""
    try:
        found = (await jetstream.stream_info(stream)).cluster
    except nats.errors.TimeoutError:
        return []
    replicas = [one.name or "" for one in (found and found.replicas) or []]
    return [found.leader or "", *replicas] if found else []


async def test_an_old_period_is_moved_to_slow_servers_with_all_that_is_in_it(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as cluster:
        client = await connect(cluster.access(), name="test")
        try:
            jetstream = client.jetstream()
            await provision(jetstream, length="year")
            context, store = context_of(cluster, jetstream), store_of(jetstream)
            *first, last = story()
            await store.append_all(first)
            with pytest.raises(BackupError, match="period 2019 cannot be moved"):
                await move_period(context, Y2019, ["disk:none"])
            await move_period(context, Y2019, ["disk:slow"])
            async with asyncio.timeout(60):
                while await held_by(jetstream, Y2019.stream) != [SLOW]:
                    pass  # the cluster copies it
            appended = await store.append(last)
            assert Period.of(appended.sequence) == Y2019
            items = [item async for item in store.read()]
            assert [item.envelope.id for item in items if isinstance(item, Recorded)] == [
                one.id for one in story()
            ]
            state = await SessionRepository(store_of(jetstream)).open(
                "old", through=appended.sequence
            )
            assert state.through == appended.sequence
            waiting = await jetstream.pull_subscribe_bind("indexer", Y2019.stream)
            (message,) = await waiting.fetch(1, timeout=30)
            assert (message.headers or {})["ce-id"] == story()[0].id
            moved = next(one for one in await list_periods(context) if one.name == "2019")
            assert (moved.events, moved.tags) == (len(items), "disk:slow")
        finally:
            await client.close()
