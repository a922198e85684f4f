"""The indexer at work: events in, files stated, whatever happens between."""

import base64
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from services.indexer.tests.office import Office, current, looked_through

from nexuslims_contracts.envelope import encode, envelop
from nexuslims_contracts.errors import UnknownEventError
from nexuslims_contracts.events import (
    FileIndexed,
    FilesAwaited,
    FilesNotFound,
    FileSuperseded,
    SessionIndexed,
)
from nexuslims_contracts.file_kinds import FileKinds
from nexuslims_contracts.plugins import installed
from nexuslims_contracts.topology import INDEXER
from nexuslims_indexer import strays
from nexuslims_indexer.app import indexing
from nexuslims_indexer.dry_run import files as dry_run
from nexuslims_shared.consume import RetryLater
from nexuslims_shared.errors import BrokerUnavailableError, SettingsError
from nexuslims_shared.instruments import read_instruments
from nexuslims_shared.people import Person
from nexuslims_shared.service import service_named
from nexuslims_shared.session.status import Status, file_notes, files_complete, progress


async def test_files_are_stated_before_their_manifest_with_what_caused_them(office, share) -> None:
    share.write("a.dm3")
    share.write("b.dm3")
    await office.state(*office.facts.over())
    await office.wake()
    *_, ended, first, second, manifest = await office.history()
    assert [one.event.path for one in (first, second)] == ["Titan/a.dm3", "Titan/b.dm3"]
    assert isinstance(manifest.event, SessionIndexed)
    assert manifest.event.count == 2
    for one in (first, second, manifest):
        assert one.envelope.causation == ended.envelope.id
        assert one.envelope.source == "nexuslims/indexer"


async def test_the_settings_say_what_is_looked_for(settings, facts, share) -> None:
    share.write("a.txt")
    share.write("b.log")
    office = Office(
        settings.model_copy(update={"file_strategy": "inclusive", "ignore_patterns": ("*.log",)}),
        facts,
    )
    await office.state(*office.facts.over())
    await office.wake()
    assert [event.path for event in await office.stated(FileIndexed)] == ["Titan/a.txt"]
    assert [event.strategy for event in await office.stated(SessionIndexed)] == ["inclusive"]


@pytest.mark.parametrize("case", ["cancelled", "declined", "not asked"])
async def test_the_files_of_a_session_are_nobodys_business_unless_its_user_agrees(
    office, share, case: str
) -> None:
    share.write("a.dm3")
    facts = office.facts
    await office.state(
        *{
            "cancelled": [*facts.over(), facts.cancelled(after=3)],
            "declined": [facts.started(), facts.declined(), facts.ended()],
            "not asked": [facts.started(), facts.ended()],
        }[case]
    )
    before = len(await office.history())
    await office.wake()
    assert len(await office.history()) == before


async def test_a_session_in_use_has_its_files_but_no_manifest(settings, facts, share) -> None:
    now = datetime.now(UTC)
    recent = replace(facts, start=now - timedelta(hours=1), end=now - timedelta(minutes=1))
    office = Office(settings, recent)
    share.write("a.dm3", now - timedelta(minutes=2))
    await office.state(office.facts.started(), office.facts.matched())
    await office.wake()
    assert [event.path for event in await office.stated(FileIndexed)] == ["Titan/a.dm3"]
    assert not await office.stated(SessionIndexed)
    await office.state(office.facts.ended())
    await office.wake()
    assert len(await office.stated(FileIndexed)) == 1
    assert [event.count for event in await office.stated(SessionIndexed)] == [1]


async def test_a_revised_session_is_searched_anew(office, share) -> None:
    share.write("a.dm3")
    share.write("late.dm3", share.end + timedelta(minutes=50))
    await office.state(*office.facts.over())
    await office.wake()
    await office.state(office.facts.revised(end=share.end + timedelta(hours=1), after=3))
    await office.wake()
    first, second = await office.stated(SessionIndexed)
    assert (first.count, second.count) == (1, 2)
    assert second.end == share.end + timedelta(hours=1)


async def test_files_of_a_time_that_is_no_longer_the_sessions_leave_it(office, share) -> None:
    share.write("a.dm3")
    share.write("b.dm3", share.end - timedelta(minutes=1))
    await office.state(*office.facts.over())
    await office.wake()
    await office.state(office.facts.revised(end=share.end - timedelta(hours=1), after=3))
    await office.wake()
    assert [event.reason for event in await office.stated(FileSuperseded)] == ["elsewhere"]
    assert current(await office.folded()) == ["Titan/a.dm3"]


