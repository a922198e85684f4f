"""LabArchives: signatures, and what a page says."""

from pathlib import Path

import pytest

from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.labarchives.page import html_of, page_name, pictures
from nexuslims_uploader.labarchives.settings import LabarchivesSettings
from nexuslims_uploader.labarchives.signature import sign
from nexuslims_uploader.testing import HOSTILE, record_to_upload, small_record_xml

ONE = record_to_upload(small_record_xml("One"))


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        (
            "insert_node",
            "F1iquQ4Asq28v1ywKgJowRsJXy3DvnFdhjBY42XmeTclRQpkNWl+ZNCmr+UqItJBuaf0rwUuzWF++rj+gdsHcw==",
        ),
        (
            "add_attachment",
            "QV4obACLWo5WP4o6ab4F/J9w2anWaPs/boiWrCPuTrv55qAKY82912NMsocl5KRk9iwIk0e2MFTDkvJFZEdxRQ==",
        ),
    ],
)
def test_a_call_is_signed_as_labarchives_wants_it(method, signature) -> None:
    assert sign("test_akid", "test_password", method, "1700000000000") == signature


def test_the_address_of_pages_is_that_of_labarchives_for_people() -> None:
    own = {"access_key_id": "a", "access_password": "b", "user_id": "c", "notebook_id": "d"}
    web = [
        LabarchivesSettings(**own, **changed).pages_url  # type: ignore[arg-type]
        for changed in ({}, {"url": "https://eln.example.org/api"}, {"web_url": "https://eu.org"})
    ]
    assert web == [
        "https://mynotebook.labarchives.com/",
        "https://eln.example.org/",
        "https://eu.org/",
    ]


def test_what_people_write_is_text_in_html() -> None:
    record = record_to_upload(small_record_xml(HOSTILE))
    html = html_of(record, {"cdcs": UploadResult("1", "javascript:alert(1)")}, [])
    assert "<script>" not in html
    assert "javascript:" not in html


def test_pictures_are_shown_up_to_a_limit(tmp_path: Path) -> None:
    record = record_to_upload(small_record_xml(datasets=6))
    for preview in record.previews[1:]:
        path = tmp_path / preview.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 100)
    images = pictures(record.previews, tmp_path, most=3, most_bytes=1000)
    assert [one.caption for one in images] == ["00001.dm3", "00002.dm3", "00003.dm3"]
    assert len(pictures(record.previews, tmp_path, most=9, most_bytes=250)) == 2
    html = html_of(record, {}, images)
    assert html.count('<img src="data:image/png;base64,eHh4') == 3
    assert "And 3 more." in html


def test_names_of_pages_are_short_and_of_one_line() -> None:
    xml = small_record_xml().replace(
        b"https://calendar.example.org/204", b"https://x/?a=" + b"y" * 400
    )
    assert len(page_name(record_to_upload(xml))) == 200
    xml = small_record_xml().replace(b"https://calendar.example.org/204", b"a&#10;b&#9;c")
    assert page_name(record_to_upload(xml)) == "2018-11-13 — a b c"
