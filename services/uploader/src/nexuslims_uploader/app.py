"""The uploader: takes each new record to the destinations that do not have it.

What a destination says becomes an event; what is still to do is folded from those events, never
remembered. Only the patience with a destination that is away is kept in memory: how often it was
tried since the process started.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.events import RecordBuilt, RecordUploaded, UploadFailed, UploadPlan
from nexuslims_contracts.topology import UPLOADER
from nexuslims_shared.artifacts import read_artifact, resolve
from nexuslims_shared.consume import Handler, NotYet, by_session, growing_delay
from nexuslims_shared.errors import ConflictError
from nexuslims_shared.service import Mount, Service, Surroundings
from nexuslims_shared.settings import Settings
from nexuslims_shared.status import ended, exported, standing_uploads
from nexuslims_shared.store.port import read_session
from nexuslims_uploader.decide import Story, decide, unsay, withheld
from nexuslims_uploader.destination import (
    Destination,
    RecordToUpload,
    UploadResult,
    load_destinations,
)
from nexuslims_uploader.errors import (
    PermanentUploadError,
    TransientUploadError,
    UploaderError,
)
from nexuslims_uploader.experiment import read_experiment

log = logging.getLogger(__name__)

SOURCE: Final = "nexuslims/uploader"
PATIENCE: Final = 5
"""Attempts, over about half a minute, before a destination's absence is stated."""
_LONGEST_RETRY_AFTER: Final = timedelta(hours=1)
_SESSIONS_AT_ONCE: Final = 4

Outcome: TypeAlias = UploadResult | PermanentUploadError | TransientUploadError


def create(settings: Settings) -> Service:
    """Make the service."""
    destinations = load_destinations(settings)
    return Service(
        name="uploader",
        work=lambda around: _work(around, destinations),
        consumer=UPLOADER,
        key=by_session,
        concurrency=_SESSIONS_AT_ONCE,
        mounts=[Mount(settings.data_path, "NX_DATA_PATH", writable=True)],
    )


@asynccontextmanager
async def _work(
    around: Surroundings, destinations: tuple[Destination, ...]
) -> AsyncIterator[Handler]:
    async with AsyncExitStack() as stack:
        for destination in destinations:
            stack.push_async_callback(destination.close)
        yield Uploader(around, destinations).handle


@dataclass(slots=True)
class _Errand:
    """What is known while one batch is handled."""

    cause: Envelope
    record: RecordToUpload | None = None
    waiting: dict[str, timedelta] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)