async def test_without_files_the_end_of_waiting_is_stated_and_a_retry_searches_again(
    office, share
) -> None:
    await office.state(*office.facts.over())
    await office.wake()
    assert progress(await office.folded()).status is Status.NO_FILES_FOUND
    share.write("a.dm3")
    await office.state(office.facts.retry())
    await office.wake()
    state = await office.folded()
    assert len(state.current_files()) == 1
    assert progress(state).phase == "extracting 0 of 1"


async def test_while_files_may_come_it_is_stated_until_when_they_are_looked_for(
    settings, share, facts
) -> None:
    end = datetime.now(UTC) - timedelta(hours=1)
    office = Office(settings, type(facts)(start=end - timedelta(hours=1), end=end))
    await office.state(*office.facts.over())
    await office.wake()
    (awaited,) = await office.stated(FilesAwaited)
    assert awaited.until == end + timedelta(days=2)
    assert awaited.notes == ("no file at all is in Titan: is the share mounted?",)
    standing = progress(await office.folded())
    assert (standing.status, standing.phase) == (Status.TO_BE_BUILT, "looking for files")
    assert standing.reason.startswith(f"until {awaited.until:%Y-%m-%d %H:%M} UTC")
    await office.wake()
    assert len(await office.stated(FilesAwaited)) == 1


async def test_late_files_enter_the_record_however_late(office, share) -> None:
    share.write("a.dm3")
    await office.state(*office.facts.over())
    await office.wake()
    share.write("b.dm3")
    async with indexing(office.context, office.kinds) as indexer:  # nobody asks
        assert indexer.not_looked_at() == [str(share.root / "Titan")]
        await looked_through(indexer)
        assert indexer.not_looked_at() == []
    assert current(await office.folded()) == ["Titan/a.dm3", "Titan/b.dm3"]
    assert [event.count for event in await office.stated(SessionIndexed)] == [1, 2]


async def test_a_file_that_is_gone_is_missing_until_it_is_back(office, share) -> None:
    share.write("a.dm3")
    path = share.write("b.dm3")
    await office.state(*office.facts.over())
    await office.wake()
    away = path.rename(share.root / "b.dm3")
    await office.wake()
    state = await office.folded()
    assert current(state) == ["Titan/a.dm3", "Titan/b.dm3"]
    assert [file.is_missing for file in state.current_files().values()].count(True) == 1
    assert file_notes(state) == ("1 file is missing",)
    away.rename(path)
    await office.wake()
    state = await office.folded()
    assert not any(file.is_missing for file in state.current_files().values())
    assert [event.missing for event in await office.stated(SessionIndexed)] == [0, 1, 0]


async def test_a_renamed_folder_takes_its_files_along(office, share) -> None:
    for number in range(3):
        share.write(f"old/{number}.dm3", share.start + timedelta(minutes=1 + number))
    await office.state(*office.facts.over())
    await office.wake()
    for old, new in (("old", "new"), ("new", "old")):
        (share.root / "Titan" / old).rename(share.root / "Titan" / new)
        await office.wake()
        state = await office.folded()
        assert current(state) == [f"Titan/{new}/{number}.dm3" for number in range(3)]
        assert not any(file.is_missing for file in state.current_files().values())
    assert {event.reason for event in await office.stated(FileSuperseded)} == {"moved"}


async def test_a_session_that_ends_now_is_searched_a_moment_later(settings, share, facts) -> None:
    now = datetime.now(UTC)
    office = Office(settings, type(facts)(start=now - timedelta(hours=1), end=now))
    share.write("a.dm3", now - timedelta(minutes=1))
    await office.state(*office.facts.over())
    await office.wake()
    assert not await office.stated(SessionIndexed)


async def test_a_share_that_is_away_is_waited_for_however_long(office, share) -> None:
    (share.root / "Titan").rmdir()
    await office.state(*office.facts.over())
    with pytest.raises(RetryLater, match="is the share mounted"):
        await office.wake()
    assert not await office.stated(FilesNotFound)


async def test_an_empty_folder_makes_readiness_red_and_takes_nothing(office, share) -> None:
    path = share.write("a.dm3")
    await office.state(*office.facts.over())
    await office.wake()
    path.rename(share.root / "a.dm3")
    async with indexing(office.context, office.kinds) as indexer:
        with pytest.raises(RetryLater, match="is empty, and was not before"):
            await indexer.handle(await office.batch())
        assert "is the share mounted" in indexer.troubles()[0]
        (share.root / "a.dm3").rename(path)
        await indexer.handle(await office.batch())
        assert indexer.troubles() == []
    assert len(await office.stated(SessionIndexed)) == 1


