"""The builder as a whole, on a log in memory: when it builds, what it states, what it leaves."""

import asyncio
import errno
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nexuslims_builder.record_files import RecordFiles
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import (
    BookingTexts,
    Event,
    FileIndexed,
    FileMissing,
    RecordBuilt,
    ReservationMatched,
)
from nexuslims_contracts.testing import END, SessionEvents
from nexuslims_shared.artifacts import is_intact, owner_of, stage_artifact, write_artifact
from nexuslims_shared.consume import RetryLater
from nexuslims_shared.errors import DiskError
from nexuslims_shared.people import Person
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import Register
from nexuslims_shared.store.port import Unreadable

EVENTS = SessionEvents()


async def test_a_record_is_built_when_the_last_file_has_settled(facility) -> None:
    *before, last = EVENTS.inputs()
    await facility.tell(*before)
    assert await facility.outcomes() == []
    await facility.tell(last)
    (built,) = await facility.outcomes()
    assert isinstance(built, RecordBuilt)
    assert (built.activities, built.datasets, built.failures) == (1, 3, 1)
    assert built.inputs_through_seq == len(before) + 1
    experiment = await facility.record()
    assert experiment.title == built.title
    assert [dataset.name for dataset in experiment.datasets()] == ["f1", "f2", "f3"]


async def test_the_event_names_its_cause(facility) -> None:
    await facility.tell(*EVENTS.inputs())
    *_, cause, built = await facility.history()
    assert built.envelope.causation == cause.envelope.id
    assert built.envelope.source == "nexuslims/builder"


async def test_without_news_nothing_is_built_again(facility) -> None:
    await facility.tell(*EVENTS.inputs())
    await facility.tell()
    await facility.tell(builder=facility.another())
    assert len(await facility.outcomes()) == 1


@pytest.mark.parametrize(
    "missing", ["SessionEnded", "ReservationMatched", "SessionIndexed", "MetadataExtracted"]
)
async def test_no_record_before_all_is_known(facility, missing: str) -> None:
    await facility.tell(*(one for one in EVENTS.inputs() if type(one).__name__ != missing))
    assert await facility.outcomes() == []


async def test_no_record_without_consent(facility) -> None:
    await facility.tell(*EVENTS.inputs()[:-1], EVENTS.declined(), EVENTS.inputs()[-1])
    assert await facility.outcomes() == []


@pytest.mark.parametrize(
    "news",
    [
        EVENTS.revised(end=END + timedelta(hours=1), after=3),
        EVENTS.matched(title="Silver", after=2),
        EVENTS.rebuild(),
        EVENTS.extracted(2),
        EVENTS.curated(),
    ],
    ids=lambda event: type(event).__name__,
)
async def test_what_comes_later_makes_the_record_anew(facility, news: Event) -> None:
    await facility.tell(*EVENTS.inputs())
    await facility.tell(news)
    first, second = await facility.outcomes()
    assert second.inputs_through_seq > first.inputs_through_seq
    assert (second.inputs_digest == first.inputs_digest) is (news == EVENTS.rebuild())


async def test_a_repaired_reading_takes_the_place_of_the_failure(facility) -> None:
    await facility.tell(*EVENTS.inputs())
    await facility.tell(EVENTS.extracted(2))
    assert [one.failures for one in await facility.outcomes()] == [1, 0]
    types = [dataset.type for dataset in (await facility.record()).datasets()]
    assert types == ["Image", "Image", "Image"]


async def test_a_rebuild_gives_the_same_bytes(facility) -> None:
    await facility.tell(*EVENTS.inputs())
    await facility.tell(EVENTS.rebuild())
    first, second = await facility.outcomes()
    assert first.record == second.record


async def test_one_record_of_a_session_stays_when_its_name_changes(facility) -> None:
    await facility.tell(*EVENTS.inputs())
    await facility.tell(EVENTS.revised(start=EVENTS.start - timedelta(days=2), after=3))
    first, second = await facility.outcomes()
    assert first.record.path != second.record.path
    assert [path.name for path in facility.settings.records.iterdir()] == [second.record.path]


async def test_names_are_read_when_the_record_is_built(facility) -> None:
    who = await facility.people.remember("file", Person(username="ned", first_name="Ned"))
    inputs = [EVENTS.matched(experimenter=who) if one.kind() == "reservation-matched" else one
              for one in EVENTS.inputs()]  # fmt: skip
    await facility.tell(*inputs)
    assert (await facility.record()).experimenters == ("Ned (ned)",)
    await facility.people.forget(who)
    await facility.tell(EVENTS.rebuild())
    first, second = await facility.outcomes()
    assert (await facility.record()).experimenters == ()
    assert first.inputs_digest != second.inputs_digest


