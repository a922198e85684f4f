"""Who is forgotten is in no record that is built afterwards."""

import asyncio
import json
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from nexuslims_contracts.events import RecordBuilt, ReservationMatched
from nexuslims_shared.broker import connect
from nexuslims_shared.people import BucketPeople, Person
from tests.system import running
from tests.test_evolution import SESSION, STORY, replay

pytestmark = pytest.mark.broker


def is_record(recorded):
    return isinstance(recorded.event, RecordBuilt)


def forget(person: str, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    command = [f"{sysconfig.get_path('scripts')}/nexuslims", "people", "forget", person, "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)


async def test_a_forgotten_name_leaves_the_record(tmp_path: Path) -> None:
    for folder in ("files", "data"):
        (tmp_path / folder).mkdir()
    paths = {"NX_INSTRUMENT_DATA_PATH": "files", "NX_DATA_PATH": "data"}
    async with running(tmp_path, (), **paths) as system:
        client = await connect(system.broker.url, name="test")
        person = Person(username="nhall", first_name="Ned", last_name="Hall")
        key = await BucketPeople(client.jetstream()).remember("nemo-1", person)
        await client.close()
        await replay(system, STORY[:-1])
        await system.append(
            ReservationMatched(
                session=SESSION, tier="calendar", title="Layers", experimenter=key, after=3
            )
        )
        system.start("builder")
        built = await system.wait_until(is_record)
        record = tmp_path / "data" / "records" / built.event.record.path
        assert "Ned Hall" in record.read_text(encoding="utf-8")

        done = await asyncio.to_thread(forget, key, tmp_path, system.environment)
        assert done["rebuilt"] == [SESSION]
        again = await system.wait_until(is_record, after=built.sequence)
        assert again.event.record.sha256 != built.event.record.sha256
        assert "Hall" not in record.read_text(encoding="utf-8")
        everything = [item async for item in system.store.read()]
        assert not any("Hall" in item.event.model_dump_json() for item in everything)
