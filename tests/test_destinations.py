"""Destinations that lose what they had: found out by the command, and made good."""

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import tifffile
from demo.facility import FEI_SECTION_TEXT, INSTRUMENTS, ZONE, View, section_text, set_mtime

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import RecordUploaded
from nexuslims_uploader.notebook import key_of
from nexuslims_uploader.testing.cdcs import FakeCdcs
from nexuslims_uploader.testing.cdcs.answers import Record
from nexuslims_uploader.testing.elabftw import Entry, FakeElabftw
from nexuslims_uploader.testing.labarchives import FakeLabarchives, Place
from tests.system import System, running

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

NUMBERS = range(1, 5)
SESSIONS = [f"file-{number}" for number in NUMBERS]
SECOND = SESSIONS[1::2]
START = datetime(2026, 3, 2, 9, tzinfo=ZONE)
PLACES = ("archive", "cdcs", "elabftw", "labarchives")


def write_facility(folder: Path) -> None:
    """Write four sessions of one file each."""
    calendar = []
    for number in NUMBERS:
        start = START + timedelta(days=number)
        image = folder / f"files/Quanta/image_{number}.tif"
        image.parent.mkdir(parents=True, exist_ok=True)
        text = section_text(View(start, 20_000.0, 1e-4), 1.25e-08)
        pixels = np.full((8, 8), number, np.uint8)
        tifffile.imwrite(image, pixels, extratags=[(FEI_SECTION_TEXT, "s", 0, text, True)])
        set_mtime(image, start + timedelta(minutes=5))
        calendar.append(
            f'[[session]]\nid = "{number}"\ninstrument = "FEI-Quanta-SEM"\nconsent = true\n'
            f'user = {{ username = "ned" }}\ntitle = "Gold {number}"\n'
            f"start = {start.isoformat()}\nend = {(start + timedelta(hours=1)).isoformat()}\n"
        )
    (folder / "data").mkdir()
    (folder / "instruments.toml").write_text(INSTRUMENTS)
    (folder / "calendar.toml").write_text("\n".join(calendar))


@dataclass(slots=True)
class Facility:
    """A system and the servers of its destinations."""

    folder: Path
    cdcs: FakeCdcs = field(default_factory=FakeCdcs)
    elabftw: FakeElabftw = field(default_factory=FakeElabftw)
    labarchives: FakeLabarchives = field(default_factory=FakeLabarchives)

    def settings(self) -> dict[str, str]:
        """The settings of its services and commands."""
        return {
            "NX_INSTRUMENT_DATA_PATH": "files",
            "NX_DATA_PATH": "data",
            "NX_DESTINATIONS": ",".join(PLACES),
            "NX_CDCS_URL": self.cdcs.url,
            "NX_CDCS_TOKEN": "admin-token",
            "NX_ELABFTW_URL": self.elabftw.url,
            "NX_ELABFTW_API_KEY": "1-abc",
            "NX_LABARCHIVES_URL": f"{self.labarchives.url}/api/",
            "NX_LABARCHIVES_ACCESS_KEY_ID": FakeLabarchives.key_id,
            "NX_LABARCHIVES_ACCESS_PASSWORD": FakeLabarchives.password,
            "NX_LABARCHIVES_USER_ID": FakeLabarchives.user,
            "NX_LABARCHIVES_NOTEBOOK_ID": FakeLabarchives.notebook,
            "NX_LABARCHIVES_PAUSE": "0",
        }

    async def run(self, servers: AsyncExitStack) -> System:
        """Start everything, and wait until each session's record is everywhere."""
        for server in (self.cdcs, self.elabftw, self.labarchives):
            await servers.enter_async_context(server.running())
        system = await servers.enter_async_context(running(self.folder, **self.settings()))
        await system.wait_for_status(SESSIONS)
        return system

    def in_cdcs(self, session: str) -> Record:
        """The record of a session in CDCS."""
        return next(one for one in self.cdcs.records.values() if one.session == session)

    def in_elabftw(self, session: str) -> Entry:
        """The experiment of a session."""
        return next(one for one in self.elabftw.visible() if key_of(session) in str(one.content))

    def in_labarchives(self, session: str) -> Place:
        """The page of a session."""
        pages, key = self.labarchives.pages(), key_of(session).encode()
        return next(
            one for one in pages if any(key in part.content for part in self.labarchives.on(one.id))
        )

    def below(self, folder: str, pattern: str) -> Path:
        """The only file of a name below a folder of the data."""
        (found,) = (self.folder / "data" / folder).glob(pattern)
        return found

    def held(self) -> dict[str, dict[str, list[bytes]]]:
        """The bytes that each destination has of each session."""
        archived = (self.folder / "data/records/uploaded").glob("*.xml")
        return {
            "archive": {
                f"file-{one.stem.rpartition('_')[2]}": [one.read_bytes()] for one in archived
            },
            "cdcs": self.cdcs.held(),
            "elabftw": {
                session: [one.content for one in self.in_elabftw(session).uploads if one.state == 1]
                for session in SESSIONS
            },
            "labarchives": self.labarchives.held(SESSIONS),
        }


