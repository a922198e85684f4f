"""A CDCS, and destinations that speak to it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from nexuslims_shared.network import Network
from nexuslims_uploader.cdcs.client import CdcsClient
from nexuslims_uploader.cdcs.destination import CdcsDestination
from nexuslims_uploader.cdcs.previews import Previews
from nexuslims_uploader.cdcs.settings import CdcsSettings
from nexuslims_uploader.testing.cdcs import FakeCdcs


@pytest.fixture
async def cdcs() -> AsyncIterator[FakeCdcs]:
    async with FakeCdcs().running() as running:
        yield running


@pytest.fixture
async def connect(cdcs, tmp_path: Path) -> AsyncIterator[Callable[..., CdcsDestination]]:
    """Makes destinations: uploader processes of their own."""
    made = []

    def make(*, patience: float = 10, **changed: object) -> CdcsDestination:
        given = {"url": cdcs.url, "token": "admin-token", **changed}
        settings = CdcsSettings(**given)  # type: ignore[arg-type]
        client = CdcsClient(settings, Network(http_timeout=patience))
        made.append(CdcsDestination(client, settings, Previews(client, tmp_path)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def destination(connect) -> CdcsDestination:
    return connect()
