"""CDCS: what the settings say reaches records that are there, by their next change or a repair."""

from dataclasses import replace
from pathlib import Path

import pytest
from services.uploader.tests.cdcs.records import ONE, THEIRS, TITLE, TWO

from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.record.writer import write_record
from nexuslims_uploader.cdcs import migration
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.errors import EditedError
from nexuslims_uploader.testing import record_to_upload, small_record_xml
from nexuslims_uploader.testing.cdcs import FakeCdcs


def release_template(cdcs: FakeCdcs) -> None:
    """An administrator makes version 3 the current one."""
    cdcs.templates[0] |= {"versions": ["1", "3"], "current": "3"}


async def test_a_changed_record_gets_the_new_version_and_keeps_its_id(cdcs, connect) -> None:
    destination = connect()
    first = await destination.upload(ONE, {})
    unchanged = await destination.upload(record_to_upload(session="file-2", file_name="2.xml"), {})
    release_template(cdcs)
    again = connect()
    assert await again.upload(TWO, {"cdcs": first}) == first
    assert [one.template for one in cdcs.records.values()] == [3, 1]
    assert cdcs.held()["file-1"] == [TWO.xml]
    assert cdcs.records[int(unchanged.record_id)].template == 1


async def test_an_incumbents_record_gets_it_too(cdcs, destination) -> None:
    theirs = cdcs.put(TITLE, THEIRS)
    release_template(cdcs)
    assert (await destination.upload(ONE, {})).record_id == str(theirs)
    assert cdcs.records[theirs].template == 3


async def test_it_waits_for_the_worker_of_cdcs(cdcs, connect, monkeypatch) -> None:
    monkeypatch.setattr(migration, "_PAUSE_S", 0)
    first = await connect().upload(ONE, {})
    release_template(cdcs)
    cdcs.task_states = ["PENDING", "PROGRESS", "SUCCESS"]
    await connect().upload(TWO, {"cdcs": first})
    paths = [f"{one.method} {one.path}" for one in cdcs.requests]
    asked = [number for number, path in enumerate(paths) if "/progress/" in path]
    (changed,) = [number for number, path in enumerate(paths) if path.startswith("PATCH")]
    assert len(asked) == 3
    assert asked[-1] < changed


@pytest.mark.parametrize("why", ["not valid there", "no worker", "no such call"])
async def test_a_record_that_cannot_be_moved_is_changed_under_its_version(
    cdcs, connect, monkeypatch, why
) -> None:
    monkeypatch.setattr(migration, "_PAUSE_S", 0)
    first = await connect().upload(ONE, {})
    release_template(cdcs)
    cdcs.refusing_templates.add(3)
    if why == "no worker":
        cdcs.task_states = ["PENDING"]
    elif why == "no such call":
        cdcs.fail("broken", on="POST /rest/data/template/")
    assert await connect().upload(TWO, {"cdcs": first}) == first
    assert any("/migrate/" in one.path for one in cdcs.requests)
    assert (cdcs.records[1].template, cdcs.records[1].xml.encode()) == (1, TWO.xml)


async def test_without_a_superusers_token_records_keep_their_version(cdcs, connect) -> None:
    destination = connect(token="user-token")  # noqa: S106 - a fake's
    first = await destination.upload(ONE, {})
    release_template(cdcs)
    other = connect(token="user-token")  # noqa: S106 - a fake's
    assert await other.inspect(ONE, {"cdcs": first}) == "current"
    await other.upload(TWO, {"cdcs": first})
    assert (cdcs.records[1].template, cdcs.records[1].xml.encode()) == (1, TWO.xml)
    assert not any("migrate" in one.path for one in cdcs.requests)
    made = await other.upload(record_to_upload(session="file-2", file_name="2.xml"), {})
    assert cdcs.records[int(made.record_id)].template == 3


