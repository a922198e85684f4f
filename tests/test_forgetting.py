"""Who is forgotten is in no record that is built afterwards."""

import asyncio
import json
import re
import subprocess
import sysconfig
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from demo.facility import CANVAS_WIDTH, FEI_SECTION_TEXT, ZONE, View, section_text, set_mtime

from nexuslims_contracts.events import RecordBuilt, RecordUploaded, ReservationMatched
from nexuslims_shared.broker import connect
from nexuslims_shared.people import BucketPeople, Person
from nexuslims_shared.session.status import Status
from tests.system import running
from tests.test_evolution import SESSION, STORY, replay

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]


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


NAMES = re.compile(rb"xavier|quagg|xquag|quagmire", re.IGNORECASE)
DAYS = ("stays", "cancelled", "declined")
USER = """{username = "xquag", first_name = "Xavier", last_name = "Quagg",
 email = "xav@quagmire.example"}""".replace("\n", "")


def write_facility(folder: Path) -> None:
    """Three sessions of one person, whom the files name as their operator, in several ways."""
    (folder / "instruments.toml").write_text(
        '[[instrument]]\npid = "SEM"\nfilestore_path = "SEM"\ntimezone = "America/Denver"\n'
    )
    (folder / "data").mkdir()
    for number, name in enumerate(DAYS):
        moment = datetime(2026, 3, 2 + number, 9, 10, tzinfo=ZONE)
        text = section_text(View(moment, 20_000.0, 1e-4), CANVAS_WIDTH / 1024 / 20_000)
        user = "User=Xavier.Quagg\r\nUserText=xquag, email xav@quagmire.example"
        path = folder / "files" / "SEM" / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tags = [(FEI_SECTION_TEXT, "s", 0, text.replace("User=ned", user), True)]
        pixels = np.zeros((64, 64), "u1")
        tifffile.imwrite(path, pixels, photometric="minisblack", extratags=tags, metadata=None)
        set_mtime(path, moment)
    write_calendar(folder)


def write_calendar(folder: Path, *, late: bool = False) -> None:
    """The calendar; late, one session is cancelled and one declined."""
    entries = []
    for number, name in enumerate(DAYS):
        begin = datetime(2026, 3, 2 + number, 9, tzinfo=ZONE)
        entries.append(
            f"""[[session]]
id = "{name}"
instrument = "SEM"
user = {USER}
start = {begin.isoformat()}
end = {(begin + timedelta(hours=2)).isoformat()}
title = "Plain"
cancelled = {str(late and name == "cancelled").lower()}
consent = {str(not (late and name == "declined")).lower()}
"""
        )
    (folder / "calendar.toml").write_text("\n".join(entries))


def people(folder: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    command = [f"{sysconfig.get_path('scripts')}/nexuslims", "people", "list", "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)


def files_with_names(folder: Path) -> list[str]:
    """All files in which a name is, but for what the person's calendar and microscope wrote."""
    own = {folder / "calendar.toml", *(folder / "files").rglob("*")}
    found = [path for path in folder.rglob("*") if path.is_file() and path not in own]
    return [str(path.relative_to(folder)) for path in found if NAMES.search(path.read_bytes())]


async def test_no_byte_of_a_forgotten_name_is_left(tmp_path: Path) -> None:
    await asyncio.to_thread(write_facility, tmp_path)
    paths = {"NX_INSTRUMENT_DATA_PATH": "files", "NX_DATA_PATH": "data"}
    async with running(tmp_path, **paths) as system:
        sessions = [f"file-{name}" for name in DAYS]
        await system.wait_for_status(sessions)
        record = next((tmp_path / "data" / "records").glob("*stays*.xml"))
        written = record.read_text()
        assert "Xavier.Quagg" in written, "the operator, as the file names them"
        assert "Xavier Quagg (xquag)" in written, "the experimenter"
        assert not [name for name in files_with_names(tmp_path) if "NEXUS_EVENTS" in name]
        assert not [name for name in files_with_names(tmp_path) if name.endswith((".log", ".db"))]
        assert not [name for name in files_with_names(tmp_path) if name.startswith("data/SEM")]

        write_calendar(tmp_path, late=True)
        withdrawn = (Status.CANCELLED, Status.NO_CONSENT)
        await system.wait_for_status(sessions[1:], withdrawn)
        known = await asyncio.to_thread(people, tmp_path, system.environment)
        (person,) = [one["id"] for one in known if one["name"] == "Xavier Quagg"]
        last = await system.store.last_sequence()
        done = await asyncio.to_thread(forget, person, tmp_path, system.environment)
        assert len(done["ids"]) == len(known), "the operators are the same person"
        assert done["rebuilt"] == ["file-stays"]
        assert sorted(done["removed"]) == ["file-cancelled", "file-declined"]
        await system.wait_until(lambda one: isinstance(one.event, RecordUploaded), after=last)
    assert "(forgotten)" in record.read_text()
    assert files_with_names(tmp_path) == []
