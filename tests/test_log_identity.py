"""One facility, one log: those of others are refused, and one that was wiped is noticed."""

import asyncio
import shutil
from pathlib import Path

import pytest
from demo.facility import make_facility

from nexuslims_shared.broker import connect, provision
from nexuslims_shared.context import provision_broker, service_context
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.errors import ForeignLogError
from nexuslims_shared.log_identity import (
    LogIdentity,
    facility_of,
    read_identity,
    renew_identity,
    require_own,
    setting_of_broker,
    settle_identity,
)
from nexuslims_shared.session.status import Status, progress
from nexuslims_shared.settings import Settings
from tests.system import PIPELINE, System, running

pytestmark = pytest.mark.broker

COMPLETED = "file-1001"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_facility(tmp_path)
    return tmp_path


def settings_of(folder: Path, url: str, name: str, **more: str) -> Settings:
    state = folder / name
    return Settings(
        instrument_data_path=folder,
        data_path=folder,
        state_path=state,
        nats_url=url,
        **more,  # type: ignore[arg-type]
    )


async def test_a_second_facility_is_refused_everywhere(tmp_path: Path) -> None:
    broker = await asyncio.to_thread(start_embedded, tmp_path / "broker-state")
    try:
        ours = settings_of(tmp_path, broker.url, "ours")
        await provision_broker(ours)
        await provision_broker(ours)
        async with service_context(ours, "test") as context:
            identity = await read_identity(context.jetstream)
        assert identity is not None
        assert identity.facility == facility_of(ours)
        assert identity.log
        another = settings_of(tmp_path, broker.url, "another")
        for theirs in (another, settings_of(tmp_path, broker.url, "ours", facility="lab-b")):
            with pytest.raises(ForeignLogError, match=f"set NX_FACILITY={identity.facility}"):
                await provision_broker(theirs)
            with pytest.raises(ForeignLogError, match="belongs to the facility"):
                async with service_context(theirs, "test"):
                    pass
        assert facility_of(another) == ""
        moved = settings_of(tmp_path, broker.url, "moved", facility=identity.facility)
        await provision_broker(moved)
    finally:
        await asyncio.to_thread(broker.stop)


def test_who_has_an_embedded_broker_is_not_sent_to_a_setting_that_is_not_in_use(
    tmp_path: Path,
) -> None:
    identity = LogIdentity("log", "lab-a")
    embedded = Settings(instrument_data_path=tmp_path, data_path=tmp_path, state_path=tmp_path)
    far = settings_of(tmp_path, "nats://broker", "far")
    with pytest.raises(ForeignLogError, match=f"correct NX_STATE_PATH={tmp_path}; or"):
        require_own(identity, "lab-b", place=setting_of_broker(embedded))
    with pytest.raises(ForeignLogError, match="correct NATS_URL; or"):
        require_own(identity, "lab-b", place=setting_of_broker(far))


async def test_a_log_of_an_earlier_release_is_taken_over_and_a_restored_one_is_another(
    tmp_path: Path,
) -> None:
    broker = await asyncio.to_thread(start_embedded, tmp_path)
    client = await connect(broker.url, name="test")
    try:
        jetstream = client.jetstream()
        assert await read_identity(jetstream) is None
        await provision(jetstream)
        assert await read_identity(jetstream) == LogIdentity()
        first = await settle_identity(jetstream, "lab-a")
        assert await settle_identity(jetstream, "lab-a") == first
        await provision(jetstream)  # which does not take it away
        assert await read_identity(jetstream) == first
        await renew_identity(jetstream, "lab-a")
        renewed = await read_identity(jetstream)
        assert renewed is not None
        assert renewed.facility == "lab-a"
        assert renewed.log != first.log
    finally:
        await client.close()
        await asyncio.to_thread(broker.stop)


async def test_a_service_of_another_facility_ends_at_its_start(folder: Path) -> None:
    async with running(folder, []) as system:
        client = await connect(system.broker.url, name="test")
        await settle_identity(client.jetstream(), "lab-a")
        await client.close()
        system.start("indexer", NX_FACILITY="lab-b")
        code = await asyncio.to_thread(system.processes["indexer"].wait, 30)
        output = system.log("indexer")
        system.start("extractor", NX_FACILITY="lab-a")
        await system.wait_for_http("extractor", "/readyz", 200)
    assert code not in (0, None)
    assert "belongs to the facility 'lab-a', and this is 'lab-b'" in output
    assert "Traceback" not in output


async def test_a_wiped_broker_is_noticed_and_everything_comes_again(folder: Path) -> None:
    services = (*PIPELINE, "console")
    async with running(folder, services, NX_DATABASE_URL="") as system:
        await system.wait_for_status([COMPLETED])
        await wipe(system)
        for name in services:
            process = system.processes[name]
            assert await asyncio.to_thread(process.wait, 60) != 0, name
            assert "another log than at the start" in system.log(name)
        system.start(*services)
        states = await system.wait_for_status([COMPLETED])
        await system.wait_for_http("console", "/readyz", 200)
    assert progress(states[COMPLETED]).status is Status.COMPLETED


async def wipe(system: System) -> None:
    """Start the broker again, with nothing in it but what ``provision`` makes."""
    port = system.broker.port
    system.broker.process.kill()
    system.broker.process.wait()
    shutil.rmtree(system.broker.state / "broker" / "jetstream")
    system.broker = await asyncio.to_thread(start_embedded, system.broker.state, port=port)
    client = await connect(system.broker.url, name="test")
    await provision(client.jetstream())
    await settle_identity(client.jetstream(), "")
    await client.close()