async def test_extensions_too_long_for_an_event_come_from_the_artifact(facility) -> None:
    await facility.tell(*EVENTS.inputs()[:-1], facility.with_extensions(3, vendor_tags="long"))
    *_, dataset = (await facility.record()).datasets()
    assert ("Vendor Tags", "long") in [(one.name, one.value) for one in dataset.parameters]


async def test_of_two_builders_one_states_the_record(facility) -> None:
    await facility.tell(*EVENTS.inputs()[:-1])
    await facility.store.append(envelop(EVENTS.inputs()[-1], source="test"))
    news = tuple((await facility.history())[-1:])
    await asyncio.gather(facility.builder.handle(news), facility.another().handle(news))
    assert len(await facility.outcomes()) == 1


async def test_a_file_that_is_read_again_meanwhile_is_waited_for(
    facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_last = facility.store.read_last
    again = [envelop(EVENTS.extracted(3, request="again"), source="test")]

    async def overtaken(filters: tuple[str, ...], **options: int) -> Any:
        if again and "metadata-extracted" in filters[0]:
            await facility.store.append(again.pop())
        return await read_last(filters, **options)

    monkeypatch.setattr(facility.store, "read_last", overtaken)
    with pytest.raises(RetryLater, match="file-1"):
        await facility.tell(*EVENTS.inputs())
    assert await facility.outcomes() == []
    await facility.tell()
    assert len(await facility.outcomes()) == 1


async def test_more_files_than_one_answer_holds_are_read_one_by_one(
    facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_many(*_: Any, **__: Any) -> None:
        return None

    monkeypatch.setattr(facility.store, "read_last", too_many)
    await facility.tell(*EVENTS.inputs())
    assert [one.datasets for one in await facility.outcomes()] == [3]


async def test_a_reading_that_cannot_be_read_is_passed_over_for_the_one_before(
    facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_last = facility.store.read_last

    async def damaged(filters: tuple[str, ...], **options: int) -> Any:
        found = await read_last(filters, **options)
        if "metadata-extracted" in filters[0]:
            return [Unreadable(99, "a subject", "no JSON")]
        return found

    monkeypatch.setattr(facility.store, "read_last", damaged)
    await facility.tell(*EVENTS.inputs())
    assert [one.datasets for one in await facility.outcomes()] == [3]


@pytest.mark.parametrize(
    ("cause", "cure"),
    [
        (EVENTS.declined(after=2), EVENTS.matched(after=90)),
        (EVENTS.unbooked(after=2), EVENTS.matched(after=90)),
        (EVENTS.cancelled(after=3), EVENTS.revised(after=90)),
        (EVENTS.withdraw("1"), EVENTS.withdraw("2", withdrawn=False)),
    ],
)
async def test_a_record_that_may_not_be_public_goes_and_comes_back(
    facility, cause: Event, cure: Event
) -> None:
    await facility.tell(*EVENTS.inputs())
    folder = facility.settings.records
    assert len(list(folder.rglob("*.xml"))) == 1
    await facility.tell(cause)
    assert list(folder.rglob("*.xml")) == []
    assert len(await facility.outcomes()) == 1
    await facility.tell(cure)
    assert len(list(folder.rglob("*.xml"))) == 1
    assert len(await facility.outcomes()) == 2


async def test_texts_too_long_for_an_event_are_in_the_record(facility) -> None:
    texts = BookingTexts(title="Gold" * 100_000, purpose="word " * 100_000)
    content = texts.model_dump_json().encode()
    complete = write_artifact(facility.settings.data_path, "calendar/a.json", content)
    events = [one for one in EVENTS.inputs() if not isinstance(one, ReservationMatched)]
    await facility.tell(EVENTS.matched(purpose="word...", complete=complete), *events)
    experiment = await facility.record()
    assert experiment.motivation.strip() == texts.purpose.strip()
    assert experiment.title == "Gold"


async def test_a_missing_file_stays_in_the_record_and_is_marked(facility) -> None:
    events = EVENTS.inputs()
    await facility.tell(*events)
    before = list((await facility.record()).datasets())
    indexed = await facility.history()
    one = next(item for item in indexed if isinstance(item.event, FileIndexed))
    file = one.event.file  # type: ignore[attr-defined]
    away = FileMissing(session=EVENTS.session, file=file, after=one.sequence)
    await facility.tell(away)
    after = list((await facility.record()).datasets())
    assert [dataset.location for dataset in after] == [dataset.location for dataset in before]
    marked = [text for dataset in after for text in dataset.descriptions if "missing" in text]
    assert marked == ["This file was missing when its folder was looked at last"]


class FrozenBuilder:
    """A builder that stands still between its event and its file until it is released."""

    def __init__(self, facility) -> None:
        self.builder = facility.another()
        self.stands, self.goes_on = asyncio.Event(), asyncio.Event()
        settle = self.builder._files.settle

        async def settle_later(state: Any) -> bool:
            self.stands.set()
            await self.goes_on.wait()
            return await settle(state)

        self.builder._files.settle = settle_later  # type: ignore[method-assign]


@pytest.mark.parametrize("start", [EVENTS.start, EVENTS.start - timedelta(days=2)])
async def test_a_builder_that_wakes_late_does_not_matter(facility, start: Any) -> None:
    frozen = FrozenBuilder(facility)
    work = asyncio.create_task(facility.tell(*EVENTS.inputs(), builder=frozen.builder))
    await frozen.stands.wait()
    await facility.tell(EVENTS.revised(start=start, end=END + timedelta(hours=1), after=3))
    folder = facility.settings.records
    frozen.goes_on.set()
    await work
    _, second = await facility.outcomes()
    assert is_intact(folder, second.record)
    assert [path.name for path in folder.iterdir()] == [second.record.path]


async def test_a_builder_that_wakes_after_a_withdrawal_leaves_no_record(facility) -> None:
    frozen = FrozenBuilder(facility)
    work = asyncio.create_task(facility.tell(*EVENTS.inputs(), builder=frozen.builder))
    await frozen.stands.wait()
    await facility.tell(EVENTS.declined(after=2))
    frozen.goes_on.set()
    await work
    assert list(facility.settings.records.iterdir()) == []


@pytest.mark.parametrize(
    "news", [EVENTS.declined(after=2), EVENTS.revised(start=EVENTS.start - timedelta(2), after=3)],
    ids=["withdrawn", "renamed"],
)  # fmt: skip
async def test_a_disk_that_lets_no_record_go_is_tried_again(
    facility, monkeypatch: pytest.MonkeyPatch, news: Event
) -> None:
    await facility.tell(*EVENTS.inputs())
    (first,) = await facility.outcomes()

    def refuse(path: Path, **_: bool) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    with monkeypatch.context() as read_only:
        read_only.setattr(Path, "unlink", refuse)
        with pytest.raises(DiskError, match=f"cannot remove .*{first.record.path}: Read-only"):
            await facility.tell(news)
    await facility.tell()
    assert not (facility.settings.records / first.record.path).exists()


async def test_the_next_builder_commits_what_a_dead_one_stated(facility) -> None:
    frozen = FrozenBuilder(facility)
    work = asyncio.create_task(facility.tell(*EVENTS.inputs(), builder=frozen.builder))
    await frozen.stands.wait()
    work.cancel()
    (built,) = await facility.outcomes()
    assert not is_intact(facility.settings.records, built.record)
    await facility.another().finish_staged()
    assert is_intact(facility.settings.records, built.record)
    assert [path.name for path in facility.settings.records.iterdir()] == [built.record.path]


async def test_nothing_is_read_of_the_log_to_take_away_the_record_before(
    facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    await facility.tell(*EVENTS.inputs())
    read: list[Any] = []
    monkeypatch.setattr(facility.builder._files, "_ever", read.append)
    await facility.tell(EVENTS.revised(start=EVENTS.start - timedelta(days=2), after=3))
    _, second = await facility.outcomes()
    assert [path.name for path in facility.settings.records.iterdir()] == [second.record.path]
    assert read == []


@pytest.mark.parametrize(
    "died_at",
    ["nexuslims_shared.artifacts.Staged.commit", "nexuslims_builder.record_files.staged_files"],
)
async def test_a_builder_that_dies_between_leaves_no_former_record(
    facility, monkeypatch: pytest.MonkeyPatch, died_at: str
) -> None:
    """Its record has another name than the one before, and so has the next builder's again."""

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("died")

    await facility.tell(*EVENTS.inputs())
    moved = EVENTS.revised(start=EVENTS.start - timedelta(days=2), after=3)
    with monkeypatch.context() as patch:
        patch.setattr(died_at, die)
        with pytest.raises(RuntimeError, match="died"):
            await facility.tell(moved)
    moved = EVENTS.revised(start=EVENTS.start - timedelta(days=4), after=12)
    await facility.tell(moved, builder=facility.another())
    *_, newest = await facility.outcomes()
    assert [path.name for path in facility.settings.records.iterdir()] == [newest.record.path]
    assert is_intact(facility.settings.records, newest.record)


async def test_a_builder_that_dies_before_its_event_leaves_no_file(
    facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stages nothing that the next builder, which stages the same again, does not clear away."""

    async def die(*_: object, **__: object) -> None:
        raise RuntimeError("died")

    for event in EVENTS.inputs():
        await facility.store.append(envelop(event, source="test"))
    with monkeypatch.context() as patch:
        patch.setattr(RecordFiles, "discard", die)
        patch.setattr(type(facility.store), "append", die)
        with pytest.raises(RuntimeError, match="died"):
            await facility.tell(builder=facility.builder)
    await facility.tell(builder=facility.another())
    (built,) = await facility.outcomes()
    assert [path.name for path in facility.settings.records.iterdir()] == [built.record.path]


async def test_a_lost_file_of_a_record_is_written_again(facility) -> None:
    await facility.tell(*EVENTS.inputs())
    (built,) = await facility.outcomes()
    (facility.settings.records / built.record.path).write_bytes(b"damaged")
    await facility.tell()
    assert is_intact(facility.settings.records, built.record)
    assert await facility.outcomes() == [built]


async def test_a_lost_record_that_would_be_another_one_today_is_stated(facility) -> None:
    who = await facility.people.remember("file", Person(username="ned", first_name="Ned"))
    inputs = [EVENTS.matched(experimenter=who) if one.kind() == "reservation-matched" else one
              for one in EVENTS.inputs()]  # fmt: skip
    await facility.tell(*inputs)
    await facility.people.forget(who)
    (first,) = await facility.outcomes()
    (facility.settings.records / first.record.path).unlink()
    await facility.tell()
    _, second = await facility.outcomes()
    assert second.record.sha256 != first.record.sha256
    assert is_intact(facility.settings.records, second.record)


async def test_a_record_of_another_system_in_its_place_is_kept(facility) -> None:
    await facility.tell(*EVENTS.inputs())
    (built,) = await facility.outcomes()
    path = facility.settings.records / built.record.path
    path.write_text("theirs")
    await facility.tell(EVENTS.matched(title="Another", after=2))
    *_, newest = await facility.outcomes()
    assert newest.record.path == built.record.path
    assert path.with_name(f"{path.name}.kept").read_text() == "theirs"
    assert is_intact(facility.settings.records, newest.record)


async def test_a_record_of_a_newer_event_is_not_taken_for_another_systems(
    facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A builder that stood still after it read which records there were, while another built."""
    await facility.tell(*EVENTS.inputs())
    (old,) = await facility.outcomes()
    state = await SessionRepository(facility.store).open(old.session)
    await facility.tell(EVENTS.matched(title="Newer", after=2))
    *_, new = await facility.outcomes()
    assert new.record.path == old.record.path
    files = RecordFiles(facility.settings.records, facility.store)
    known = await files._ever(old.session)
    readings = [known[:1], known]

    async def ever(session: str) -> list[Register[RecordBuilt]]:
        assert session == old.session
        return readings.pop(0)

    monkeypatch.setattr(files, "_ever", ever)
    await files.settle(state)
    assert [path.name for path in facility.settings.records.iterdir()] == [new.record.path]
    assert is_intact(facility.settings.records, new.record)
    assert readings == []


async def test_extensions_that_their_extractor_could_not_put_into_place_are_read(facility) -> None:
    read = facility.with_extensions(3, vendor_tags="long")
    (artifact,) = read.artifacts
    place = facility.settings.data_path / artifact.path
    owner = owner_of(artifact.path)
    stage_artifact(facility.settings.data_path, artifact.path, place.read_bytes(), owner=owner)
    place.write_bytes(b"of an earlier reading")
    await facility.tell(*EVENTS.inputs()[:-1], read)
    assert len(await facility.outcomes()) == 1
    assert is_intact(facility.settings.data_path, artifact)
