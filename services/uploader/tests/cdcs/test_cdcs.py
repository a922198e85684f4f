"""CDCS: one record of each session there, whatever happens on the way."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from services.uploader.tests.cdcs.records import ATTEMPTS, ONE, TITLE, TWO

from nexuslims_contracts.record.model import Experiment
from nexuslims_shared.errors import SettingsError
from nexuslims_uploader.cdcs.destination import create
from nexuslims_uploader.cdcs.places import username_of
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.errors import (
    MisconfiguredError,
    RefusedError,
    TransientUploadError,
)
from nexuslims_uploader.testing import (
    FAULTS,
    Answer,
    DestinationBehaviour,
    Request,
    record_to_upload,
    small_record_xml,
)
from nexuslims_uploader.testing.cdcs import FakeCdcs


class TestBehaviour(DestinationBehaviour):
    @pytest.fixture
    def held(self, cdcs):
        return cdcs.held


def _posts(cdcs: FakeCdcs) -> int:
    return sum(one.method == "POST" and one.path == "/rest/data/" for one in cdcs.requests)


async def test_a_new_record_is_one_post_with_its_workspace(cdcs, destination) -> None:
    result = await destination.upload(ONE, {})
    assert result == UploadResult("1", f"{cdcs.url}/data?id=1")
    (record,) = cdcs.records.values()
    assert (record.title, record.template, record.workspace, record.owner) == (TITLE, 1, 1, 1)
    calls = [f"{one.method} {one.path}" for one in cdcs.requests]
    assert calls.count("POST /rest/data/") == 1
    assert not any("assign" in call for call in calls)
    await destination.upload(record_to_upload(session="file-2"), {})
    assert sum("template" in call or "workspace" in call for call in calls) == 2


async def test_the_same_bytes_are_not_sent_again(cdcs, destination) -> None:
    first = await destination.upload(ONE, {})
    assert await destination.upload(ONE, {"cdcs": first}) == first
    assert not any(one.method == "PATCH" for one in cdcs.requests)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("on", ["POST /rest/data/query/", "POST /rest/data/$", "GET /rest/"])
async def test_a_lost_request_leaves_one_record(cdcs, connect, fault, on) -> None:
    cdcs.fail(*[fault] * ATTEMPTS[on == "POST /rest/data/$" or "silent" in fault], on=on)
    with pytest.raises(TransientUploadError):
        await connect(patience=0.3).upload(ONE, {})
    await connect().upload(ONE, {})
    assert cdcs.held() == {"file-1": [ONE.xml]}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_lost_change_is_made_good(cdcs, connect, fault) -> None:
    first = await connect().upload(ONE, {})
    cdcs.fail(*[fault] * ATTEMPTS["silent" in fault], on="PATCH /rest/data/")
    with pytest.raises(TransientUploadError):
        await connect(patience=0.3).upload(TWO, {"cdcs": first})
    assert await connect().upload(TWO, {"cdcs": first}) == first
    assert cdcs.held() == {"file-1": [TWO.xml]}


async def test_two_uploaders_at_once_leave_one_record(cdcs, connect) -> None:
    for session in ("file-1", "file-2", "file-3"):
        record = record_to_upload(session=session)
        results = await asyncio.gather(*(connect().upload(record, {}) for _ in range(4)))
        assert len({result.record_id for result in results}) == 1
        assert cdcs.held()[session] == [record.xml]
    assert len(cdcs.records) == 3


async def test_a_post_that_arrives_late_is_cleared_away(cdcs, connect) -> None:
    """A server may finish what nobody waited for, after the record was made again."""
    first = await connect().upload(ONE, {})
    cdcs.put("file-1", ONE.xml.decode())
    assert await connect().upload(ONE, {"cdcs": first}) == first
    assert cdcs.held() == {"file-1": [ONE.xml]}


@pytest.mark.parametrize("slash", [False, True])
async def test_a_record_outside_the_workspace_is_put_into_it(cdcs, destination, slash) -> None:
    cdcs.assign_ends_in_slash = slash
    cdcs.put("file-1", ONE.xml.decode(), workspace=None)
    await destination.upload(ONE, {})
    assert cdcs.records[1].workspace == 1


async def test_the_current_version_of_the_template_of_that_title(cdcs, destination) -> None:
    other = {**cdcs.templates[0], "title": "AAA", "current": "7"}
    disabled = {**cdcs.templates[0], "is_disabled": True, "current": "8"}
    cdcs.templates[0] |= {"versions": ["1", "3"], "current": "3"}
    cdcs.templates[:0] = [other, disabled]
    cdcs.workspaces.insert(0, {"id": 2, "title": "AAA", "owner": "1", "is_public": False})
    await destination.upload(ONE, {})
    assert (cdcs.records[1].template, cdcs.records[1].workspace) == (3, 1)


async def test_a_place_that_is_gone_is_asked_for_again(cdcs, destination) -> None:
    await destination.upload(ONE, {})
    cdcs.templates[0] |= {"versions": ["3"], "current": "3"}
    cdcs.workspaces[0]["id"] = 5
    await destination.upload(record_to_upload(session="file-2"), {})
    assert (cdcs.records[2].template, cdcs.records[2].workspace) == (3, 5)


@pytest.mark.parametrize("kind", ["template", "workspace"])
@pytest.mark.parametrize("there", ["none", "two"])
async def test_a_place_that_is_not_there_or_twice_is_named(cdcs, destination, kind, there):
    listed = getattr(cdcs, f"{kind}s")
    listed[:] = [] if there == "none" else listed * 2
    with pytest.raises(MisconfiguredError, match=f"NX_CDCS_{kind.upper()}='") as caught:
        await destination.upload(ONE, {})
    assert await destination.check() == [caught.value.explanation]
    assert not cdcs.records


async def test_a_revoked_token_names_its_setting(cdcs, destination) -> None:
    assert await destination.check() == []
    cdcs.tokens.clear()
    with pytest.raises(MisconfiguredError, match="NX_CDCS_TOKEN") as caught:
        await destination.upload(ONE, {})
    assert "admin-token" not in str(caught.value)
    assert "NX_CDCS_TOKEN" in (await destination.check())[0]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("nan", "invalid input syntax for type json"),
        ("-Infinity", "invalid input syntax"),
        ("1e400", "invalid input syntax"),
        ("nan nm", ""),
    ],
)
async def test_a_value_that_cdcs_cannot_store_is_refused_for_good(cdcs, destination, value, says):
    record = record_to_upload(ONE.xml.replace(b">300.0<", f">{value}<".encode()))
    if not says:
        await destination.upload(record, {})
        return
    with pytest.raises(RefusedError, match=says):
        await destination.upload(record, {})
    assert not cdcs.records


async def test_a_record_against_the_schema_is_refused_for_good(cdcs, destination) -> None:
    bogus = record_to_upload(ONE.xml.replace(b"<title>", b"<bogus/><title>"))
    with pytest.raises(RefusedError, match=r"bogus.*not expected"):
        await destination.upload(bogus, {})
    first = await destination.upload(ONE, {})
    with pytest.raises(RefusedError, match=r"bogus.*not expected"):
        await destination.upload(bogus, {"cdcs": first})
    assert cdcs.held() == {"file-1": [ONE.xml]}


async def test_thirty_megabytes_of_words_that_repeat_arrive(cdcs, destination) -> None:
    one = b"<collaborator>" + b"the same words again " * 380_000 + b"</collaborator>"
    large = ONE.xml.replace(b"<instrument ", one * 4 + b"<instrument ")
    assert len(large) > 30_000_000
    await destination.upload(record_to_upload(large), {})
    assert cdcs.held() == {"file-1": [large]}


async def test_more_words_than_cdcs_indexes_are_refused(destination) -> None:
    words = b" ".join(b"%x" % number for number in range(300_000))
    large = re.sub(rb"<motivation>.*</motivation>", b"<motivation>%s</motivation>" % words, ONE.xml)
    with pytest.raises(RefusedError, match="too long for tsvector"):
        await destination.upload(record_to_upload(large), {})


async def test_no_workspace_if_set_so(cdcs, connect) -> None:
    await connect(assign_to_public_workspace=False).upload(ONE, {})
    assert cdcs.records[1].workspace is None
    assert not any("workspace" in request.path for request in cdcs.requests)


def _by(experimenter: str) -> bytes:
    return re.sub(rb"<experimenter>.*?<", b"<experimenter>%s<" % experimenter.encode(), ONE.xml)


async def test_records_belong_to_their_experimenters_if_set_so(cdcs, connect) -> None:
    destination = connect(user_owned_records=True)
    for number, name in enumerate(("J Doe (jdoe)", "New One (new)", "jdoe", "New One (new)")):
        xml = _by(name).replace(b"of file-1 up", b"of file-%d up" % number)
        await destination.upload(record_to_upload(xml, session=f"file-{number}"), {})
    assert [record.owner for record in cdcs.records.values()] == [3, 4, 3, 4]
    assert cdcs.users[4] == "new"


async def test_owners_want_a_superusers_token(connect) -> None:
    destination = connect(user_owned_records=True, token="user-token")  # noqa: S106 - a fake's
    with pytest.raises(MisconfiguredError, match="permission"):
        await destination.upload(ONE, {})
    assert "NX_CDCS_TOKEN" in (await destination.check())[0]


def test_usernames() -> None:
    names = ["Ned Land (ned)", "ned", "A (B) C (ned@x)", ""]
    assert [username_of(name) for name in names] == ["ned", "ned", "ned@x", ""]


async def test_previews_are_brought_once_and_renewed(cdcs, connect, tmp_path: Path) -> None:
    destination = connect(previews=True)
    record = record_to_upload(small_record_xml(datasets=2))
    picture = tmp_path / record.previews[0].path
    picture.parent.mkdir(parents=True)
    for content in (b"\x89PNG one", b"\x89PNG one", b"\x89PNG two"):
        picture.write_bytes(content)
        await destination.upload(record, {})
        (blob,) = cdcs.blobs.values()
        assert (blob.content, blob.workspace, blob.of) == (content, 1, {1})
    assert blob.filename.startswith("file-1.")
    assert blob.filename.endswith(".thumb.png")


async def test_a_picture_that_the_record_no_longer_has_is_taken_away(
    cdcs, connect, tmp_path: Path
) -> None:
    destination = connect(previews=True)
    two, one = (record_to_upload(small_record_xml(datasets=count)) for count in (2, 1))
    for preview in two.previews:
        picture = tmp_path / preview.path
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"\x89PNG")
    first = await destination.upload(two, {})
    assert len(cdcs.blobs) == 2
    await destination.upload(one, {"cdcs": first})
    assert len(cdcs.blobs) == 1


@pytest.mark.parametrize("previews", [True, False])
async def test_withdrawn_with_its_previews(cdcs, connect, tmp_path: Path, *, previews) -> None:
    """Also those that the record of today does not name, and where none are brought any more."""
    record = record_to_upload(small_record_xml(datasets=1))
    picture = tmp_path / record.previews[0].path
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"\x89PNG")
    await connect(previews=True).upload(record, {})
    cdcs.put_blob("file-1.0123456789abcdef.thumb.png", b"\x89PNG")
    theirs = [cdcs.put_blob(name, b"\x89PNG") for name in ("other.png", "file-10.a.thumb.png")]
    unreadable = replace(record, xml=b"", experiment=Experiment())
    await connect(previews=previews).withdraw(unreadable, {"cdcs": UploadResult("1")})
    assert cdcs.records == {}
    assert list(cdcs.blobs) == theirs


async def test_a_page_that_finds_nothing_is_not_the_service(destination, monkeypatch) -> None:
    """A proxy's 404 does not mean that the record is gone."""
    first = await destination.upload(ONE, {})
    page = Answer(404, b"<!doctype html><title>Not found</title>", "text/html")
    whole = FakeCdcs.handle

    def handle(fake: FakeCdcs, request: Request) -> Answer:
        return page if request.method == "DELETE" else whole(fake, request)

    monkeypatch.setattr(FakeCdcs, "handle", handle)
    with pytest.raises(MisconfiguredError, match="web page"):
        await destination.withdraw(ONE, {"cdcs": first})


