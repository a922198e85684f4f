"""A stream of realistic events for the benchmark of scale, made once into the user's cache folder.

Sessions of 30 files, 67 events each: about 5 KB for what was read of a file, 2.7 KB an event on
disk. As in a facility with many instruments, the events of fifty sessions are mixed.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from nexuslims_contracts.datasets import ArtifactRef, Axis, Dataset
from nexuslims_contracts.envelope import Envelope, envelop
from nexuslims_contracts.events import Event
from nexuslims_contracts.periods import PeriodLength
from nexuslims_contracts.testing import END, START, SessionEvents
from nexuslims_shared.broker import connect, open_period, provision
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.store.jetstream import JetStreamEventStore

FILES: Final = 30
EVENTS_PER_SESSION: Final = 2 * FILES + 7
_AT_ONCE: Final = 50
_MADE: Final = "made"


def stream_folder(events: int, periods: PeriodLength = "all") -> Path:
    """Return the state folder of an embedded broker whose log holds that many events.

    Parameters
    ----------
    events
        At least so many; whole groups of sessions are made.
    periods
        How long the log's periods are. A million events are of two weeks.
    """
    suffix = "" if periods == "all" else f"-{periods}"
    folder = cache_folder() / f"scale-{events}{suffix}"
    if not (folder / _MADE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(_make(folder, events, periods))
        (folder / _MADE).touch()
    return folder


def cache_folder() -> Path:
    """Return where what takes long to make is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "nexuslims"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def session_name(number: int) -> str:
    """Return the token of the n-th session."""
    return f"nemo-1-usage-{number}"


def session_count(events: int) -> int:
    """Return how many sessions a stream of so many events has."""
    groups = -(-events // (_AT_ONCE * EVENTS_PER_SESSION))
    return groups * _AT_ONCE


async def _make(folder: Path, events: int, periods: PeriodLength) -> None:
    broker = start_embedded(folder)
    client = await connect(broker.url, name="benchmark")
    try:
        jetstream = client.jetstream()
        await provision(jetstream)
        store = JetStreamEventStore(
            jetstream, length=periods, open_period=partial(open_period, jetstream)
        )
        have = (await store.positions()).messages
        total = session_count(events)
        begin = time.monotonic()
        for first in range(0, total, _AT_ONCE):
            if (first + _AT_ONCE) * EVENTS_PER_SESSION > have:
                await store.append_all(list(_group(first)))
            if first % (20 * _AT_ONCE) == 0:
                seconds = time.monotonic() - begin
                print(f"{first} of {total} sessions stored, {seconds:.0f} s", flush=True)
    finally:
        await client.close()
        await asyncio.to_thread(broker.stop)


def _group(first: int) -> Iterator[Envelope]:
    """Mix the events of some sessions, as they come from many instruments at once."""
    sessions = [_session(number) for number in range(first, first + _AT_ONCE)]
    for number, events in enumerate(itertools.zip_longest(*sessions)):
        moment = END + timedelta(hours=first, seconds=number)
        for event in events:
            yield envelop(event, source="nexuslims/benchmark", time=moment)


def _session(number: int) -> list[Event]:
    shift = timedelta(hours=number // 50)
    made = SessionEvents(session_name(number), start=START + shift, end=END + shift)
    files = range(1, FILES + 1)
    return [
        made.started(),
        made.matched(title=f"Grain boundaries in sample {number}"),
        made.ended(),
        *(made.indexed(file, path=_path(number, file)) for file in files),
        made.manifest(FILES),
        *(
            made.extracted(file, datasets=(_dataset(number, file),), sha256="a" * 64)
            for file in files
        ),
        made.built(1 + number * EVENTS_PER_SESSION + EVENTS_PER_SESSION),
        made.uploaded(),
        made.retry(),
    ]


def _path(number: int, file: int) -> str:
    return f"Titan/2018/user-{number % 97}/session {number}/{file:03d} - overview at 80 kx.dm3"


def _dataset(number: int, file: int) -> Dataset:
    preview = ArtifactRef(path=f"{_path(number, file)}.thumb.png", sha256="b" * 64, size=91_234)
    return Dataset(
        index=0,
        name=f"{file:03d} - overview at 80 kx",
        dataset_type="Image",
        data_type="TEM_Imaging",
        creation_time=START + timedelta(minutes=file),
        shape=(2048, 2048),
        dtype="int32",
        axes=tuple(Axis(name=name, size=2048, scale=0.143, unit="nm") for name in "yx"),
        metadata={
            **{name: {"value": 1.5 * file, "unit": "kV"} for name in _QUANTITIES},
            **{name: f"{name} of the microscope" for name in _TEXTS},
        },
        extensions={
            f"vendor_group_{group}": {f"tag_{tag}": 0.123456 * tag * file for tag in range(12)}
            for group in range(12)
        },
        preview=preview,
    )


_QUANTITIES: Final = [f"quantity_{number}" for number in range(12)]
_TEXTS: Final = [f"text_{number}" for number in range(6)]
