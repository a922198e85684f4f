"""A virus scanner or a backup gives files another time: by their bytes they are whose they were."""

import errno
import hashlib
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from services.indexer.tests.office import Office, current, looked_through

from nexuslims_contracts.events import FileIndexed, FileSuperseded
from nexuslims_indexer.app import indexing

HOUR = timedelta(hours=1)


@pytest.fixture
def at_once(settings):
    return settings.model_copy(update={"file_settle_seconds": 0.0, "file_watch": "off"})


class Touching:
    """Two sessions, a file of the first one that was read, and looks after it has another time."""

    def __init__(self, at_once, facts, share) -> None:
        self.first = facts
        self.second = replace(
            facts, session="file-2", start=facts.end + HOUR, end=facts.end + 2 * HOUR
        )
        self.office = Office(at_once, self.first)
        self.path: Path = share.write("a.dm3", facts.start + HOUR, b"bytes")

    async def begin(self) -> None:
        await self.office.state(*self.first.over(), *self.second.over())
        await self.look()
        (event,) = await self.office.stated(FileIndexed)
        sha256 = hashlib.sha256(b"bytes").hexdigest()
        read = self.first.extracted(0, file=event.file, sha256=sha256)
        await self.office.state(read)

    def touch(self, moment: datetime) -> None:
        os.utime(self.path, (moment.timestamp(),) * 2)

    async def look(self) -> None:
        async with indexing(self.office.context, self.office.kinds) as indexer:
            for _ in range(2):  # it is seen to change, then to rest
                for instrument in indexer.instruments.values():
                    instrument._request.everything = True
                await looked_through(indexer)

    async def records(self) -> list[list[str]]:
        return [current(await self.office.folded(one)) for one in (self.first, self.second)]


@pytest.fixture
def touching(at_once, facts, share) -> Touching:
    return Touching(at_once, facts, share)


@pytest.mark.parametrize("hours", [4.5, -2, 1000], ids=["in another's time", "before", "after"])
async def test_a_touched_file_stays_in_its_record(touching, hours: float) -> None:
    await touching.begin()
    touching.touch(touching.first.start + hours * HOUR)
    for _ in range(2):  # with what was seen, and from the events alone
        await touching.look()
        assert await touching.records() == [["Titan/a.dm3"], []]
    state = await touching.office.folded()
    assert not any(file.is_missing for file in state.current_files().values())
    found = [event.mtime_ns for event in await touching.office.stated(FileIndexed)]
    assert found[-1] == touching.path.stat().st_mtime_ns
    assert [one.reason for one in await touching.office.stated(FileSuperseded)] == ["rewritten"]


async def test_a_file_with_other_bytes_is_whose_time_says_so(touching) -> None:
    await touching.begin()
    touching.path.write_bytes(b"other")
    touching.touch(touching.second.start + HOUR / 2)
    await touching.look()
    assert await touching.records() == [[], ["Titan/a.dm3"]]


async def test_a_file_that_cannot_be_read_is_whose_time_says_so(touching, monkeypatch) -> None:
    await touching.begin()
    touching.touch(touching.second.start + HOUR / 2)

    def denied(opened, name: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(hashlib, "file_digest", denied)
    await touching.look()
    assert await touching.records() == [[], ["Titan/a.dm3"]]