async def test_a_server_that_fails_at_a_query_is_asked_again_later(destination, monkeypatch):
    """Its own trouble, though it speaks of a line as a refusal does."""
    trouble = Answer.json(500, {"message": "File x.py, line 12"})
    monkeypatch.setattr(FakeCdcs, "handle", lambda _, __: trouble)
    with pytest.raises(TransientUploadError):
        await destination.upload(ONE, {})


async def test_a_renamed_record_is_withdrawn_and_another_tools_is_not(cdcs, destination) -> None:
    first = await destination.upload(ONE, {})
    cdcs.records[1].title = "nicer"
    theirs = cdcs.put("file-1", "<a/>")
    await destination.withdraw(TWO, {"cdcs": first})
    assert list(cdcs.records) == [theirs]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_lost_deletion_is_made_good(cdcs, connect, fault) -> None:
    first = await connect().upload(ONE, {})
    cdcs.fail(*[fault] * ATTEMPTS["silent" in fault], on="DELETE /rest/data/")
    with pytest.raises(TransientUploadError):
        await connect(patience=0.3).withdraw(ONE, {"cdcs": first})
    await connect().withdraw(ONE, {"cdcs": first})
    assert cdcs.held() == {}


def test_settings_are_named(settings, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="NX_CDCS_URL is not set"):
        create(settings)
    monkeypatch.setenv("NX_CDCS_URL", "cdcs.example.org")
    monkeypatch.setenv("NX_CDCS_TOKEN", "two words")
    with pytest.raises(SettingsError, match=r"NX_CDCS_TOKEN=\(hidden\)"):
        create(settings)
    monkeypatch.setenv("NX_CDCS_URL", "https://cdcs.example.org")
    monkeypatch.setenv("NX_CDCS_TOKEN", "abc")
    assert create(settings).name == "cdcs"
