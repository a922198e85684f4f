"""Backups of the real broker: whole, of one period, damaged, and restored elsewhere."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.periods import Period
from nexuslims_contracts.testing import SessionEvents
from nexuslims_contracts.topology import CALENDARS, LEASES, PEOPLE, PROBES
from nexuslims_shared import presence
from nexuslims_shared.backups.folder import MANIFEST, SETTINGS, read_backup
from nexuslims_shared.backups.periods import (
    list_periods,
    move_period,
    remove_period,
    restore_period,
)
from nexuslims_shared.backups.whole import Owner, back_up_all, restore_all
from nexuslims_shared.bucket import BrokerBucket
from nexuslims_shared.context import ServiceContext, provision_broker, service_context
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.errors import BackupError, PeriodAwayError
from nexuslims_shared.log_identity import LogIdentity, facility_of, read_identity
from nexuslims_shared.presence import at_work, services_at_work
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.testing.event_store import retry

OLD = datetime(2019, 5, 17, 9, 0, tzinfo=UTC)
Y2019 = Period.named("2019")

pytestmark = pytest.mark.broker


@asynccontextmanager
async def facility(folder: Path, **changes: Any) -> AsyncIterator[ServiceContext]:
    """Run a broker of a facility that uses periods of a year."""
    settings = Settings(
        instrument_data_path=folder,
        data_path=folder,
        state_path=folder / "state",
        **{"periods": "year", **changes},
    )
    broker = start_embedded(settings.state_path)
    try:
        await provision_broker(settings)
        async with service_context(settings, "test") as context:
            yield context
    finally:
        await asyncio.to_thread(broker.stop)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NX_INSTRUMENT_DATA_PATH", str(tmp_path))
    monkeypatch.setenv("NX_DATA_PATH", str(tmp_path))
    monkeypatch.setenv("NX_CDCS_TOKEN", "a-token-that-is-secret")


def silent(done: int, total: int) -> None:
    assert 0 < done <= total


async def fill(context: ServiceContext) -> None:
    """Two sessions of 2019, one of now, a person, a lease."""
    for session in ("a", "b"):
        event = SessionEvents(session).started(start=OLD)
        await context.store.append(envelop(event, source="test"))
    many = [retry("now", str(number)) for number in range(50)]
    await context.store.append_all(many)
    await BrokerBucket(context.jetstream, PEOPLE).put("p-1", b"Ada Lovelace")
    await BrokerBucket(context.jetstream, CALENDARS).put("nemo-1", b"{}")
    await BrokerBucket(context.jetstream, LEASES).put("now", b"mine")


async def events(context: ServiceContext) -> list[Any]:
    store = JetStreamEventStore(context.jetstream)
    return [item async for item in store.read()]


async def settle(context: ServiceContext, period: Period) -> None:
    """Do what the services would: take all events of a period."""
    for consumer in await context.jetstream.consumers_info(period.stream):
        subscription = await context.jetstream.pull_subscribe_bind(consumer.name, period.stream)
        while (await subscription.consumer_info()).num_pending:
            for message in await subscription.fetch(100):
                await message.ack_sync()


async def test_everything_comes_back_on_another_broker(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    async with facility(tmp_path / "one") as context:
        await fill(context)
        before = await events(context)
        manifest = await back_up_all(context, folder, verify=True, update=silent)
        assert manifest.verified
    names = {one.name for one in manifest.streams}
    assert {"NEXUS_EVENTS", "NEXUS_EVENTS_2019", "KV_NEXUS_PEOPLE", "KV_NEXUS_SESSIONS"} <= names
    assert not {"KV_NEXUS_LEASES", "KV_NEXUS_PROBES"} & names
    async with facility(tmp_path / "two", facility=manifest.facility) as context:
        await restore_all(context, folder, replace=False)
        assert await events(context) == before
        assert await BrokerBucket(context.jetstream, PEOPLE).get("p-1") == b"Ada Lovelace"
        again = await context.store.append(retry("now", "49"))
        assert again.duplicate
        state = await SessionRepository(context.store).open("a")
        assert Period.of(state.through) == Y2019


async def test_a_backup_of_another_facility_is_refused_or_adopted_by_request(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "backup"
    async with facility(tmp_path / "one", facility="tem-lab") as context:
        await fill(context)
        await back_up_all(context, folder, verify=False, update=silent)
    async with facility(tmp_path / "two", facility="sem-lab") as context:
        await context.store.append(retry("own", "1"))
        before = await events(context)
        with pytest.raises(BackupError, match="of the facility 'tem-lab', and this is 'sem-lab'"):
            await restore_all(context, folder, replace=True)
        with pytest.raises(BackupError, match=r"set NX_FACILITY=tem-lab; --adopt"):
            await restore_period(context, Y2019, folder)
        assert await events(context) == before
        assert await restore_period(context, Y2019, folder, adopt=True) == 2
        await restore_all(context, folder, replace=True, owner=Owner.OURS)
        assert "own" not in {item.event.session for item in await events(context)}
        assert (await read_identity(context.jetstream) or LogIdentity()).facility == "sem-lab"


async def test_an_installation_without_an_id_takes_that_of_the_backup(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    async with facility(tmp_path / "one", facility="tem-lab") as context:
        await back_up_all(context, folder, verify=False, update=silent)
    async with facility(tmp_path / "two") as context:
        await restore_all(context, folder, replace=False, owner=Owner.THEIRS)
        assert facility_of(context.settings) == "tem-lab"
        assert (await read_identity(context.jetstream) or LogIdentity()).facility == "tem-lab"


async def test_a_backup_is_for_its_owner_only_and_holds_no_secret(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    async with facility(tmp_path / "one") as context:
        await back_up_all(context, folder, verify=False, update=silent)
        with pytest.raises(BackupError, match="not empty"):
            await back_up_all(context, folder, verify=False, update=silent)
    assert folder.stat().st_mode & 0o777 == 0o700
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
    kept = (folder / SETTINGS).read_text()
    assert "NX_DATA_PATH=" in kept
    assert "secret" not in kept


async def test_a_broker_that_holds_something_is_only_replaced_on_request(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    async with facility(tmp_path / "one") as context:
        await fill(context)
        before = await events(context)
        await back_up_all(context, folder, verify=False, update=silent)
        await context.store.append(retry("later", "1"))
        with pytest.raises(BackupError, match="--replace"):
            await restore_all(context, folder, replace=False)
        assert len(await events(context)) == len(before) + 1
        await restore_all(context, folder, replace=True)
        assert await events(context) == before


async def test_nothing_is_restored_under_running_services(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    async with facility(tmp_path / "one") as context:
        await back_up_all(context, folder, verify=False, update=silent)
        subscription = await context.jetstream.pull_subscribe_bind("builder", "NEXUS_EVENTS")
        fetching = asyncio.create_task(subscription.fetch(1, timeout=30))
        await waits(subscription)
        with pytest.raises(BackupError, match="builder is at work"):
            await restore_all(context, folder, replace=True)
        fetching.cancel()


@pytest.mark.parametrize("service", ["harvester", "console"])
async def test_a_service_without_a_consumer_is_noticed_too(tmp_path: Path, service: str) -> None:
    folder = tmp_path / "backup"
    async with facility(tmp_path / "one") as context:
        await back_up_all(context, folder, verify=False, update=silent)
        jetstream = context.jetstream
        async with at_work(jetstream, service):
            while await services_at_work(jetstream) != [service]:
                pass  # its first note is on its way
            with pytest.raises(BackupError, match=f"at work.*: {service}: stop all services"):
                await restore_all(context, folder, replace=True)
        assert await services_at_work(jetstream) == []
        await restore_all(context, folder, replace=True)


async def test_a_service_that_was_killed_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with facility(tmp_path / "one") as context:
        note = f"$KV.{PROBES.name}.at-work-harvester-0123"
        await context.jetstream.publish(note, b"at work")
        assert await services_at_work(context.jetstream) == ["harvester"]
        monkeypatch.setattr(presence, "GONE_S", 0.0)
        assert await services_at_work(context.jetstream) == []


async def waits(subscription: Any) -> None:
    """Return when the broker knows that somebody asks for messages."""
    while not (await subscription.consumer_info()).num_waiting:
        pass


@pytest.mark.parametrize(
    "damage", ["bytes", "missing", "no manifest", "path", "no names", "no events"]
)
async def test_a_damaged_backup_is_refused_before_anything_is_touched(
    tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "backup"
    async with facility(tmp_path / "one") as context:
        await fill(context)
        await back_up_all(context, folder, verify=False, update=silent)
        file = folder / "NEXUS_EVENTS_2019.snapshot"
        if damage == "bytes":
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        elif damage == "missing":
            file.unlink()
        elif damage == "no manifest":
            (folder / MANIFEST).unlink()
        elif damage.startswith("no "):
            manifest = read_backup(folder)
            lost = "PEOPLE" if damage == "no names" else "EVENTS"
            kept = tuple(one for one in manifest.streams if lost not in one.name)
            document = manifest.model_copy(update={"streams": kept}).model_dump_json()
            (folder / MANIFEST).write_text(document)
        else:
            document = (folder / MANIFEST).read_text()
            (folder / MANIFEST).write_text(document.replace(file.name, "../one/server.log"))
        before = await events(context)
        with pytest.raises(BackupError):
            await restore_all(context, folder, replace=True)
        assert await events(context) == before


async def test_a_period_goes_away_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    async with facility(tmp_path / "one") as context:
        await fill(context)
        before = await events(context)
        await settle(context, Y2019)
        await back_up_all(context, folder, verify=True, update=silent)
        assert await remove_period(context, Y2019, folder, silent) == 2
        states = {one.name: one for one in await list_periods(context)}
        assert not states["2019"].there
        assert states["2019"].events == 2
        assert states["2019"].backup == str(folder)
        store = JetStreamEventStore(context.jetstream, length="year")
        with pytest.raises(PeriodAwayError, match="session a: its period 2019"):
            await store.append(retry("a", "while away"))
        await provision_broker(context.settings)
        assert not {one.name: one for one in await list_periods(context)}["2019"].there
        assert await restore_period(context, Y2019, folder) == 2
        assert await events(context) == before
        late = JetStreamEventStore(context.jetstream, length="year")
        assert Period.of((await late.append(retry("a", "while away"))).sequence) == Y2019
        with pytest.raises(BackupError, match="is there"):
            await restore_period(context, Y2019, folder)


async def test_only_a_whole_and_verified_backup_allows_a_removal(tmp_path: Path) -> None:
    async with facility(tmp_path / "one") as context:
        await fill(context)
        unverified, early = tmp_path / "unverified", tmp_path / "early"
        await back_up_all(context, unverified, verify=False, update=silent)
        with pytest.raises(BackupError, match="not verified"):
            await remove_period(context, Y2019, unverified, silent)
        await back_up_all(context, early, verify=True, update=silent)
        with pytest.raises(BackupError, match="events wait for the"):
            await remove_period(context, Y2019, early, silent)
        await context.store.append(retry("a", "later"))
        await settle(context, Y2019)
        with pytest.raises(BackupError, match="make a new one"):
            await remove_period(context, Y2019, early, silent)
        current = Period.holding(datetime.now(UTC), "year")
        with pytest.raises(BackupError, match="new sessions belong to it"):
            await remove_period(context, current, early, silent)
        assert Y2019.name in {one.name for one in await list_periods(context) if one.there}


async def test_sessions_older_than_the_setting_wait_as_well(tmp_path: Path) -> None:
    """The first stream can be removed too; its sessions were in no bucket before."""
    folder = tmp_path / "backup"
    async with facility(tmp_path / "one", periods="all") as context:
        await fill(context)
        old = context.settings.model_copy(update={"periods": "year"})
        await settle(context, Period.named("all"))
        moved = ServiceContext(old, *(getattr(context, name) for name in _OTHERS))
        await back_up_all(moved, folder, verify=True, update=silent)
        assert await remove_period(moved, Period.named("all"), folder, silent) == 3
        await provision_broker(old)
        store = JetStreamEventStore(context.jetstream, length="year")
        with pytest.raises(PeriodAwayError, match="session now: its period all"):
            await store.append(retry("now", "again"))


_OTHERS = ("store", "people", "dead_letters", "jetstream")


async def test_a_period_is_moved_to_servers_with_tags(tmp_path: Path) -> None:
    """And stays there, whoever provisions."""
    async with facility(tmp_path / "one") as context:
        await fill(context)
        await move_period(context, Y2019, ["disk:cold"])
        await provision_broker(context.settings)
        tags = {one.name: one.tags for one in await list_periods(context)}
        assert tags["2019"] == "disk:cold"
        assert tags["all"] == ""
        await move_period(context, Y2019, [])
        assert {one.tags for one in await list_periods(context)} == {""}
        with pytest.raises(BackupError, match="there is no period 2001"):
            await move_period(context, Period.named("2001"), [])


def test_a_manifest_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"format": 7}))
    with pytest.raises(BackupError, match="no manifest of this release"):
        read_backup(tmp_path)
