"""How the services behave as processes: health, waiting for the broker, leaving."""

import asyncio
from pathlib import Path

import pytest
from demo.facility import make_facility

from nexuslims_contracts.topology import EVENTS
from nexuslims_shared.broker import connect
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.session.status import Status, progress
from tests.system import PIPELINE, running

pytestmark = pytest.mark.broker

SESSIONS = ("file-1001", "file-1002", "file-1003")


@pytest.fixture
def facility(tmp_path: Path) -> Path:
    make_facility(tmp_path)
    return tmp_path


async def test_every_service_is_alive_ready_and_leaves_in_order(facility: Path) -> None:
    services = (*PIPELINE, "console")
    async with running(facility, services) as system:
        for name in services:
            await system.wait_for_http(name, "/healthz", 204)
            assert set((await system.wait_until_well(name)).values()) == {"ok"}
        for name in services:
            assert system.terminate(name) == 0
            assert f"{name} has stopped" in system.log(name)


async def test_a_service_whose_consumer_is_gone_says_so(facility: Path) -> None:
    async with running(facility, ["builder"]) as system:
        await system.wait_for_http("builder", "/readyz", 200)
        client = await connect(system.broker.url, name="test")
        await client.jetstream().delete_consumer(EVENTS.name, "builder")
        body = await system.wait_for_http("builder", "/readyz", 503)
        assert isinstance(body, dict)
        assert "lacks consumer builder" in body["checks"]["broker"]
        await system.wait_for_http("builder", "/healthz", 204)
        await client.close()


async def test_without_a_broker_services_wait_and_then_work(facility: Path) -> None:
    async with running(facility, []) as system:
        port = system.broker.port
        system.broker.stop()
        system.start(*PIPELINE)
        for name in PIPELINE:
            await system.wait_for_http(name, "/healthz", 204)
            body = await system.wait_for_http(name, "/readyz", 503)
            assert isinstance(body, dict)
            assert body["checks"]["broker"] != "ok"
        system.broker = await asyncio.to_thread(start_embedded, facility / "state", port=port)
        states = await system.wait_for_status(SESSIONS)
    assert {name: progress(state).status for name, state in states.items()} == {
        "file-1001": Status.COMPLETED,
        "file-1002": Status.NO_FILES_FOUND,
        "file-1003": Status.NO_CONSENT,
    }


async def test_a_broker_that_is_killed_in_mid_session_loses_nothing(facility: Path) -> None:
    async with running(facility) as system:
        await system.wait_until(lambda item: item.event.kind() == "metadata-extracted")
        port = system.broker.port
        system.broker.process.kill()
        system.broker.process.wait()
        system.broker = await asyncio.to_thread(start_embedded, facility / "state", port=port)
        states = await system.wait_for_status(SESSIONS)
    assert progress(states["file-1001"]).status is Status.COMPLETED
    assert states["file-1001"].settled_count == 18


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("NX_INSTRUMENT_DATA_PATH", "/nowhere", "this folder does not exist: mount it"),
        ("NX_FILE_DELAY_DAYS", "-1", "greater than 0"),
        ("NX_EXPORT_STRATEGY", "some", "'all', 'first_success' or 'best_effort'"),
    ],
)
async def test_a_wrong_setting_stops_a_service_at_the_start(
    facility: Path, variable: str, value: str, expected: str
) -> None:
    async with running(facility, []) as system:
        system.start("indexer", **{variable: value})
        assert await asyncio.to_thread(system.processes["indexer"].wait, 20) == 2
        output = system.log("indexer")
    assert f"{variable}='{value}': " in output
    assert expected in output
    assert "Traceback" not in output