async def test_killed_between_files_and_manifest_the_next_run_completes_it(office, share) -> None:
    share.write("a.dm3")
    share.write("b.dm3")
    await office.state(*office.facts.over())
    office.store.failures = 1
    with pytest.raises(BrokerUnavailableError):
        await office.wake()
    assert len(await office.stated(FileIndexed)) == 2
    assert not await office.stated(SessionIndexed)
    share.write("c.dm3")
    await office.wake()
    paths = [event.path for event in await office.stated(FileIndexed)]
    assert paths == ["Titan/a.dm3", "Titan/b.dm3", "Titan/c.dm3"]
    (manifest,) = await office.stated(SessionIndexed)
    assert (manifest.count, manifest.superseded) == (3, ())
    assert not files_complete(await office.folded())


async def test_names_of_any_bytes_are_carried_and_shown(office, share) -> None:
    share.write(b"caf\xe9.dm3")
    await office.state(*office.facts.over())
    await office.wake()
    (event,) = await office.stated(FileIndexed)
    assert event.path == "Titan/caf\\xe9.dm3"
    assert base64.b64decode(event.path_bytes) == b"Titan/caf\xe9.dm3"
    await office.wake()
    assert len(await office.stated(FileIndexed)) == 1


async def test_files_of_overlapping_sessions_are_in_one_record_and_both_tell(office, share) -> None:
    day, hour = office.facts, timedelta(hours=1)
    short = replace(day, session="file-2", start=day.start + hour, end=day.start + 2 * hour)
    share.write("both.dm3", day.start + 1.5 * hour)
    share.write("day.dm3", day.start + 0.5 * hour)
    await office.state(*day.over(), *short.over())
    await office.wake()
    assert current(await office.folded()) == ["Titan/day.dm3"]
    assert current(await office.folded(short)) == ["Titan/both.dm3"]
    ((note,), (other,)) = [
        (await office.stated(SessionIndexed, one))[-1].notes for one in (day, short)
    ]
    assert "both.dm3: in the record of file-2" in note
    assert "both.dm3: in this record, not in that of file-1" in other


async def test_a_time_that_a_user_declined_is_in_nobodys_record(office, share) -> None:
    day, hour = office.facts, timedelta(hours=1)
    short = replace(day, session="file-2", start=day.start + hour, end=day.start + 2 * hour)
    share.write("both.dm3", day.start + 1.5 * hour)
    share.write("day.dm3", day.start + 0.5 * hour)
    await office.state(*day.over())
    await office.wake()
    assert len(current(await office.folded())) == 2
    await office.state(short.started(), short.declined(), short.ended())
    async with indexing(office.context, office.kinds) as indexer:
        await indexer.handle(tuple((await office.history(short))[-1:]))
        await looked_through(indexer)
    assert current(await office.folded()) == ["Titan/day.dm3"]


async def test_a_clock_that_is_an_hour_behind_is_reported_with_the_number_to_set(
    office, share
) -> None:
    hour = timedelta(hours=1)
    sessions = [
        replace(
            office.facts,
            session=f"file-{number}",
            start=share.start + number * hour,
            end=share.start + (number + 1) * hour,
        )
        for number in range(1, 4)
    ]
    for one, name in zip(sessions, ("user-1", "user-2", "user-3"), strict=True):
        for minute in (10, 22, 34, 46):
            share.write(f"{name}/{minute}.dm3", one.start - hour + timedelta(minutes=minute))
    for number, one in enumerate(sessions, start=1):
        user = await office.people.remember("file", Person(username=f"user-{number}"))
        await office.state(one.started(user=user), one.matched(), one.ended(user=user))
    await office.wake()
    (letter,) = [letter async for letter in office.letters.read()]
    assert letter.subject == "instrument FEI-Titan-TEM"
    assert "set clock_offset = -3600 in instruments.toml" in letter.reason
    assert letter.reason in (await office.stated(SessionIndexed))[-1].notes


async def test_a_file_of_the_future_is_named(office, share) -> None:
    share.write("a.dm3", datetime.now(UTC) + timedelta(days=365))
    await office.state(*office.facts.over())
    await office.wake()
    (event,) = await office.stated(FilesNotFound)
    assert "1 file has a time in the future, such as Titan/a.dm3" in event.notes[0]
    assert "clock_offset" in event.notes[0]


