"""LabArchives: one page of each session there, with its record, whatever happens on the way."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from nexuslims_shared.leases import MemoryLeases
from nexuslims_shared.network import Network
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.destination_calls import DestinationCalls
from nexuslims_uploader.errors import (
    MisconfiguredError,
    PermanentUploadError,
    RefusedError,
    TransientUploadError,
)
from nexuslims_uploader.guarded_calls import Deferred, GuardedCalls
from nexuslims_uploader.labarchives.client import LabarchivesClient
from nexuslims_uploader.labarchives.destination import LabarchivesDestination
from nexuslims_uploader.labarchives.settings import LabarchivesSettings
from nexuslims_uploader.notebook import COMMENT
from nexuslims_uploader.testing import (
    FAULTS,
    Answer,
    DestinationBehaviour,
    FakeDestination,
    record_to_upload,
    small_record_xml,
)
from nexuslims_uploader.testing.labarchives import (
    FakeLabarchives,
    complain,
    complain_as_before,
)

ONE, TWO = (record_to_upload(small_record_xml(title)) for title in ("One", "Two"))
SESSIONS = ("file-1", "file-2", "file-3")
CDCS = {"cdcs": UploadResult("17", "https://cdcs.example.org/data?id=17")}
NAME = "2018-11-13 — https://calendar.example.org/204"
PLACE = f"NexusLIMS Records/FEI-Titan-TEM/{NAME}"


@pytest.fixture
async def labarchives() -> AsyncIterator[FakeLabarchives]:
    async with FakeLabarchives().running() as running:
        yield running


@pytest.fixture
async def connect(labarchives, tmp_path) -> AsyncIterator[Callable[..., LabarchivesDestination]]:
    """Makes destinations: uploader processes of their own."""
    made = []

    def make(*, patience: float = 10, late: float = 0, **changed: object) -> LabarchivesDestination:
        own = {
            "url": f"{labarchives.url}/api", "access_key_id": labarchives.key_id,
            "access_password": labarchives.password, "user_id": labarchives.user,
            "notebook_id": labarchives.notebook, "pause": 0,
        }  # fmt: skip
        settings = LabarchivesSettings(**(own | changed))  # type: ignore[arg-type]
        network = Network(http_timeout=patience)
        client = LabarchivesClient(settings, network, now=lambda: time.time() - late)
        made.append(LabarchivesDestination(client, settings, tmp_path))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def destination(connect) -> LabarchivesDestination:
    return connect()


@pytest.fixture
def held(labarchives):
    return lambda: labarchives.held(SESSIONS)


class TestBehaviour(DestinationBehaviour):
    """What every destination must do."""


async def test_a_page_is_written_as_the_incumbent_writes_it(labarchives, destination) -> None:
    result = await destination.upload(ONE, CDCS)
    (page,) = labarchives.pages()
    assert labarchives.path(page.id) == PLACE
    assert result == UploadResult(page.id, f"{labarchives.url}/#/{labarchives.notebook}/{page.id}")
    text, file = labarchives.on(page.id)
    html = text.content.decode()
    assert "<h1>NexusLIMS Microscopy Session</h1>" in html
    assert "<strong>Session ID:</strong> https://calendar.example.org/204" in html
    assert "<strong>Start:</strong> 2018-11-13T09:00:00-07:00" in html
    assert '<a href="https://cdcs.example.org/data?id=17">View in CDCS</a>' in html
    assert "<li>Titan_TEM/A user/00000.dm3</li>" in html
    assert (file.name, file.caption, file.content) == (ONE.file_name, COMMENT, ONE.xml)


async def test_the_same_record_changes_nothing(labarchives, destination) -> None:
    first = await destination.upload(ONE, CDCS)
    before = len(labarchives.requests)
    assert await destination.upload(ONE, CDCS | {"labarchives": first}) == first
    asked = [one.path.removeprefix("/api/") for one in labarchives.requests[before:]]
    assert asked == [
        "tree_tools/get_tree_level", "tree_tools/get_entries_for_page", "entries/entry_attachment",
    ]  # fmt: skip


@pytest.mark.parametrize("fault", ["cut before", "cut after"])
@pytest.mark.parametrize("number", range(9))
async def test_a_crash_at_any_request_is_completed_by_the_next_upload(
    labarchives, connect, held, number, fault
) -> None:
    """The process dies there: nothing is asked again, and the events know of nothing."""
    seen = 0

    def choose(request):
        nonlocal seen
        seen += 1
        return fault if seen > number else None

    labarchives.choose = choose
    try:
        await connect(patience=1).upload(ONE, {})
    except TransientUploadError:
        assert seen > number
    labarchives.choose = lambda _: None
    await connect().upload(ONE, {})
    assert held() == {"file-1": [ONE.xml]}
    assert len(labarchives.pages()) == 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "on", ["GET .*/insert_node", "POST .*/add_entry", "POST .*/add_attach", ""]
)
async def test_a_lost_request_leaves_one_record(labarchives, connect, held, fault, on) -> None:
    labarchives.fail(*[fault] * 3, on=on)
    try:
        await connect(patience=0.3).upload(ONE, {})
    except TransientUploadError:
        pass
    else:
        assert "silent" not in fault
    labarchives._orders.clear()
    await connect().upload(ONE, {})
    assert held() == {"file-1": [ONE.xml]}
    assert len(labarchives.places) == 3


async def test_a_rebuilt_record_takes_the_place_of_the_former(labarchives, destination) -> None:
    first = await destination.upload(ONE, {})
    moved = replace(TWO, start=TWO.start + timedelta(days=1))
    assert await destination.upload(moved, {"labarchives": first}) == first
    (page,) = labarchives.pages()
    assert page.name.startswith("2018-11-14 — ")
    text, file = labarchives.on(page.id)
    assert TWO.sha256 in text.content.decode()
    assert ONE.sha256 not in text.content.decode()
    assert (file.content, file.versions) == (TWO.xml, [ONE.xml])


async def test_a_page_that_people_moved_or_renamed_stays_the_one(
    labarchives, destination, held
) -> None:
    first = await destination.upload(ONE, {})
    labarchives.places[first.record_id].name = "My best day"
    assert await destination.upload(TWO, {"labarchives": first}) == first
    assert held() == {"file-1": [TWO.xml]}
    assert labarchives.places[first.record_id].name == "My best day"


async def test_what_people_add_stays(labarchives, destination, held) -> None:
    first = await destination.upload(ONE, {})
    labarchives.add(first.record_id, "text entry", b"<p>Nice sample!</p>")
    labarchives.add(first.record_id, "Attachment", b"1,2", "mine.csv", "my numbers")
    await destination.upload(TWO, {"labarchives": first})
    contents = [one.content for one in labarchives.on(first.record_id)]
    assert contents[2:] == [b"<p>Nice sample!</p>", b"1,2"]
    assert held() == {"file-1": [TWO.xml]}


async def test_a_page_of_the_incumbent_is_taken_over(labarchives, destination, held) -> None:
    top = labarchives.put("0", "NexusLIMS Records", is_page=False)
    folder = labarchives.put(top, "FEI-Titan-TEM", is_page=False)
    theirs = labarchives.put(folder, NAME, is_page=True)
    text = "<h1>NexusLIMS Microscopy Session</h1><li>Session ID: https://calendar.example.org/204"
    labarchives.add(theirs, "text entry", text.encode())
    labarchives.add(theirs, "Attachment", b"<old/>", "old.xml", COMMENT)
    result = await destination.upload(ONE, {})
    assert result.record_id == theirs
    assert held() == {"file-1": [ONE.xml]}
    assert len(labarchives.on(theirs)) == 2


async def test_a_page_that_is_somebodys_is_left_alone(labarchives, destination, held) -> None:
    top = labarchives.put("0", "NexusLIMS Records", is_page=False)
    folder = labarchives.put(top, "FEI-Titan-TEM", is_page=False)
    theirs = labarchives.put(folder, NAME, is_page=True)
    labarchives.add(theirs, "text entry", b"<p>My notes on https://calendar.example.org/204")
    await destination.upload(ONE, {})
    assert held() == {NAME: [], "file-1": [ONE.xml]}


async def test_a_folder_that_is_gone_is_made_again(labarchives, destination, held) -> None:
    await destination.upload(ONE, {})
    labarchives.places.clear()
    labarchives.parts.clear()
    await destination.upload(TWO, {})
    assert held() == {"file-1": [TWO.xml]}


async def test_a_page_called_as_a_folder_is_no_folder(labarchives, destination, held) -> None:
    labarchives.put("0", "NexusLIMS Records", is_page=True)
    await destination.upload(ONE, {})
    assert held() == {"file-1": [ONE.xml]}


async def test_a_withdrawn_record_is_out_of_sight(labarchives, destination) -> None:
    first = await destination.upload(ONE, {})
    await destination.upload(TWO, {})
    await destination.withdraw(TWO, {"labarchives": first})
    await destination.withdraw(TWO, {})
    assert labarchives.pages() == []
    assert labarchives.path(first.record_id).startswith("API Deleted Items/")
    texts = b"".join(one.content for one in labarchives.on(first.record_id))
    assert b"Two" not in texts
    assert b"Experiment" not in texts
    again = await destination.upload(ONE, {"labarchives": first})
    assert again.record_id != first.record_id


@pytest.mark.parametrize("number", range(8))
async def test_a_crash_while_withdrawing_is_completed(labarchives, connect, held, number) -> None:
    await connect().upload(ONE, {})
    seen = 0

    def choose(request):
        nonlocal seen
        seen += 1
        return "cut after" if seen > number else None

    labarchives.choose = choose
    try:
        await connect(patience=1).withdraw(ONE, {})
    except TransientUploadError:
        assert seen > number
    labarchives.choose = lambda _: None
    await connect().withdraw(ONE, {})
    assert held() == {}


async def test_a_page_that_does_not_move_is_reported(labarchives, destination, monkeypatch) -> None:
    await destination.upload(ONE, {})
    page = labarchives.pages()[0]

    def stubborn(fake, request):
        if request.path.endswith("/update_node"):
            return Answer(200, b"<tree-tools/>", "application/xml")
        return handle(fake, request)

    handle = FakeLabarchives.handle
    monkeypatch.setattr(FakeLabarchives, "handle", stubborn)
    with pytest.raises(RefusedError, match="by hand") as caught:
        await destination.withdraw(ONE, {})
    assert page.id in str(caught.value)


async def test_calls_keep_their_pace(labarchives, connect) -> None:
    """Also between two sessions, and when they are repeated."""
    destination = connect(pause=0.05)
    labarchives.fail("broken", on="GET .*/get_tree_level")
    await destination.upload(ONE, {})
    other = record_to_upload(session="file-2", file_name="2.xml")
    await destination.upload(other, {})
    moments = labarchives.moments
    assert len(moments) > 12
    assert min(after - before for before, after in pairwise(moments)) >= 0.05


@pytest.mark.parametrize("tell", [complain, complain_as_before])
@pytest.mark.parametrize("status", [200, 401, 404])
@pytest.mark.parametrize(
    ("code", "kind", "remedy"),
    [
        ("4501", MisconfiguredError, "NX_LABARCHIVES_NOTEBOOK_ID"),
        ("4506", MisconfiguredError, "NX_LABARCHIVES_ACCESS_KEY_ID"),
        ("4514", MisconfiguredError, "NX_LABARCHIVES_ACCESS_KEY_ID"),
        ("4520", MisconfiguredError, "NX_LABARCHIVES_ACCESS_KEY_ID"),
        ("4504", TransientUploadError, "clock"),
        ("4999", RefusedError, "4999"),
    ],
)
async def test_errors_are_read_whatever_the_status(  # noqa: PLR0917 - a table
    labarchives, destination, tell, status, code, kind, remedy
) -> None:
    labarchives.error = tell(status, code, "because test_password & uid-1=")
    with pytest.raises(kind, match=remedy) as caught:
        await destination.upload(ONE, {})
    assert "test_password" not in str(caught.value)
    assert "uid-1=" not in str(caught.value)


async def test_a_server_error_passes(labarchives, destination) -> None:
    labarchives.error = complain(500, "5000", "out of order")
    with pytest.raises(TransientUploadError, match="out of order"):
        await destination.upload(ONE, {})


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(200, b"<!doctype html><p>Log in", "text/html"), MisconfiguredError),
        (Answer(200, b"<entries><entry>", "application/xml"), TransientUploadError),
        (Answer(302, b"", headers={"Location": "https://sso.example.org"}), PermanentUploadError),
        (Answer(404, b"nothing", "text/plain"), RefusedError),
        (Answer(429, b"slow down", "text/plain"), TransientUploadError),
        (Answer(503, b"<html>Maintenance", "text/html"), TransientUploadError),
    ],
)
async def test_answers_that_are_none(labarchives, destination, answer, kind) -> None:
    labarchives.error = answer
    with pytest.raises(kind):
        await destination.upload(ONE, {})


async def test_entities_are_not_resolved(labarchives, destination, tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from the disk")
    bomb = f'<!DOCTYPE x [<!ENTITY a SYSTEM "file://{secret}">]><error><msg>&a;</msg></error>'
    labarchives.error = Answer(400, bomb.encode(), "application/xml")
    with pytest.raises(RefusedError) as caught:
        await destination.upload(ONE, {})
    assert "from the disk" not in str(caught.value)


async def test_what_is_set_up_wrongly_is_named(labarchives, connect) -> None:
    assert await connect().check() == []
    for setting, wrong, named in (
        ("notebook_id", "other", "NX_LABARCHIVES_NOTEBOOK_ID"),
        ("access_password", "wrong", "_ACCESS_PASSWORD"),
        ("user_id", "nobody", "_USER_ID"),
        ("url", labarchives.url, "NX_LABARCHIVES_URL"),
    ):
        (reason,) = await connect(**{setting: wrong}).check()
        assert named in reason, setting
        assert labarchives.password not in reason
    (reason,) = await connect(late=600).check()
    assert "clock" in reason


async def test_no_secret_is_in_a_log(labarchives, connect, caplog) -> None:
    caplog.set_level("DEBUG")
    labarchives.fail("cut before", "broken", "cut after")
    await connect().upload(ONE, {})
    signatures = {one.query["sig"] for one in labarchives.requests}
    assert labarchives.password not in caplog.text
    assert not any(signature in caplog.text for signature in signatures)


async def test_a_large_record_arrives(destination, held) -> None:
    xml = small_record_xml("x").replace(
        b"</Experiment>", b"<!--" + b"x" * 30_000_000 + b"--></Experiment>"
    )
    record = replace(ONE, xml=xml)
    first = await destination.upload(record, {})
    await destination.upload(record, {"labarchives": first})
    (content,) = held()["file-1"]
    assert len(content) == len(xml)


class Slow(FakeDestination):
    """Takes a turn of the loop for each call, and counts those under way."""

    busy = most = 0

    async def upload(self, record, previous):
        Slow.busy += 1
        Slow.most = max(Slow.most, Slow.busy)
        for _ in range(5):
            await asyncio.sleep(0)
        Slow.busy -= 1
        return await super().upload(record, previous)


async def test_one_at_a_time_waits_in_line_and_for_other_processes() -> None:
    slow, leases = Slow("alone", one_at_a_time=True), MemoryLeases()
    calls = DestinationCalls([slow], GuardedCalls(["alone"]), leases)
    await asyncio.gather(*(calls.upload("alone", ONE, {}) for _ in range(3)))
    assert Slow.most == 1
    async with leases.hold("destination.alone"):
        outcome = await calls.upload("alone", ONE, {})
    assert isinstance(outcome, Deferred)
    assert not outcome.lasting
    assert len(slow.calls) == 3
