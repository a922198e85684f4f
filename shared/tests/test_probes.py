"""Probes: what they store, and how they say what does not work."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from nats.aio.client import Client
from nats.js import api

from nexuslims_contracts import events
from nexuslims_contracts.periods import Period
from nexuslims_contracts.topology import BUILDER, EVENTS, INDEXER, PROBES
from nexuslims_shared import probes
from nexuslims_shared.broker import altered, consumer_config, open_period, provision
from nexuslims_shared.embedded import EmbeddedBroker
from nexuslims_shared.probes import (
    check_dead_letters,
    check_limits,
    check_space,
    folder_problem,
    has_room,
    near_limits,
    space_problem,
    store_probe,
)

pytestmark = pytest.mark.broker


async def test_a_broker_that_stores_is_well(client: Client) -> None:
    assert await store_probe(client.jetstream(), "test") == ""
    assert await store_probe(client.jetstream(), "test") == ""


async def test_a_broker_without_the_bucket_is_named(client: Client) -> None:
    jetstream = client.jetstream(timeout=1)
    await jetstream.delete_stream(f"KV_{PROBES.name}")
    assert PROBES.name in await store_probe(jetstream, "test")


async def test_a_broker_that_refuses_to_store_is_named(client: Client) -> None:
    jetstream = client.jetstream()
    config = (await jetstream.stream_info(f"KV_{PROBES.name}")).config
    config.max_bytes, config.discard = 1, api.DiscardPolicy.NEW
    await jetstream.update_stream(config)
    assert "refuses to store" in await store_probe(jetstream, "test")


async def test_a_limit_of_the_log_is_named_and_lifted_by_provisioning(client: Client) -> None:
    jetstream = client.jetstream()
    check = check_limits(jetstream)
    assert await check.problem() == ""
    config = (await jetstream.stream_info(EVENTS.name)).config
    config.max_msgs = 1_000_000
    await jetstream.update_stream(config)
    assert f"{EVENTS.name} is limited to 1,000,000 messages" in await check.problem()
    await provision(jetstream)
    assert await check.problem() == ""


async def test_a_log_that_forgets_or_takes_nothing_is_named(client: Client) -> None:
    jetstream = client.jetstream()
    check = check_limits(jetstream)
    config = (await jetstream.stream_info(EVENTS.name)).config
    config.max_age, config.max_msgs_per_subject = 86_400.0, 7
    await jetstream.update_stream(config)
    problem = await check.problem()
    assert "forgets events after 86,400 s" in problem
    assert "keeps 7 events of a subject" in problem
    await provision(jetstream)
    assert await check.problem() == ""
    config.max_age, config.max_msgs_per_subject, config.sealed = None, -1, True
    await jetstream.update_stream(config)
    assert "is sealed" in await check.problem()


async def test_consumers_that_somebody_changed_are_named_and_set_right(client: Client) -> None:
    jetstream = client.jetstream()
    await provision(jetstream)
    assert await altered(jetstream) == []
    config = consumer_config(BUILDER)
    config.filter_subjects, config.max_deliver = [events.SessionEnded.filter()], 1
    await jetstream.add_consumer(EVENTS.name, config)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await jetstream.pause_consumer(EVENTS.name, INDEXER.name, later)
    assert await altered(jetstream) == [
        f"consumer indexer of {EVENTS.name} is paused",
        f"consumer builder of {EVENTS.name} has another filter and max_deliver",
    ]
    await provision(jetstream)
    assert await altered(jetstream) == []


async def test_a_limit_of_a_period_is_named(client: Client) -> None:
    jetstream, year = client.jetstream(), Period.named("2024")
    await open_period(jetstream, year)
    check = check_limits(jetstream)
    assert await check.problem() == ""
    config = (await jetstream.stream_info(year.stream)).config
    config.max_bytes = 1_000_000_000
    await jetstream.update_stream(config)
    assert f"{year.stream} is limited to 1,000,000,000 bytes" in await check.problem()


async def test_dead_letters_are_counted_by_who_wrote_them(client: Client) -> None:
    jetstream = client.jetstream()
    assert await check_dead_letters(jetstream, "builder").problem() == ""
    letters = probes.StreamDeadLetters(jetstream)
    await letters.write("builder", 7, "nexus.events.a.session-ended", "no reason")
    await letters.write("indexer", 8, "nexus.events.a.session-ended", "no reason")
    assert "1 wait" in await check_dead_letters(jetstream, "builder").problem()
    assert await letters.count() == 2


def test_limits_of_the_account_are_named_when_they_are_near() -> None:
    limits = {"max_storage": 1000, "max_memory": -1, "max_streams": 100, "max_consumers": 0}
    uses = {"storage": 899, "memory": 5000, "streams": 95, "consumers": 7}
    account = SimpleNamespace(**uses, limits=SimpleNamespace(**limits))
    (named,) = near_limits(account)  # type: ignore[arg-type]
    assert named.startswith("95 of 100 streams")


def test_clocks_that_differ_are_named() -> None:
    now = datetime.now(UTC)
    assert probes._clock_problem(now - timedelta(seconds=5)) == ""
    assert "s apart" in probes._clock_problem(now + timedelta(hours=1))
    assert "s apart" in probes._clock_problem(now - timedelta(hours=1))


def test_a_folder_is_really_used(tmp_path: Path) -> None:
    assert folder_problem(tmp_path, writable=True) == ""
    assert list(tmp_path.iterdir()) == []
    assert "not there" in folder_problem(tmp_path / "no", writable=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write wherever permissions forbid it")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written" in folder_problem(tmp_path, writable=True)
    assert folder_problem(tmp_path, writable=False) == ""


async def test_free_space_is_compared_with_what_is_wanted(tmp_path: Path) -> None:
    assert space_problem(tmp_path, 0) == ""
    assert await check_space([tmp_path], 0).problem() == ""
    assert has_room(tmp_path, 1000)
    assert not has_room(tmp_path / "no", 1000)


async def test_little_space_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large, small = 10**12, 10**8
    for total, free, well in [
        (large, 600 << 20, True),
        (large, 400 << 20, False),
        (small, 6 * 10**6, True),
        (small, 4 * 10**6, False),
    ]:
        usage = SimpleNamespace(total=total, free=free)
        monkeypatch.setattr(probes.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert (space_problem(tmp_path, 500) == "") is well
    assert "NX_FREE_SPACE_MB" in await check_space([tmp_path], 500).problem()


def test_what_a_broker_refused_is_read_from_its_log(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    log = tmp_path / "broker" / "server.log"
    broker = EmbeddedBroker(SimpleNamespace(pid=7), "nats://h:1", tmp_path)  # type: ignore[arg-type]
    log.write_text("[6] 1 [ERR] JetStream failed to store a msg on stream 'S': no space\n")
    assert broker.refusals() == ""
    log.write_text(log.read_text() + "[7] 2 [ERR] Filestore [KV] Critical write error: no space\n")
    assert broker.refusals() == "Filestore [KV] Critical write error: no space"
