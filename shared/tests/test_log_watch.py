"""A broker whose files are older than what a process saw of them has another log."""

import asyncio
from pathlib import Path

import pytest

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import RetryRequested
from nexuslims_contracts.topology import EVENTS
from nexuslims_shared import log_watch
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.errors import AnotherLogError
from nexuslims_shared.log_identity import LogIdentity
from nexuslims_shared.log_watch import LogWatch, end_of_log
from nexuslims_shared.store.jetstream import JetStreamEventStore

IDENTITY = LogIdentity("log-1", "facility-1")


class Broker:
    """What a broker says of its log, one look after another; 0 is no answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.end = 0
        monkeypatch.setattr(log_watch, "read_identity", self._identity)
        monkeypatch.setattr(log_watch, "end_of_log", self._end)

    async def _identity(self, _: object) -> LogIdentity:
        return IDENTITY

    async def _end(self, _: object) -> tuple[str, int]:
        return EVENTS.name, self.end


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    return Broker(monkeypatch)


@pytest.fixture
def watch() -> LogWatch:
    return LogWatch(None, IDENTITY)  # type: ignore[arg-type]


async def look(watch: LogWatch, broker: Broker, end: int) -> bool:
    """Look once; tell whether events are taken afterwards."""
    broker.end = end
    await watch._look()
    return watch._sure.is_set()


async def test_nothing_is_taken_from_a_log_that_is_shorter_until_it_has_caught_up(
    watch: LogWatch, broker: Broker
) -> None:
    ends = (5, 9, 7, 8, 9, 12)
    taken = [await look(watch, broker, end) for end in ends]
    assert taken == [True, True, False, False, True, True]


async def test_a_log_that_stays_shorter_ends_the_process(
    watch: LogWatch, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await look(watch, broker, 9)
    monkeypatch.setattr(log_watch, "_CATCHING_UP_S", 0.0)
    with pytest.raises(AnotherLogError, match="ends at 7 and has ended at 9"):
        await look(watch, broker, 7)


async def test_an_event_that_came_counts_before_the_next_look(
    watch: LogWatch, broker: Broker
) -> None:
    assert await look(watch, broker, 5)
    watch.delivered(EVENTS.name, 8)
    watch.delivered(EVENTS.name, 6)
    assert not await look(watch, broker, 7)


@pytest.mark.broker
async def test_the_end_of_a_log_is_that_of_its_newest_stream(tmp_path: Path) -> None:
    broker = await asyncio.to_thread(start_embedded, tmp_path)
    client = await connect(broker.url, name="test")
    jetstream = client.jetstream()
    assert await end_of_log(jetstream) is None
    await provision(jetstream)
    assert await end_of_log(jetstream) == (EVENTS.name, 0)
    event = envelop(RetryRequested(session="s-1", request="mine"), source="test")
    await JetStreamEventStore(jetstream).append(event)
    assert await end_of_log(jetstream) == (EVENTS.name, 1)
    await client.close()
    await asyncio.to_thread(broker.stop)