@pytest.mark.parametrize(
    "setting", ["template", "workspace", "owner", "previews", "title", "twice"]
)
async def test_a_setting_reaches_a_record_that_nobody_changes(
    cdcs, connect, tmp_path: Path, setting
) -> None:
    """Looking says that it is outdated and changes nothing; uploading it again repairs that."""
    record = record_to_upload(small_record_xml("J Doe (jdoe)"))
    picture = tmp_path / record.previews[0].path
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"\x89PNG")
    before = {"assign_to_public_workspace": setting != "workspace"}
    result = await connect(**before).upload(record, {})
    assert await connect(**before).inspect(record, {"cdcs": result}) == "current"
    now = {"previews": setting == "previews", "user_owned_records": setting == "owner"}
    if setting == "template":
        release_template(cdcs)
    elif setting == "title":
        cdcs.records[1].title = "file-1"
    elif setting == "twice":
        cdcs.put(TITLE, record.xml.decode())
    destination = connect(**now)
    state = str(cdcs.records), str(cdcs.blobs)
    assert await destination.inspect(record, {"cdcs": result}) == "outdated"
    assert (str(cdcs.records), str(cdcs.blobs)) == state
    assert await destination.upload(record, {"cdcs": result}) == result
    assert await destination.inspect(record, {"cdcs": result}) == "current"
    (there,) = cdcs.records.values()
    assert (there.title, there.workspace, there.template, there.owner, len(cdcs.blobs)) == (
        TITLE,
        1,
        3 if setting == "template" else 1,
        3 if setting == "owner" else 1,
        1 if setting == "previews" else 0,
    )


async def test_a_record_that_a_person_gave_to_somebody_stays_theirs(cdcs, connect) -> None:
    destination = connect(user_owned_records=True)
    record = record_to_upload(small_record_xml("J Doe (jdoe)"))
    result = await destination.upload(record, {})
    cdcs.records[1].owner = 2
    assert await destination.inspect(record, {"cdcs": result}) == "current"
    changed = record_to_upload(small_record_xml("J Doe (jdoe)", datasets=2))
    await destination.upload(changed, {"cdcs": result})
    assert cdcs.records[1].owner == 2


async def test_a_backup_that_was_restored_is_recognised(cdcs, destination) -> None:
    """An earlier record of ours is no person's change, and what a person adds to it is kept."""
    first = await destination.upload(ONE, {})
    second = await destination.upload(TWO, {"cdcs": first})
    cdcs.records[1].xml = ONE.xml.decode()
    known = {"cdcs": second}
    assert await destination.inspect(TWO, known) == "changed"
    with pytest.raises(EditedError):
        await destination.upload(TWO, known)
    informed = replace(TWO, former=(first.written, second.written))
    assert await destination.inspect(informed, known) == "outdated"
    there = read_record(cdcs.records[1].xml.encode())
    (activity,) = there.activities
    described = replace(activity.datasets[0], descriptions=("mine",))
    edited = replace(there, activities=(replace(activity, datasets=(described,)),))
    cdcs.records[1].xml = write_record(edited).decode()
    result = await destination.upload(informed, known)
    assert [one.descriptions for one in result.additions] == [("mine",)]
    now = read_record(cdcs.records[1].xml.encode())
    assert (now.title, [one.descriptions for one in now.datasets()]) == ("Two", [("mine",)])


async def test_a_restored_record_with_another_id_is_found_and_its_link_renewed(cdcs, destination):
    first = await destination.upload(ONE, {})
    cdcs.records[41] = replace(cdcs.records.pop(1), id=41)
    assert await destination.inspect(ONE, {"cdcs": first}) == "outdated"
    renewed = await destination.upload(ONE, {"cdcs": first})
    assert renewed == UploadResult("41", f"{cdcs.url}/data?id=41")
    assert await destination.inspect(ONE, {"cdcs": renewed}) == "current"
    assert cdcs.held() == {"file-1": [ONE.xml]}
