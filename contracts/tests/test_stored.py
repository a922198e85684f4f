"""Evolution: what any release ever stored is read for ever, and a newer one's is left alone.

``stored`` holds one event of every version of every type, as the release wrote it. These files are
never changed: a new version gets a file of its own.
"""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from nexuslims_contracts.envelope import decode, encode
from nexuslims_contracts.errors import UndecodableError, UnknownEventError
from nexuslims_contracts.events import EVENT_TYPES, Event, RecordRejected
from nexuslims_contracts.upcasting import UPCASTERS

Stored = tuple[str, dict[str, Any]]


def read(stored: Stored) -> Event:
    _, message = stored
    return decode(message["headers"], json.dumps(message["payload"]).encode()).event


def test_every_version_ever_written_is_stored(stored_types: set[str]) -> None:
    assert stored_types == EVENT_TYPES.keys() | UPCASTERS.keys(), (
        "every version of every event needs a file in contracts/tests/stored, named by its type"
    )


def test_every_stored_event_is_read(stored: Stored) -> None:
    type_name, message = stored
    event = read(stored)
    assert event.subject == message["subject"]
    assert event.type_name() in EVENT_TYPES
    assert event.name == type_name.removeprefix("nexuslims.").rpartition(".")[0]


def test_what_an_earlier_release_wrote_is_still_in_it(stored: Stored) -> None:
    type_name, message = stored
    written = json.loads(read(stored).model_dump_json())
    if type_name in EVENT_TYPES:
        assert message["payload"].items() <= written.items()


def test_a_fact_keeps_its_id_in_every_release(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the first replay after an update states everything again."""
    event = read(stored)
    monkeypatch.setattr(type(event), "content_digest", lambda _: "digest")
    if "digest" not in event.identity():  # the others are told apart by what they follow
        assert event.id == stored[1]["headers"]["ce-id"]


def test_a_stored_event_keeps_its_published_schema(
    stored: Stored, published_schema: dict[str, Any]
) -> None:
    Draft202012Validator(published_schema).validate(stored[1]["payload"])


def test_an_older_service_reads_an_event_with_a_field_that_was_added_later(stored: Stored) -> None:
    type_name, message = stored
    if type_name in EVENT_TYPES:
        added = {**message, "payload": {**message["payload"], "added_later": {"a": 1}}}
        assert read((type_name, added)) == read(stored)


def test_version_1_of_a_rejection_becomes_a_list_of_problems(stored_event: Any) -> None:
    message = stored_event("nexuslims.record.rejected.v1")
    event = read(("", message))
    assert isinstance(event, RecordRejected)
    assert event.problems == (message["payload"]["reason"],)
    assert event.reason == message["payload"]["reason"]


def test_a_damaged_event_of_an_old_version_is_named(stored_event: Any) -> None:
    message = stored_event("nexuslims.record.rejected.v1")
    del message["payload"]["reason"]
    with pytest.raises(UndecodableError, match=r"rejected\.v1 cannot be read as .*v2.*reason"):
        read(("", message))


def test_an_old_event_is_written_again_as_the_current_version(stored_event: Any) -> None:
    message = stored_event("nexuslims.record.rejected.v1")
    envelope = decode(message["headers"], json.dumps(message["payload"]).encode())
    headers, _ = encode(envelope)
    assert headers["ce-type"] == "nexuslims.record.rejected.v2"
    assert headers["ce-id"] == message["headers"]["ce-id"]


@pytest.mark.parametrize("newer", ["nexuslims.record.rejected.v3", "nexuslims.sample.mounted.v1"])
def test_what_a_newer_release_wrote_is_left_alone(stored_event: Any, newer: str) -> None:
    message = stored_event("nexuslims.record.rejected.v2")
    with pytest.raises(UnknownEventError, match="update the service"):
        decode({**message["headers"], "ce-type": newer}, b"{}")
