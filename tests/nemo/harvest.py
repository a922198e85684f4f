"""Harvesting that NEMO into an empty stream: our side of it."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from nexuslims_harvester.harvest import Harvest
from nexuslims_harvester.harvested import HarvestedSessions
from nexuslims_harvester.nemo.calendar import NemoCalendar
from nexuslims_harvester.nemo.client import NemoClient
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.calendar_notes import CalendarNotes
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.service import ServiceContext, service_context
from nexuslims_shared.settings import Settings
from tests.absent import absent
from tests.nemo import cases
from tests.nemo.lab import HARVESTER, NEMO, Nemo, NemoUnavailableError, environment, running_nemo

INSTRUMENTS = {
    pid: InstrumentEntry(
        pid=pid,
        filestore_path=pid,
        timezone="America/Denver",
        calendar="nemo-1",
        calendar_id=str(number),
    )
    for number, pid in enumerate(("titan", "sigma"), start=1)
}
"""The tools that are instruments; the third is none."""


@asynccontextmanager
async def empty_stream(folder: Path) -> AsyncIterator[ServiceContext]:
    """A broker of its own."""
    broker = start_embedded(folder)
    client = await connect(broker.url, name="test")
    await provision(client.jetstream())
    await client.close()
    settings = Settings(instrument_data_path=folder, data_path=folder, nats_url=broker.url)
    try:
        async with service_context(settings, "test") as made:
            yield made
    finally:
        broker.stop()


def case_harvest(context: ServiceContext, nemo: Nemo, environment: pytest.MonkeyPatch) -> Harvest:
    """Return a harvest of a NEMO with the sessions of ``cases.py``; it never pauses.

    Parameters
    ----------
    context
        Where the sessions are stated.
    nemo
        The NEMO.
    environment
        Takes the settings of that NEMO.
    """
    environment.setenv("NX_NEMO_ADDRESS_1", nemo.address)
    environment.setenv("NX_NEMO_TOKEN_1", HARVESTER)
    environment.setenv("NX_NEMO_SINCE_1", "2025-01-01")
    instruments = {
        pid: InstrumentEntry(
            pid=pid,
            filestore_path=pid,
            timezone="America/Denver",
            calendar="nemo-1",
            calendar_id=str(number),
        )
        for number, pid in enumerate(cases.TOOLS, start=1)
        if pid in cases.INSTRUMENTS
    }
    connect = partial(NemoClient, first_wait=0.0)
    calendar = NemoCalendar("nemo-1", context.settings, instruments, connect=connect)
    notes, sessions = CalendarNotes.on(context.jetstream), HarvestedSessions(context.store)
    return Harvest(context, calendar, notes, sessions)


@contextmanager
def nemo_or_skip(
    folder: Path, *, content: str = "facility", requirement: str = NEMO
) -> Iterator[Nemo]:
    """Run a NEMO, as :func:`running_nemo` does; where none can be had, the test is left out."""
    try:
        environment(requirement)
    except NemoUnavailableError as error:
        logging.getLogger(__name__).warning("%s", error)
        absent(requirement, "the package index gave none")
    with running_nemo(folder, content=content, requirement=requirement) as running_one:
        yield running_one