def verify(system: System, *more: str) -> tuple[int, list[tuple[str, str, str]]]:
    """Call the command; its exit code, and what it found."""
    command = [sys.executable, "-m", "nexuslims_shared", "verify", "--all", "--json", *more]
    done = subprocess.run(
        command,
        cwd=system.folder,
        env=system.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)["findings"]
    return done.returncode, [(one["session"], one["destination"], one["problem"]) for one in found]


async def repair(system: System) -> None:
    """Have everything made good, and wait until it is."""
    after = await system.store.last_sequence()
    status, findings = await asyncio.to_thread(verify, system, "--repair")
    assert status == 0
    waiting = {(session, place) for session, place, _ in findings if place in PLACES}

    def all_is_there(item: Recorded) -> bool:
        if isinstance(item.event, RecordUploaded):
            waiting.discard((item.event.session, item.event.destination))
        return not waiting

    await system.wait_until(all_is_there, after=after)


def lose_every_second(facility: Facility) -> set[tuple[str, str, str]]:
    """Delete the records of every second session everywhere; what is to be found."""
    for session in SECOND:
        facility.cdcs.records.pop(facility.in_cdcs(session).id)
        facility.in_elabftw(session).state = 3
        page = facility.in_labarchives(session)
        for part in facility.labarchives.on(page.id):
            facility.labarchives.parts.pop(part.id)
        facility.labarchives.places.pop(page.id)
        number = session.removeprefix("file-")
        for ending in ("xml", "html", "json"):
            facility.below("records/uploaded", f"*_{number}.{ending}").unlink()
    return {(session, place, "missing") for session in SECOND for place in PLACES}


def harm_otherwise(facility: Facility) -> set[tuple[str, str, str]]:
    """Harm each destination as backups and people do; what is to be found."""
    first, second, third, fourth = SESSIONS
    restored = facility.in_cdcs(first)
    facility.cdcs.records.pop(restored.id)
    facility.cdcs.put(restored.title, restored.xml)
    copied = facility.in_cdcs(second)
    facility.cdcs.put(copied.title, copied.xml)
    facility.in_elabftw(first).uploads.clear()
    facility.in_elabftw(third).content["metadata"] = {}
    page = facility.in_labarchives(fourth)
    for part in facility.labarchives.on(page.id):
        if part.kind == "Attachment":
            facility.labarchives.parts.pop(part.id)
    facility.below("records/uploaded", "*_3.xml").write_bytes(b"")
    facility.below("records/uploaded", "*_4.html").unlink()
    return {
        (first, "cdcs", "outdated"),
        (first, "elabftw", "missing"),
        (second, "cdcs", "outdated"),
        (third, "elabftw", "outdated"),
        (third, "archive", "missing"),
        (fourth, "archive", "missing"),
        (fourth, "labarchives", "missing"),
    }


async def test_what_destinations_lose_comes_back_exactly_once(tmp_path: Path) -> None:
    write_facility(tmp_path)
    facility = Facility(tmp_path)
    async with AsyncExitStack() as servers:
        system = await facility.run(servers)
        whole = facility.held()
        assert {place: {len(one) for one in held.values()} for place, held in whole.items()} == {
            place: {1} for place in PLACES
        }
        assert await asyncio.to_thread(verify, system) == (0, [])
        for harm in (lose_every_second, harm_otherwise):
            expected = harm(facility)
            status, found = await asyncio.to_thread(verify, system)
            assert (status, set(found)) == (1, expected)
            await repair(system)
            assert await asyncio.to_thread(verify, system) == (0, [])
            assert facility.held() == whole
            for session in SESSIONS:
                link = f"/data?id={facility.in_cdcs(session).id}"
                assert link in facility.in_elabftw(session).content["body"]
                parts = facility.labarchives.on(facility.in_labarchives(session).id)
                assert link.encode() in b"".join(part.content for part in parts)
        experiment = facility.in_elabftw(SESSIONS[0])
        experiment.content["body"] = "<p>cleared</p>"
        changed = (SESSIONS[0], "elabftw", "changed")
        assert await asyncio.to_thread(verify, system, "--repair") == (1, [changed])
        assert facility.in_elabftw(SESSIONS[0]).content["body"] == "<p>cleared</p>"

        lost = {
            path: path.read_bytes()
            for path in (tmp_path / "data/Quanta").iterdir()
            if path.name in ("image_2.tif.thumb.png", "image_4.tif.json")
        }
        for path in lost:
            path.unlink()
        findings = [changed, *((session, "artifacts", "missing") for session in SECOND)]
        assert await asyncio.to_thread(verify, system, "--repair") == (1, findings)
        for path, content in lost.items():
            await system.wait_for_file(path)
            assert path.read_bytes() == content
