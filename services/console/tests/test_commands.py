"""Commands against a real broker, with no service running."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner, Result

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import (
    MetadataExtracted,
    RebuildRequested,
    RetryRequested,
    WithdrawalRequested,
)
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.cli import shell as cli
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.people import Person
from nexuslims_shared.service import ServiceContext, provision_broker, service_context
from nexuslims_shared.settings import read_settings

Call: TypeAlias = Callable[..., Result]


def talk(work: Callable[[ServiceContext], Awaitable[Any]]) -> Any:
    """Do something with the broker of the folder we are in."""

    async def main() -> Any:
        async with service_context(read_settings(), "test") as context:
            return await work(context)

    return asyncio.run(main())


def events_of(session: str) -> list[Any]:
    async def read(context: ServiceContext) -> list[Any]:
        filters = (subjects.of_session(session),)
        return [item async for item in context.store.read(filters=filters)]

    return [item.event for item in talk(read)]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: Any) -> Iterator[Call]:
    """The command line in a facility with two sessions; its broker runs, no service does."""
    for name in list(os.environ):
        if name.startswith("NX_") or name == "NATS_URL":
            monkeypatch.delenv(name)
    for name in ("files", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / ".env").write_text("NX_INSTRUMENT_DATA_PATH=files\nNX_DATA_PATH=data\n")
    monkeypatch.chdir(tmp_path)
    broker = start_embedded(Path("state"))

    async def tell(context: ServiceContext) -> None:
        for event in [*history.inputs("a"), history.built("a", 8), history.uploaded("a")]:
            await context.store.append(envelop(event, source="nexuslims/test"))
        await context.store.append(envelop(SessionEvents("b").started(), source="nexuslims/test"))

    asyncio.run(provision_broker(read_settings()))
    talk(tell)
    yield lambda *arguments: CliRunner().invoke(cli.app, list(arguments))
    broker.stop()


@pytest.mark.broker
def test_sessions_are_shown_up_to_date(call: Call) -> None:
    rows = json.loads(call("sessions", "--json").stdout)
    assert [(row["session"], row["status"]) for row in rows] == [
        ("a", "COMPLETED"),
        ("b", "WAITING_FOR_END"),
    ]
    assert json.loads(call("sessions", "--status", "completed", "--json").stdout) == rows[:1]
    table = call("sessions")
    assert table.stderr == ""
    assert "Titan" in table.stdout


@pytest.mark.broker
def test_a_session_has_its_story(call: Call) -> None:
    session = json.loads(call("session", "a", "--events", "--json").stdout)
    assert session["record_path"] == "records/a.xml"
    assert [event["type"] for event in session["events"]][-2:] == [
        "record.built",
        "record.uploaded",
    ]
    assert "crashed: SIGSEGV" in call("session", "a", "--events").stdout
    unknown = call("session", "nobody")
    assert unknown.exit_code == 1
    assert "nobody" in unknown.stderr


@pytest.mark.broker
def test_a_damaged_event_is_shown_and_breaks_nothing(call: Call) -> None:
    async def damage(context: ServiceContext) -> None:
        await context.jetstream.publish("nexus.events.b.session-ended", b"{")

    talk(damage)
    result = call("sessions")
    assert result.exit_code == 0
    assert "1 stored message cannot be read" in result.stderr
    assert "ce-type" in call("session", "b").stderr
    assert "read model" in call("doctor", "--json").stdout


@pytest.mark.broker
def test_a_rebuild_is_a_request_in_the_log(call: Call) -> None:
    result = call("rebuild", "--all", "--re-extract", "--no-wait", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["sessions"][0]["session"] == "a"
    last = events_of("a")[-1]
    assert isinstance(last, RebuildRequested)
    assert last.re_extract
    assert len(events_of("b")) == 1


@pytest.mark.broker
def test_a_rebuild_may_select_the_files_of_one_extractor(call: Call) -> None:
    name = next(
        event.extractor.name for event in events_of("a") if isinstance(event, MetadataExtracted)
    )
    result = call("rebuild", "--all", "--re-extract", "--extractor", name, "--no-wait", "--json")
    assert result.exit_code == 0
    last = events_of("a")[-1]
    assert isinstance(last, RebuildRequested)
    assert (last.re_extract, last.extractor) == (True, name)
    other = call("rebuild", "--all", "--re-extract", "--extractor", "nobody", "--no-wait")
    assert other.exit_code == 1
    assert f"no file of these sessions was read by 'nobody'; files were read by {name}" in (
        " ".join(other.stderr.split())
    )
    assert events_of("a")[-1] == last


def test_an_extractor_selects_files_to_read_again(call: Call) -> None:
    result = call("rebuild", "--all", "--extractor", "text")
    assert result.exit_code == 2
    assert "--re-extract" in result.stderr


@pytest.mark.broker
def test_a_session_without_a_record_is_not_rebuilt(call: Call) -> None:
    result = call("rebuild", "--session", "b")
    assert result.exit_code == 1
    assert "`nexuslims session b` for what it waits for" in result.stderr
    assert len(events_of("b")) == 1


@pytest.mark.broker
def test_a_rebuild_from_the_events_is_no_request(call: Call) -> None:
    for outcome in ("changed", "unchanged"):
        result = call("rebuild", "--session", "a", "--json")
        assert result.exit_code == 0
        assert json.loads(result.stdout)["sessions"][0]["kind"] == outcome
    assert not [event for event in events_of("a") if isinstance(event, RebuildRequested)]
    (row, _) = json.loads(call("sessions", "--json").stdout)
    assert (row["status"], row["phase"]) == ("COMPLETED", "rebuilt, not uploaded")


@pytest.mark.broker
def test_all_of_a_status_are_tried_again(call: Call) -> None:
    assert call("retry").exit_code == 2
    assert call("retry", "a", "--status", "ERROR").exit_code == 2
    assert "0 sessions" in call("retry", "--status", "BUILT_NOT_EXPORTED").stderr
    status = json.loads(call("session", "a", "--json").stdout)["status"]
    assert call("retry", "--status", status).exit_code == 0
    assert isinstance(events_of("a")[-1], RetryRequested)


@pytest.mark.broker
def test_a_withdrawal_is_a_request_in_the_log(call: Call) -> None:
    done = call("withdraw", "a", "--yes", "--reason", "by mail", "--no-wait", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["phase"].startswith("withdrawing from")
    assert call("withdraw", "a", "--undo", "--no-wait").exit_code == 0
    assert call("withdraw", "nobody", "--yes", "--no-wait").exit_code == 1
    asked = [event for event in events_of("a") if isinstance(event, WithdrawalRequested)]
    assert [(one.withdrawn, one.reason) for one in asked] == [(True, "by mail"), (False, "")]


@pytest.mark.broker
def test_overwriting_is_a_decision_on_one_session(call: Call) -> None:
    assert call("retry", "a", "--overwrite").exit_code == 0
    request = events_of("a")[-1]
    assert isinstance(request, RetryRequested)
    assert request.overwrite
    assert call("retry", "--status", "ERROR", "--overwrite").exit_code == 2


@pytest.mark.broker
def test_a_retry_is_a_request_in_the_log(call: Call) -> None:
    assert call("retry", "a").exit_code == 0
    assert isinstance(events_of("a")[-1], RetryRequested)


def drop(*streams: str) -> None:
    async def delete(context: ServiceContext) -> None:
        for stream in streams:
            await context.jetstream.delete_stream(stream)

    talk(delete)


@pytest.mark.broker
def test_nothing_is_requested_where_the_services_could_not_work(call: Call) -> None:
    before = events_of("a")
    drop("KV_NEXUS_LEASES")
    for command in (
        ("retry", "a"),
        ("retry", "--status", "COMPLETED"),
        ("rebuild", "--session", "a", "--re-extract", "--no-wait"),
        ("dead-letters", "retry", "1"),
    ):
        refused = call(*command)
        assert refused.exit_code == 1, command
        assert "lacks bucket NEXUS_LEASES: run `nexuslims provision`" in refused.stderr, command
    assert events_of("a") == before
    assert call("provision").exit_code == 0
    assert call("retry", "a").exit_code == 0


@pytest.mark.broker
def test_a_backup_says_what_the_broker_had_lost(call: Call, tmp_path: Path) -> None:
    assert call("backup", str(tmp_path / "whole"), "--no-verify").exit_code == 0
    drop("KV_NEXUS_PEOPLE", "NEXUS_DEAD_LETTERS", "KV_NEXUS_LEASES")
    short = call("backup", str(tmp_path / "short"), "--no-verify", "--json")
    assert short.exit_code == 1
    assert "lacks stream NEXUS_DEAD_LETTERS, bucket NEXUS_PEOPLE: keep earlier" in short.stderr
    streams = {one["name"] for one in json.loads(short.stdout)["streams"]}
    assert "NEXUS_EVENTS" in streams, "what is left is kept all the same"


@pytest.mark.broker
def test_a_person_is_listed_and_forgotten(call: Call, history: Any) -> None:
    async def remember(context: ServiceContext) -> str:
        ned = Person(username="ned", first_name="Ned", last_name="Hall")
        key = await context.people.remember("file", ned)
        for session in ("a", "b"):
            matched = (
                SessionEvents(session)
                .matched()
                .model_copy(update={"experimenter": key, "after": 1})
            )
            await context.store.append(envelop(matched, source="nexuslims/test"))
        return key

    key = talk(remember)
    (row,) = json.loads(call("people", "list", "--json").stdout)
    assert (row["id"], row["name"], row["sessions"]) == (key, "Ned Hall", ["a", "b"])
    assert "Ned Hall" in call("people", "list").stdout
    done = call("people", "forget", key)
    assert done.exit_code == 0
    assert "named by 2 sessions; 1 record is made again by the next `nexuslims" in done.stderr
    assert "folders and files" in done.stderr
    assert isinstance(events_of("a")[-1], RebuildRequested)
    assert not any(isinstance(event, RebuildRequested) for event in events_of("b"))
    (row,) = json.loads(call("people", "list", "--json").stdout)
    assert (row["name"], row["username"], row["email"]) == ("forgotten", "", "")
    unknown = call("people", "forget", "person-nobody")
    assert unknown.exit_code == 1
    assert "nexuslims people list" in unknown.stderr


@pytest.mark.broker
def test_dead_letters_are_listed_shown_and_retried(call: Call) -> None:
    async def write(context: ServiceContext) -> None:
        await context.dead_letters.write("builder", 9, "nexus.events.a.record-built", "disk full")
        await context.dead_letters.write("harvester", 0, "calendar file, session 7", "reversed")

    assert "no dead letters" in call("dead-letters").stdout
    talk(write)
    assert "disk full" in call("dead-letters").stdout
    letters = json.loads(call("dead-letters", "list", "--json").stdout)
    first, second = (str(letter["number"]) for letter in letters)
    assert json.loads(call("dead-letters", "show", first).stdout)["event"]["session"] == "a"
    assert call("dead-letters", "retry", first).exit_code == 0
    assert isinstance(events_of("a")[-1], RetryRequested)
    assert "next round" in call("dead-letters", "retry", second).stderr
    (left,) = json.loads(call("dead-letters", "list", "--json").stdout)
    assert str(left["number"]) == first, "the builder closes it when it has handled the retry"
    assert call("dead-letters", "show", second).exit_code == 1


@pytest.mark.broker
def test_the_read_model_is_made_anew(call: Call) -> None:
    before = call("sessions", "--json").stdout
    assert "all events up to message 11 of period all" in call("read-model", "rebuild").stderr
    assert call("sessions", "--json").stdout == before


@pytest.mark.broker
@pytest.mark.parametrize("damage", ["no database", "a page of noise", "empty"])
def test_a_read_model_that_is_no_sound_database_is_set_aside(call: Call, damage: str) -> None:
    before = call("sessions", "--json").stdout
    file = Path(make_url(read_settings().read_model_url).database or "")
    content = file.read_bytes()
    file.write_bytes(
        {
            "no database": b"no database" * 1000,
            "a page of noise": content[:4096] + b"\xa5" * 4096 + content[8192:],
            "empty": b"",
        }[damage]
    )
    for ending in ("-wal", "-shm"):
        Path(f"{file}{ending}").unlink(missing_ok=True)
    done = call("read-model", "rebuild")
    assert (done.exit_code, "damaged now" in done.stderr) == (0, damage != "empty")
    assert call("sessions", "--json").stdout == before


@pytest.mark.broker
def test_doctor_says_that_nobody_is_at_work(call: Call) -> None:
    findings = {
        one["what"]: one["problem"]
        for one in json.loads(call("doctor", "--json").stdout)["findings"]
    }
    assert "builder" in findings["consumers"]
    assert findings["topology"] == findings["broker"] == findings["read model"] == ""
