"""What the console measures for Prometheus: the sessions, due work, and the broker's streams.

One process measures what is common to all, so that no replica of a service counts it once more.
"""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext

from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError
from nexuslims_console.queries import ReadModel
from nexuslims_contracts.topology import CONSUMERS, DEAD_LETTERS
from nexuslims_shared.errors import StoreError
from nexuslims_shared.session.status import Status
from nexuslims_shared.store.port import EventStore
from nexuslims_shared.telemetry import metrics

log = logging.getLogger(__name__)

INTERVAL_S: Final = 10.0
_SERVICES: Final = ("harvester", *(spec.service for spec in CONSUMERS))


class Measurements:
    """Measures again and again; what cannot be measured keeps its value, and its time tells.

    Parameters
    ----------
    database
        Where the read model is.
    store
        The events.
    jetstream
        The broker.
    """

    def __init__(self, database: Database, store: EventStore, jetstream: JetStreamContext) -> None:
        self._model = ReadModel(database)
        self._store = store
        self._jetstream = jetstream

    async def run(self) -> None:
        """Measure without end."""
        while True:
            try:
                await self.measure_sessions()
                await self.measure_broker()
            except (ReadModelError, StoreError, nats.errors.Error, nats.js.errors.Error) as error:
                log.warning("not measured: %s", error or type(error).__name__)
            await asyncio.sleep(INTERVAL_S)

    async def measure_sessions(self) -> None:
        """Measure what the read model holds.

        Raises
        ------
        ReadModelError
            If the database cannot be read.
        StoreError
            If the events cannot.
        """
        now = datetime.now(UTC)
        summary = await asyncio.to_thread(self._model.summary)
        for status in Status:
            metrics.SESSIONS.labels(status).set(summary.statuses.get(status, 0))
        metrics.OLDEST_UNSETTLED.set(_age(summary.oldest_unsettled, now))
        metrics.DUE_FILES.set(summary.due_files)
        metrics.STALE_RECORDS.set(summary.stale_records)
        metrics.UNREADABLE_EVENTS.set(await asyncio.to_thread(self._model.count_unreadable))
        due = {one.service: one for one in await asyncio.to_thread(self._model.due_work, now)}
        for service in _SERVICES:
            work = due.get(service)
            metrics.DUE_SESSIONS.labels(service).set(work.sessions if work else 0)
            metrics.DUE_SECONDS.labels(service).set(_age(work.since if work else None, now))
        position = await asyncio.to_thread(self._model.position)
        metrics.READ_MODEL_TIME.set(position.read_at.timestamp())
        ends = await self._store.positions()
        metrics.READ_MODEL_LAG.set(position.positions.behind(ends))
        metrics.MEASURED.labels("sessions").set_to_current_time()

    async def measure_broker(self) -> None:
        """Measure the streams and their consumers.

        Raises
        ------
        nats.errors.Error
            If the broker does not answer.
        """
        for stream in await self._jetstream.streams_info():
            name, state, cluster = stream.config.name or "", stream.state, stream.cluster
            metrics.STREAM_MESSAGES.labels(name).set(state.messages)
            metrics.STREAM_BYTES.labels(name).set(state.bytes)
            peers = cluster.replicas if cluster and cluster.replicas else []
            current = 1 + sum(1 for peer in peers if peer.current and not peer.offline)
            metrics.STREAM_REPLICAS.labels(name).set(current)
            metrics.STREAM_REPLICAS_WANTED.labels(name).set(stream.config.num_replicas or 1)
            if name == DEAD_LETTERS.name:
                metrics.DEAD_LETTERS.set(state.messages)
            if state.consumer_count:
                await self._measure_consumers(name)
        metrics.MEASURED.labels("broker").set_to_current_time()

    async def _measure_consumers(self, stream: str) -> None:
        known = {spec.name for spec in CONSUMERS}
        for consumer in await self._jetstream.consumers_info(stream):
            if consumer.name in known:
                labels = (stream, consumer.name)
                metrics.CONSUMER_PENDING.labels(*labels).set(consumer.num_pending or 0)
                metrics.CONSUMER_ACK_PENDING.labels(*labels).set(consumer.num_ack_pending or 0)
                metrics.CONSUMER_REDELIVERED.labels(*labels).set(consumer.num_redelivered or 0)


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0
