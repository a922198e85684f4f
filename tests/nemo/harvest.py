"""Harvesting that NEMO into an empty stream: our side of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.instruments import InstrumentEntry
from nexuslims_shared.service import ServiceContext, service_context
from nexuslims_shared.settings import Settings

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
