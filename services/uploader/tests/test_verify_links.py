"""Links of records are asked for as readers follow them."""

import httpx
import pytest

from nexuslims_shared.leases import MemoryLeases
from nexuslims_uploader.findings import LINKS
from nexuslims_uploader.testing import FakeDestination, small_record_xml
from nexuslims_uploader.verify import Verifier, sessions_with_uploads
from nexuslims_uploader.verify_files import FileVerifier
from nexuslims_uploader.verify_links import LinkVerifier, links_are_known

DATA, RAW = "https://data.example.org/nx", "https://raw.example.org"
LINKED = {
    f"{DATA}/Titan_TEM/A%20user/00000.dm3.thumb.png",
    f"{DATA}/Titan_TEM/A%20user/00000.dm3.json",
    f"{RAW}/Titan_TEM/A%20user/00000.dm3",
    "https://fake.example.org/file-1",
}


@pytest.fixture
async def facility(harness):
    harness.settings = harness.settings.model_copy(
        update={"data_url": f"{DATA}/", "instrument_data_url": RAW}
    )
    harness.fake = FakeDestination()
    harness.use(harness.fake)
    await harness.begin(small_record_xml())
    await harness.handle()
    harness.asked = []
    harness.status = {}
    return harness


async def verify(facility, *, links: bool = True):
    def answer(request: httpx.Request) -> httpx.Response:
        facility.asked.append((request.method, str(request.url)))
        status = facility.status.get(str(request.url), 200)
        if status == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(status)

    context = facility.context()
    verifier = Verifier(
        context,
        [facility.fake],
        MemoryLeases(),
        repair=False,
        files=FileVerifier(context, hashing=False, repair=False),
        links=LinkVerifier(context.settings, httpx.MockTransport(answer)) if links else None,
    )
    result = await verifier.verify(await sessions_with_uploads(facility.store), lambda *_: None)
    return [(one.problem, one.path) for one in result.findings if one.destination == LINKS]


async def test_every_link_is_asked_for_by_its_head(facility) -> None:
    assert links_are_known(facility.settings)
    assert await verify(facility) == []
    assert len(facility.asked) == len(LINKED)
    assert set(facility.asked) == {("HEAD", link) for link in LINKED}


@pytest.mark.parametrize("link", sorted(LINKED))
async def test_a_link_that_does_not_answer_is_listed(facility, link) -> None:
    facility.status[link] = 404
    assert await verify(facility) == [("missing", link)]


@pytest.mark.parametrize("status", [302, 401, 403, 405])
async def test_a_link_behind_a_login_answers(facility, status) -> None:
    facility.status = dict.fromkeys(LINKED, status)
    assert await verify(facility) == []


@pytest.mark.parametrize("status", [0, 503])
async def test_a_server_that_is_away_is_one_finding(facility, status) -> None:
    facility.status = {link: status for link in LINKED if link.startswith(DATA)}
    ((problem, link),) = await verify(facility)
    assert (problem, link.startswith(DATA)) == ("unknown", True)
    assert len(facility.asked) == len(LINKED) - 1


async def test_nobody_asks_without_the_addresses(facility) -> None:
    settings = facility.settings.model_copy(update={"data_url": "", "instrument_data_url": ""})
    assert not links_are_known(settings)
    assert await verify(facility, links=False) == []
    assert facility.asked == []
