"""CDCS: which record there is the session's, and what becomes of others."""

from dataclasses import replace

import pytest
from services.uploader.tests.cdcs.records import ONE, THEIRS, TITLE, TWO

from nexuslims_contracts.record.reader import read_record
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.errors import TransientUploadError
from nexuslims_uploader.testing import Request, record_to_upload, small_record_xml
from nexuslims_uploader.testing.cdcs import FakeCdcs

REF = ' ref="https://calendar.example.org/204"'


@pytest.mark.parametrize(
    "xml",
    [
        pytest.param("<a/>", id="other XML"),
        pytest.param("not xml", id="no XML"),
        pytest.param(THEIRS.replace("org/204", "org/205"), id="other calendar entry"),
        pytest.param(
            THEIRS.replace(REF, "").replace("FEI-Titan-TEM", "Other"),
            id="other instrument, no address",
        ),
        pytest.param(
            small_record_xml(session="file-7").decode(), id="other session of the same address"
        ),
    ],
)
@pytest.mark.parametrize("title", ["file-1", TITLE])
async def test_another_tools_record_with_our_title_is_left_alone(cdcs, destination, xml, title):
    theirs = cdcs.put(title, xml)
    result = await destination.upload(ONE, {})
    assert result.record_id != str(theirs)
    await destination.upload(TWO, {"cdcs": result})
    assert (cdcs.records[theirs].xml, cdcs.records[theirs].title) == (xml, title)
    assert cdcs.records[int(result.record_id)].xml.encode() == TWO.xml
    assert len(cdcs.records) == 2


async def test_a_record_of_the_incumbent_becomes_ours(cdcs, destination) -> None:
    theirs = cdcs.put(TITLE, THEIRS)
    assert (await destination.upload(ONE, {})).record_id == str(theirs)
    assert cdcs.held() == {"file-1": [ONE.xml]}


async def test_the_link_to_an_incumbents_record_lives_where_ours_is_there_too(cdcs, destination):
    """As while both run beside each other: what people added to either is kept."""
    ours = await destination.upload(ONE, {})
    describe(cdcs, 1, "at ours")
    theirs = cdcs.put(TITLE, THEIRS)
    describe(cdcs, theirs, "at theirs")
    result = await destination.upload(TWO, {"cdcs": ours})
    assert result.record_id == str(theirs)
    assert list(cdcs.records) == [theirs]
    assert descriptions(cdcs.records[theirs].xml) == {"at ours", "at theirs"}
    again = await destination.upload(replace(TWO, additions=result.additions), {"cdcs": result})
    assert again == result


async def test_what_the_incumbent_made_twice_is_not_deleted(cdcs, destination) -> None:
    first, second = cdcs.put(TITLE, THEIRS), cdcs.put(TITLE, THEIRS)
    result = await destination.upload(ONE, {})
    assert result.record_id == str(first)
    assert cdcs.records[second].xml == THEIRS
    await destination.withdraw(ONE, {"cdcs": result})
    assert cdcs.records == {}


async def test_a_record_of_an_earlier_release_gets_its_new_title_with_its_next_change(
    cdcs, destination
) -> None:
    former = cdcs.put("file-1", ONE.xml.decode())
    known = {"cdcs": UploadResult(str(former), written=ONE.sha256)}
    assert (await destination.upload(TWO, known)).record_id == str(former)
    assert [(one.title, one.xml.encode()) for one in cdcs.records.values()] == [(TITLE, TWO.xml)]


@pytest.mark.parametrize("address", [True, False])
async def test_a_session_on_another_day_is_found_without_its_event(cdcs, destination, address):
    """A crash came between the upload and its event, and the title has another date by now."""
    xml = ONE.xml if address else ONE.xml.replace(REF.encode(), b"")
    first = await destination.upload(record_to_upload(xml), {})
    moved = record_to_upload(
        xml.replace(b"2018-11-13", b"2018-11-14"), file_name="2018-11-14_FEI-Titan-TEM_204.xml"
    )
    assert (await destination.upload(moved, {})).record_id == first.record_id
    assert [one.title for one in cdcs.records.values()] == ["2018-11-14_FEI-Titan-TEM_204"]
    assert cdcs.held() == {"file-1": [moved.xml]}


async def test_an_edit_between_our_look_and_our_change_is_kept(cdcs, destination) -> None:
    first = await destination.upload(ONE, {})
    edits = iter(["one", "two"])

    def edit(request: Request) -> None:
        if (request.method, request.path) == ("GET", "/rest/data/1/"):
            for text in edits:
                describe(cdcs, 1, text)
                break

    cdcs.choose = edit
    result = await destination.upload(TWO, {"cdcs": first})
    assert descriptions(cdcs.records[1].xml) == {"one", "two"}
    assert [one.descriptions for one in result.additions] == [("one", "two")]


async def test_a_record_that_people_keep_changing_is_tried_again_later(cdcs, destination) -> None:
    first = await destination.upload(ONE, {})
    cdcs.choose = lambda request: describe(cdcs, 1, "more") if request.method == "GET" else None
    with pytest.raises(TransientUploadError, match="people are changing"):
        await destination.upload(TWO, {"cdcs": first})


def describe(cdcs: FakeCdcs, number: int, text: str) -> None:
    """Somebody adds a description to the first dataset of a record."""
    xml = cdcs.records[number].xml
    addition = f"<description>{text}</description>"
    cdcs.records[number].xml = xml.replace("<preview>", f"{addition}<preview>", 1)


def descriptions(xml: str) -> set[str]:
    return {text for one in read_record(xml.encode()).datasets() for text in one.descriptions}


async def test_an_instrument_that_goes_by_another_name_keeps_its_records(cdcs, destination):
    theirs = cdcs.put("file-1", ONE.xml.decode().replace("FEI-Titan-TEM", "Titan"))
    assert (await destination.upload(ONE, {})).record_id == str(theirs)
    assert cdcs.held() == {"file-1": [ONE.xml]}


async def test_a_renamed_record_is_found_by_its_id_and_keeps_the_title(cdcs, destination):
    first = await destination.upload(ONE, {})
    cdcs.records[1].title = "nicer"
    assert await destination.upload(TWO, {"cdcs": first}) == first
    assert cdcs.held() == {"file-1": [TWO.xml]}
    assert await destination.upload(ONE, {}) == first, "also without its event"
    assert cdcs.records[1].title == "nicer"


async def test_an_id_that_became_another_record_is_not_overwritten(cdcs, destination) -> None:
    theirs = cdcs.put("theirs", THEIRS.replace("org/204", "org/205"))
    known = {"cdcs": UploadResult(str(theirs))}
    assert (await destination.upload(ONE, known)).record_id != str(theirs)
    gone = {"cdcs": UploadResult("999")}
    await destination.upload(TWO, gone)
    assert cdcs.held()["file-1"] == [TWO.xml]
