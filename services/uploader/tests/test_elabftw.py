"""eLabFTW: one experiment of each session there, with its record, whatever happens on the way."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_shared.network import Network
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.elabftw.client import ElabftwClient
from nexuslims_uploader.elabftw.destination import ElabftwDestination
from nexuslims_uploader.elabftw.entry import HEADING, body_of, title_of
from nexuslims_uploader.elabftw.settings import ElabftwSettings
from nexuslims_uploader.elabftw.text import block_digest, merged_text
from nexuslims_uploader.errors import MisconfiguredError, RefusedError, TransientUploadError
from nexuslims_uploader.notebook import COMMENT, KEY, key_of
from nexuslims_uploader.testing import (
    FAULTS,
    HOSTILE,
    Answer,
    DestinationBehaviour,
    EditableDestinationBehaviour,
    record_to_upload,
    small_record_xml,
)
from nexuslims_uploader.testing.elabftw import Entry, FakeElabftw

ONE, TWO = (record_to_upload(small_record_xml(title)) for title in ("One", "Two"))
SESSIONS = ("file-1", "file-2", "file-3")
CDCS = {"cdcs": UploadResult("17", "https://cdcs.example.org/data?id=17")}


@pytest.fixture
async def elabftw() -> AsyncIterator[FakeElabftw]:
    async with FakeElabftw().running() as running:
        yield running


@pytest.fixture
async def connect(elabftw) -> AsyncIterator[Callable[..., ElabftwDestination]]:
    """Makes destinations: uploader processes of their own."""
    made = []

    def make(*, patience: float = 10, **changed: object) -> ElabftwDestination:
        settings = ElabftwSettings(**{"url": elabftw.url, "api_key": "1-abc", **changed})  # type: ignore[arg-type]
        client = ElabftwClient(settings, Network(http_timeout=patience))
        made.append(ElabftwDestination(client, settings))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def destination(connect) -> ElabftwDestination:
    return connect()


@pytest.fixture
def held(elabftw):
    """The attachments of ours at experiments that are not deleted, by session."""

    def by_session() -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for entry in elabftw.visible():
            fields = entry.content["metadata"]["extra_fields"]
            key = fields.get(KEY, {}).get("value")
            session = next(one for one in SESSIONS if key_of(one) == key)
            files = [one for one in entry.uploads if (one.state, one.comment) == (1, COMMENT)]
            found.setdefault(session, []).extend(one.content for one in files)
        return found

    return by_session


class TestBehaviour(DestinationBehaviour):
    """What every destination must do."""


def experiment(elabftw: FakeElabftw) -> Entry:
    (entry,) = elabftw.visible()
    return entry


class TestWhatPeopleAdd(EditableDestinationBehaviour):
    """To the text: before our part, in it, and after it; to the fields, ours and others."""

    @pytest.fixture(params=["before", "in it", "after", "another field", "our field"])
    def edit(self, request, elabftw):
        def add(remark: str) -> None:
            content = experiment(elabftw).content
            fields = content["metadata"]["extra_fields"]
            match request.param:
                case "before":
                    content["body"] = f"<p>{remark}</p>{content['body']}"
                case "in it":
                    content["body"] = content["body"].replace("</ul>", f"<li>{remark}</li></ul>", 1)
                case "after":
                    content["body"] += f"<p>{remark}</p>"
                case "another field":
                    fields[remark] = {"type": "text", "value": remark}
                case _:
                    fields["User"]["value"] += f", {remark}"

        return add

    @pytest.fixture
    def remarks(self, elabftw):
        def read() -> set[str]:
            content = experiment(elabftw).content
            text = content["body"] + str(content["metadata"]["extra_fields"])
            return set(re.findall(r"remark \d|amorphous|before|after", text))

        return read


async def test_our_part_of_a_text_is_there_once_and_current(elabftw, destination) -> None:
    first = await destination.upload(ONE, {})
    entry = experiment(elabftw)
    entry.content["body"] = f"<p>mine</p>{entry.content['body']}<p>too</p>"
    moved = replace(TWO, start=TWO.start + timedelta(hours=1))
    second = await destination.upload(moved, {"elabftw": first})
    body = entry.content["body"]
    assert body.count(HEADING) == 1
    assert body.startswith("<p>mine</p>")
    assert body.endswith("<p>too</p>")
    assert "10:00" in body
    assert "As a person changed it" not in body
    requests = len(elabftw.requests)
    await destination.upload(moved, {"elabftw": second})
    assert {one.method for one in elabftw.requests[requests:]} == {"GET"}


async def test_what_an_earlier_release_wrote_is_replaced(elabftw, destination) -> None:
    """It left no digest of its text; what people wrote outside of our part is still kept."""
    first = await destination.upload(ONE, {})
    entry = experiment(elabftw)
    entry.content["body"] += "<p>mine</p>"
    former = UploadResult(first.record_id, written=ONE.sha256)
    await destination.upload(
        replace(TWO, start=TWO.start + timedelta(hours=1)), {"elabftw": former}
    )
    assert entry.content["body"].count("Session Details") == 1
    assert entry.content["body"].endswith("<p>mine</p>")


async def test_a_title_that_a_person_gave_stays(elabftw, destination) -> None:
    first = await destination.upload(ONE, {})
    experiment(elabftw).content["title"] = "Grain boundaries of Ni"
    await destination.upload(TWO, {"elabftw": first})
    assert experiment(elabftw).content["title"] == "Grain boundaries of Ni"


@given(st.text(), st.text(), st.booleans())
def test_whatever_people_write_around_our_part_stays(before, after, edited) -> None:
    key = key_of("file-1")
    ours, new = body_of(ONE, {}), body_of(ONE, {"cdcs": UploadResult("1", "https://c.org/1")})
    there = before + (ours.replace("<ul>", "<ul><li>mine</li>") if edited else ours) + after
    written = block_digest(ours, key)
    merged = merged_text(new, there, key, written)
    assert merged.startswith(before + new)
    assert merged.endswith(after)
    assert merged.count("<li>mine</li>") == there.count("<li>mine</li>")
    assert merged_text(new, merged, key, block_digest(merged, key)) == merged


async def test_an_experiment_is_written_as_the_incumbent_writes_it(elabftw, connect) -> None:
    destination = connect(experiment_category=3, experiment_status=4)
    result = await destination.upload(ONE, CDCS)
    assert result == UploadResult("1", f"{elabftw.url}/experiments.php?mode=view&id=1")
    entry = elabftw.experiments[1]
    assert entry.content["title"] == "NexusLIMS Experiment - 2018-11-13_FEI-Titan-TEM_204"
    assert (entry.content["category"], entry.content["status"]) == (3, 4)
    assert entry.content["content_type"] == 1
    assert entry.tags == ["NexusLIMS", "FEI-Titan-TEM", "One"]
    body = entry.content["body"]
    assert "<strong>Session ID:</strong> https://calendar.example.org/204" in body
    assert '<a href="https://cdcs.example.org/data?id=17">View in CDCS</a>' in body
    fields = entry.content["metadata"]["extra_fields"]
    values = {name: (one["type"], one["value"]) for name, one in fields.items()}
    assert values["Start Time"] == ("datetime-local", "2018-11-13T09:00")
    assert values["End Time"] == ("datetime-local", "2018-11-13T12:00")
    assert values["CDCS Record"] == ("url", "https://cdcs.example.org/data?id=17")
    (file,) = entry.uploads
    assert (file.name, file.comment, file.content) == (ONE.file_name, COMMENT, ONE.xml)


def test_what_people_write_is_text_in_html() -> None:
    record = record_to_upload(small_record_xml(HOSTILE))
    links = {
        "cdcs": UploadResult("1", "javascript:alert(1)"),
        "b": UploadResult("2", "http://b/?<"),
    }
    body = body_of(record, links)
    assert "<script>" not in body
    assert "javascript:" not in body
    assert 'href="http://b/?&lt;"' in body


def test_no_text_turns_what_stands_behind_it_about() -> None:
    body = body_of(ONE, {"\u202ecdcs": UploadResult("1", "http://b/")})
    assert r">View in \u202ecdcs<" in body


async def test_the_same_record_changes_nothing(elabftw, destination) -> None:
    first = await destination.upload(ONE, CDCS)
    before = len(elabftw.requests)
    assert await destination.upload(ONE, CDCS | {"elabftw": first}) == first
    assert {one.method for one in elabftw.requests[before:]} == {"GET"}


@pytest.mark.parametrize("fault", ["cut before", "cut after"])
@pytest.mark.parametrize("number", range(12))
async def test_a_crash_at_any_request_is_completed_by_the_next_upload(
    elabftw, connect, held, number, fault
) -> None:
    """The process dies there: nothing is asked again, and the events know of nothing."""
    seen = 0

    def choose(request):
        nonlocal seen
        seen += 1
        return fault if seen > number else None

    elabftw.choose = choose
    try:
        await connect(patience=1).upload(ONE, {})
    except TransientUploadError:
        assert seen > number
    elabftw.choose = lambda _: None
    await connect().upload(ONE, {})
    assert held() == {"file-1": [ONE.xml]}
    assert elabftw.visible()[0].content["metadata"]["extra_fields"]["Record digest"]["value"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("on", ["POST /api/v2/experiments$", "POST .*/uploads", "PATCH ", "GET "])
async def test_a_lost_request_leaves_one_record(elabftw, connect, held, fault, on) -> None:
    elabftw.fail(*[fault] * 3, on=on)
    try:
        await connect(patience=0.3).upload(ONE, {})
    except TransientUploadError:
        pass
    else:
        assert "silent" not in fault
    elabftw._orders.clear()
    await connect().upload(ONE, {})
    assert held() == {"file-1": [ONE.xml]}


@pytest.mark.parametrize("tells_hash", [True, False])
async def test_a_rebuilt_record_takes_the_place_of_its_attachment(
    elabftw, destination, held, *, tells_hash
) -> None:
    elabftw.tells_hash = tells_hash
    first = await destination.upload(ONE, {})
    await destination.upload(TWO, {"elabftw": first})
    await destination.upload(TWO, {"elabftw": first})
    assert held() == {"file-1": [TWO.xml]}
    assert len([one for one in elabftw.experiments[1].uploads if one.state == 1]) == 1


async def test_what_people_add_stays(elabftw, destination) -> None:
    first = await destination.upload(ONE, {})
    entry = elabftw.experiments[1]
    entry.content["metadata"]["extra_fields"]["Mood"] = {"type": "text", "value": "good"}
    entry.content["metadata"]["elabftw"]["extra_fields_groups"].append({"id": 7, "name": "Mine"})
    entry.tags.append("mine")
    entry.uploads.append(replace(entry.uploads[0], id=99, name="notes.txt", comment="mine"))
    await destination.upload(TWO, {"elabftw": first})
    assert entry.content["metadata"]["extra_fields"]["Mood"]["value"] == "good"
    groups = entry.content["metadata"]["elabftw"]["extra_fields_groups"]
    assert [one["id"] for one in groups] == [1, 2, 7]
    assert "mine" in entry.tags
    assert any(one.comment == "mine" for one in entry.uploads)


async def test_an_experiment_of_the_incumbent_is_taken_over(elabftw, destination, held) -> None:
    fields = {"Session ID": {"type": "text", "value": "https://calendar.example.org/204"}}
    other = elabftw.put(title=title_of(ONE), body="", metadata={"extra_fields": {}})
    theirs = elabftw.put(title=title_of(ONE), body="", metadata={"extra_fields": fields})
    result = await destination.upload(ONE, {})
    assert result.record_id == str(theirs)
    del elabftw.experiments[other]
    assert held() == {"file-1": [ONE.xml]}


async def test_one_that_was_deleted_there_is_made_again(elabftw, destination, held) -> None:
    first = await destination.upload(ONE, {})
    elabftw.experiments[1].state = 3
    again = await destination.upload(ONE, {"elabftw": first})
    assert again.record_id != first.record_id
    assert held() == {"file-1": [ONE.xml]}


async def test_a_post_that_arrives_late_is_cleared_away(elabftw, destination, held) -> None:
    """A server may finish what nobody waited for, after the experiment was made again."""
    first = await destination.upload(ONE, {})
    posted = next(one for one in elabftw.requests if one.method == "POST").json()
    elabftw.put(**posted)
    assert await destination.upload(ONE, {"elabftw": first}) == first
    assert held() == {"file-1": [ONE.xml]}
    assert len(elabftw.visible()) == 1


async def test_a_copy_that_somebody_made_is_left_alone(elabftw, destination) -> None:
    first = await destination.upload(ONE, {})
    copy = elabftw.put(**elabftw.experiments[1].content)
    assert await destination.upload(TWO, {"elabftw": first}) == first
    assert await destination.upload(TWO, {}) == first
    assert elabftw.experiments[copy].state == 1
    assert elabftw.experiments[copy].uploads == []


async def test_two_uploaders_at_once_leave_one_experiment(elabftw, connect, held) -> None:
    results = await asyncio.gather(*(connect().upload(ONE, {}) for _ in range(4)))
    assert len({result.record_id for result in results}) == 1
    assert list(held()) == ["file-1"]
    assert set(held()["file-1"]) == {ONE.xml}
    assert len(elabftw.visible()) == 1
    await connect().upload(ONE, {})
    assert held() == {"file-1": [ONE.xml]}


async def test_another_facilitys_session_of_the_same_name_is_not_ours(elabftw, connect) -> None:
    """Two facilities may share an eLabFTW, and both have a session 204."""
    theirs = record_to_upload(ONE.xml.replace(b"calendar.example", b"calendar.elsewhere"))
    first, second = await connect().upload(theirs, {}), await connect().upload(ONE, {})
    assert first.record_id != second.record_id
    assert await connect().upload(TWO, {}) == second
    assert await connect().upload(theirs, {"elabftw": first}) == first
    await connect().withdraw(TWO, {})
    assert [str(one.id) for one in elabftw.visible()] == [first.record_id]


@pytest.mark.parametrize("known", [True, False])
async def test_one_whose_fields_were_cleared_is_found_by_its_text(
    elabftw, destination, held, *, known
) -> None:
    first = await destination.upload(ONE, {})
    elabftw.experiments[1].content["metadata"] = None
    assert await destination.upload(TWO, {"elabftw": first} if known else {}) == first
    assert held() == {"file-1": [TWO.xml]}


async def test_one_that_is_locked_is_left_and_named(elabftw, destination, held) -> None:
    first = await destination.upload(ONE, {})
    elabftw.experiments[1].content["locked"] = 1
    assert await destination.upload(ONE, {"elabftw": first}) == first
    with pytest.raises(RefusedError, match="experiment 1 is locked by a user"):
        await destination.upload(TWO, {"elabftw": first})
    assert held() == {"file-1": [ONE.xml]}


async def test_one_that_does_not_go_away_is_named(elabftw, destination) -> None:
    first = await destination.upload(ONE, {})
    elabftw.deletes = False
    with pytest.raises(RefusedError, match="still shown"):
        await destination.withdraw(ONE, {"elabftw": first})


async def test_a_withdrawn_record_leaves_no_bytes(elabftw, destination) -> None:
    first = await destination.upload(TWO, {})
    await destination.upload(ONE, {"elabftw": first})
    assert [one.state for one in elabftw.experiments[1].uploads] == [2, 1]
    await destination.withdraw(ONE, {"elabftw": first})
    await destination.withdraw(ONE, {})
    assert elabftw.visible() == []
    assert not elabftw.experiments[1].uploads


async def test_a_tag_that_is_refused_costs_no_record(elabftw, destination, held) -> None:
    elabftw.new_tags = False
    await destination.upload(ONE, {})
    assert held() == {"file-1": [ONE.xml]}


async def test_keys_that_do_not_let_us_write_are_named(elabftw, connect) -> None:
    assert await connect().check() == []
    (reason,) = await connect(api_key="2-def").check()
    assert "NX_ELABFTW_API_KEY" in reason
    with pytest.raises(MisconfiguredError, match="NX_ELABFTW_API_KEY"):
        await connect(api_key="2-def").upload(ONE, {})
    elabftw.keys.clear()
    (reason,) = await connect().check()
    assert "NX_ELABFTW_API_KEY" in reason
    assert "1-abc" not in reason


async def test_a_refused_record_is_reported(elabftw, connect, monkeypatch) -> None:
    monkeypatch.setattr(FakeElabftw, "handle", _refusing)
    with pytest.raises(RefusedError, match="too large"):
        await connect().upload(ONE, {})


def _refusing(fake: FakeElabftw, request):
    if request.method == "POST":
        return Answer.json(413, {"code": 413, "message": "too large"})
    del fake
    return Answer.json(200, [])


async def test_a_large_record_arrives(elabftw, destination, held) -> None:
    xml = small_record_xml("x").replace(
        b"</Experiment>", b"<!--" + b"x" * 30_000_000 + b"--></Experiment>"
    )
    await destination.upload(replace(ONE, xml=xml), {})
    (content,) = held()["file-1"]
    assert len(content) == len(xml)