class Uploader:
    """Takes records to destinations.

    Parameters
    ----------
    around
        The store, and the settings.
    destinations
        In order of priority.
    """

    def __init__(self, around: Surroundings, destinations: tuple[Destination, ...]) -> None:
        self._store = around.store
        self._settings = around.settings
        self._destinations = {destination.name: destination for destination in destinations}
        self._plan = UploadPlan(
            strategy=around.settings.export_strategy, destinations=tuple(self._destinations)
        )
        self._attempts: Counter[tuple[str, str, str]] = Counter()

    async def handle(self, batch: tuple[Recorded, ...]) -> None:
        """Try what is missing of one session, until nothing is, or only what is away."""
        errand = _Errand(batch[-1].envelope)
        session = batch[-1].event.session
        while True:
            story = await self._story(session)
            due = decide(unsay(story.state, errand.unsure), self._plan, errand.waiting)
            if not due:
                break
            await self._bring(self._destinations[due[0]], story, errand)
        if errand.waiting:
            raise NotYet(max(errand.waiting.values()), f"{', '.join(errand.waiting)} is away")
        await self._restate(story, errand)

    async def _bring(self, destination: Destination, story: Story, errand: _Errand) -> None:
        """Try one destination, and state what it said."""
        record = await self._record(story, errand)
        outcome = await _try(destination, record, story.results())
        attempt = (record.session, record.sha256, destination.name)
        if isinstance(outcome, TransientUploadError):
            self._attempts[attempt] += 1
            errand.waiting[destination.name] = _delay(self._attempts[attempt], outcome)
            known = destination.name in standing_uploads(story.state)
            if known or self._attempts[attempt] < PATIENCE:
                log.info("%s", outcome)
                return
        else:
            del self._attempts[attempt]
        event = self._event(destination.name, record, story, outcome)
        try:
            await self._append(event, story, errand)
        except ConflictError:
            await self._mistrust(destination.name, record, errand)
        else:
            errand.unsure.discard(destination.name)
            log.info("%s", _describe(event))

    def _event(
        self, name: str, record: RecordToUpload, story: Story, outcome: Outcome
    ) -> RecordUploaded | UploadFailed:
        former = story.state.uploads.get(name)
        common = {
            "session": record.session,
            "destination": name,
            "record_sha256": record.sha256,
            "plan": self._plan,
            "after": former.sequence if former else 0,
        }
        if isinstance(outcome, UploadResult):
            return RecordUploaded(**common, record_id=outcome.record_id, url=outcome.url)
        permanent = isinstance(outcome, PermanentUploadError)
        return UploadFailed(**common, reason=outcome.explanation, permanent=permanent)

    async def _append(
        self, event: RecordUploaded | UploadFailed, story: Story, errand: _Errand
    ) -> None:
        """State what a destination said, unless somebody spoke of it since the story was read."""
        await self._store.append(
            envelop(event, source=SOURCE, cause=errand.cause),
            expect=story.last_sequence(event.subject),
        )

    async def _mistrust(self, name: str, record: RecordToUpload, errand: _Errand) -> None:
        """Another uploader was at the same destination: if its record is newer, ours may lie on it.

        Then the current one is brought once more, whatever was said of it.
        """
        story = await self._story(record.session)
        if _record_built(story).record.sha256 != record.sha256:
            errand.unsure.add(name)
        log.info("another uploader spoke of %s meanwhile", name)

    async def _restate(self, story: Story, errand: _Errand) -> None:
        """Say once more where the record is, if by today's plan that means something else.

        So a session is done when the destination it waited for is taken out of the settings.
        """
        if withheld(story.state) or (exported(story.state) is exported(story.state, self._plan)):
            return
        for name, upload in standing_uploads(story.state).items():
            if name in self._destinations and isinstance(upload.event, RecordUploaded):
                changed = {"plan": self._plan, "after": upload.sequence}
                event = upload.event.model_copy(update=changed)
                await self._append(event, story, errand)
                return

    async def _story(self, session: str) -> Story:
        return Story.of(await read_session(self._store, session, files=False))

    async def _record(self, story: Story, errand: _Errand) -> RecordToUpload:
        built = _record_built(story)
        if errand.record is None or errand.record.sha256 != built.record.sha256:
            errand.record = await asyncio.to_thread(self._read, story, built)
        return errand.record

    def _read(self, story: Story, built: RecordBuilt) -> RecordToUpload:
        schedule = ended(story.state)
        if schedule is None or schedule.end is None:
            raise UploaderError(f"session {built.session} is not over: no record can be uploaded")
        xml = read_artifact(self._settings.records, built.record)
        zone = ZoneInfo(schedule.instrument.timezone)
        return RecordToUpload(
            session=built.session,
            xml=xml,
            sha256=built.record.sha256,
            artifact=resolve(self._settings.records, built.record.path),
            experiment=read_experiment(xml),
            instrument=schedule.instrument,
            start=schedule.start.astimezone(zone),
            end=schedule.end.astimezone(zone),
        )


def _record_built(story: Story) -> RecordBuilt:
    if story.state.record is None:
        raise UploaderError(f"session {story.state.session} has no record")
    return story.state.record.event


async def _try(
    destination: Destination, record: RecordToUpload, previous: Mapping[str, UploadResult]
) -> Outcome:
    try:
        return await destination.upload(record, previous)
    except (PermanentUploadError, TransientUploadError) as error:
        return error
    except Exception as error:
        log.exception("destination %s failed in a way it should not", destination.name)
        return TransientUploadError(
            f"the destination failed with a {type(error).__name__}",
            destination=destination.name,
            session=record.session,
            remedy="see the uploader's log, and tell the author of the plugin",
        )


def _delay(attempt: int, error: TransientUploadError) -> timedelta:
    asked = min(error.retry_after or timedelta(), _LONGEST_RETRY_AFTER)
    return max(timedelta(seconds=growing_delay(attempt)), asked)


def _describe(event: RecordUploaded | UploadFailed) -> str:
    if isinstance(event, RecordUploaded):
        return f"{event.destination} has the record as {event.record_id}"
    what = "refuses the record" if event.permanent else "is away, and will be tried again"
    return f"{event.destination} {what}: {event.reason}"