@pytest.mark.parametrize("came_in_its_time", [True, False])
async def test_a_file_of_the_future_is_named_beside_others(
    office, share, monkeypatch, came_in_its_time
) -> None:
    """To the operator, once; and with the session in whose time it came, if that is known."""
    share.write("a.dm3")
    share.write("b.dm3", datetime.now(UTC) + timedelta(days=365))
    came = share.start + timedelta(minutes=1 if came_in_its_time else 1000)
    monkeypatch.setattr(strays, "_came", lambda root, file: round(came.timestamp()) * 10**9)
    await office.state(*office.facts.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        share.write("c.dm3", datetime.now(UTC) + timedelta(days=400))
        await looked_through(indexer)
    event = (await office.stated(SessionIndexed))[0]
    named = ["1 file has a time in the future, such as Titan/b.dm3" in one for one in event.notes]
    assert named == [True] * came_in_its_time
    (letter,) = [letter async for letter in office.letters.read()]
    assert letter.reason.startswith("files have times in the future, such as Titan/b.dm3")


async def test_what_the_extractor_in_use_reads_is_looked_for(office, share) -> None:
    share.write("a.dm3")
    share.write("b.xyz")
    await office.state(*office.facts.over())
    async with indexing(office.context, office.kinds) as indexer:
        await indexer.handle(await office.batch())
        assert current(await office.folded()) == ["Titan/a.dm3"]
        await office.kinds.publish(FileKinds(endings=("dm3", "xyz")))
        await indexer.read_kinds()
        await looked_through(indexer)
    assert current(await office.folded()) == ["Titan/a.dm3", "Titan/b.xyz"]


async def test_a_series_that_was_closed_in_the_next_session_is_that_in_which_it_was_begun(
    settings, share, facts
) -> None:
    """It was seen growing; the index is lost later, and what was stated stands."""
    settings = settings.model_copy(update={"file_settle_seconds": 0.0})
    now = datetime.now(UTC)
    first = replace(facts, start=now - timedelta(hours=2), end=now - timedelta(minutes=2))
    next_one = replace(first, session="file-2", start=first.end, end=now - timedelta(minutes=1))
    office = Office(settings, first)
    await office.state(*first.over(), *next_one.over())
    share.write("series.dm3", next_one.start + timedelta(seconds=30))
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        assert current(await office.folded(next_one)) == ["Titan/series.dm3"]
    (event,) = await office.stated(FileIndexed, next_one)
    began = event.model_copy(update={"session": first.session, "basis": "began"})
    taken = FileSuperseded(session=next_one.session, file=event.file, reason="elsewhere", after=9)
    await office.state(began, taken)
    shutil.rmtree(settings.state_path)
    await office.wake()
    await office.wake()
    assert current(await office.folded()) == ["Titan/series.dm3"]
    assert current(await office.folded(next_one)) == []


# --- beside the service ----------------------------------------------------------------------


def test_the_service_is_installed_and_needs_its_share(settings) -> None:
    service = service_named("indexer", settings)
    assert service.consumer is INDEXER
    assert [mount.setting for mount in service.mounts] == ["NX_INSTRUMENT_DATA_PATH"]
    assert not any(mount.writable for mount in service.mounts)


def test_a_dry_run_lists_the_files_of_a_time(settings, share) -> None:
    share.write("a.dm3")
    assert installed("nexuslims.dry_run")["files"].load() is dry_run
    assert dry_run(settings, "FEI-Titan-TEM", share.start, share.end) == ["Titan/a.dm3"]
    with pytest.raises(SettingsError, match="'Quanta' is not there: add it"):
        dry_run(settings, "Quanta", share.start, share.end)
    (share.root / "Titan").rename(share.root / "away")
    with pytest.raises(OSError, match="is the share mounted"):
        dry_run(settings, "FEI-Titan-TEM", share.start, share.end)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("", ""), ("/", ""), (".", ""), ("./", ""), ("./Titan//x/.", "Titan/x"), ("/Titan", "Titan")],
)
def test_a_folder_is_the_same_however_it_is_written(settings, share, written, meant) -> None:
    share.write("x/a.dm3")
    path = settings.instruments_file
    path.write_text(path.read_text().replace('"Titan"', f'"{written}"'))
    assert read_instruments(path)["FEI-Titan-TEM"].as_contract().filestore == meant
    assert dry_run(settings, "FEI-Titan-TEM", share.start, share.end) == ["Titan/x/a.dm3"]


async def test_a_session_that_a_newer_release_wrote_of_holds_up_no_other(office, share) -> None:
    first, hour = office.facts, timedelta(hours=1)
    then = replace(first, session="file-2", start=first.end, end=first.end + hour)
    share.write("a.dm3", first.start + hour)
    await office.state(*first.over())
    await office.wake()
    newer = envelop(first.ended(), source="test")
    headers, payload = encode(newer)
    headers |= {"ce-type": "nexuslims.session.audited.v1", "ce-id": "newer"}
    await office.store.append_raw(newer.subject.replace("ended", "audited"), headers, payload)
    share.write("late.dm3", first.start + 1.1 * hour)
    share.write("b.dm3", then.start + hour / 2)
    await office.state(*then.over())
    async with indexing(office.context, office.kinds) as indexer:
        await looked_through(indexer)
        with pytest.raises(UnknownEventError):
            await indexer.handle(await office.batch())
    assert current(await office.folded(then)) == ["Titan/b.dm3"]
