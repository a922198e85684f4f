"""The extractor: reads the files that were indexed, each in a worker process.

A file is read once; on request those that failed, those of one extractor, or all, are read again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.events import (
    ExtractionFailed,
    FailureKind,
    FileIndexed,
    FileSuperseded,
    MetadataExtracted,
    RebuildRequested,
    RetryRequested,
)
from nexuslims_contracts.topology import EXTRACTOR
from nexuslims_extractor.cage.reading import Job
from nexuslims_extractor.cage.walls import Walls
from nexuslims_extractor.checks import describe
from nexuslims_extractor.errors import NoWorkerError, ProfileError
from nexuslims_extractor.extraction import Extraction
from nexuslims_extractor.outcome import to_event
from nexuslims_extractor.profiles import load_profiles
from nexuslims_extractor.share import SHARE_DELAY, look, require_share
from nexuslims_extractor.workers import MEBIBYTE, Limits, WorkerPool
from nexuslims_formats.model import InstrumentContext
from nexuslims_formats.registry import file_kinds
from nexuslims_shared.artifacts import commit_artifact, owner_of, resolve
from nexuslims_shared.consume import Handler, RetryLater
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.health import Check
from nexuslims_shared.published_kinds import PublishedKinds
from nexuslims_shared.service import Mount, Service, ServiceContext
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import FileState
from nexuslims_shared.settings import Settings
from nexuslims_shared.telemetry import tracing
from nexuslims_shared.telemetry.metrics import EXTRACTION, EXTRACTION_FAILURES

log = logging.getLogger(__name__)

SOURCE: Final = "nexuslims/extractor"
_PERHAPS_THE_SHARE: Final = ("timeout", "missing", "unreadable", "failed")
_LOST_DELAY: Final = timedelta(seconds=2)
_WORKERS_DELAY: Final = timedelta(seconds=5)


def create(settings: Settings) -> Service:
    """Make the service.

    Raises
    ------
    SettingsError
        If the facility's profiles cannot be used.
    """
    try:
        load_profiles(settings.local_profiles_path)
    except ProfileError as error:
        raise SettingsError(f"NX_LOCAL_PROFILES_PATH: {error}") from error
    pools: list[WorkerPool] = []
    return Service(
        name="extractor",
        work=partial(_work, pools=pools),
        consumer=EXTRACTOR,
        concurrency=settings.extractor_workers + 1,
        backlog=4 * settings.extractor_workers,
        mounts=[
            Mount(settings.instrument_data_path, "NX_INSTRUMENT_DATA_PATH"),
            Mount(settings.data_path, "NX_DATA_PATH", writable=True),
        ],
        checks=[_check_workers(pools)],
    )


def _check_workers(pools: Sequence[WorkerPool]) -> Check:
    async def problem() -> str:
        return await pools[0].trouble() if pools else ""

    return Check("workers", problem)


@asynccontextmanager
async def _work(context: ServiceContext, pools: list[WorkerPool]) -> AsyncIterator[Handler]:
    settings = context.settings
    await PublishedKinds.of(context.jetstream).publish(await asyncio.to_thread(file_kinds))
    limits = Limits(
        seconds=settings.extractor_timeout,
        memory=settings.extractor_memory_mb * MEBIBYTE,
        files_per_worker=settings.extractor_recycle,
    )
    log.info("walls around readers: %s", describe(Walls.of_host()))
    async with WorkerPool(settings.extractor_workers, limits) as pool:
        pools[:] = [pool]
        yield Reader(context, pool).handle
        pools.clear()


class Reader:
    """Reads files and tells what became of them."""

    def __init__(self, context: ServiceContext, pool: WorkerPool) -> None:
        self._store = context.store
        self._sessions = SessionRepository(context.store)
        self._settings, self._people = context.settings, context.people
        self._pool = pool

    async def handle(self, batch: tuple[Recorded, ...]) -> None:
        """Read one file, or the files that a request concerns."""
        for recorded in batch:
            match recorded.event:
                case FileIndexed() as file:
                    if not await self._settled(file, recorded.sequence):
                        await self._read(file, recorded.envelope)
                case RebuildRequested(re_extract=True, request=request, extractor=name):
                    await self._again(recorded, request, lambda file: name in ("", file.extractor))
                case RetryRequested(request=request):
                    await self._again(recorded, request, lambda file: file.extracted is None)

    async def _settled(self, file: FileIndexed, sequence: int) -> bool:
        """Tell whether a message came again although its file was read, or could not be.

        A file that was read needs no second reading when it comes back; one that was away does.
        One that left its session since it was found is awaited by nobody.
        """
        filters = (subjects.file_subject(file.session, file.file, "*"),)
        items = await self._store.read_last(filters, through=sequence, datasets=False)
        last = {item.subject.rpartition(".")[2]: item.sequence for item in items or ()}
        if read := last.get(MetadataExtracted.kind()):
            return await self._stands(read)
        ends = (last.get(kind.kind(), 0) for kind in (ExtractionFailed, FileSuperseded))
        return max(ends) > sequence

    async def _stands(self, sequence: int) -> bool:
        """Tell whether the artifacts of a reading are there; commit them if nobody could yet."""
        item = await self._store.get(sequence)
        if isinstance(item, Recorded) and isinstance(item.event, MetadataExtracted):
            try:
                await self._commit(item.event)
            except RetryLater as lost:
                log.warning("%s: it is read again", lost)
                return False
        return True

    async def _again(
        self, recorded: Recorded, request: str, concerned: Callable[[FileState], bool]
    ) -> None:
        """Read the files again that a request concerns and that were not read since."""
        session = recorded.event.session
        state = await self._sessions.open(session, through=recorded.sequence)
        files = [
            file.indexed.event
            for file in state.current_files().values()
            if file.indexed is not None
            and not file.settled(recorded.sequence)
            and concerned(file)
            and _known_before(file, recorded.sequence)
        ]
        if files:
            log.info("%d files are read again", len(files))
        outcomes = await asyncio.gather(
            *(self._read_again(file, recorded.envelope, request) for file in files),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _read_again(self, file: FileIndexed, cause: Envelope, request: str) -> None:
        """Read one file of a request, which may concern thousands: each is a trace of its own."""
        with tracing.unit(
            "read file again", file.session, replay=True, attributes={tracing.FILE: file.file}
        ):
            await self._read(file, cause, request)

    async def _read(self, file: FileIndexed, cause: Envelope, request: str = "") -> None:
        path = resolve(self._settings.instrument_data_path, file.disk_path)
        problem = await look(path, partial(self._problem, path, file))
        if problem is not None:
            failure, reason = problem
            event: MetadataExtracted | ExtractionFailed = ExtractionFailed(
                session=file.session,
                file=file.file,
                failure=failure,
                reason=reason,
                request=request,
            )
        else:
            extraction = await self._extract(path, file)
            if extraction.failure in _PERHAPS_THE_SHARE:
                await look(path, partial(require_share, path, self._folder(file)))
            event = to_event(extraction, file, request)
            await self._people.remember_operators(extraction.people)
        stored = await self._store.append(envelop(event, source=SOURCE, cause=cause))
        if isinstance(event, ExtractionFailed):
            log.warning("%s: %s: %s", file.path, event.failure, event.reason)
        elif await self._store.last_sequence(event.subject) == stored.sequence:
            await self._commit(event)

    async def _commit(self, event: MetadataExtracted) -> None:
        """Have the artifacts stand that the newest event about a file names.

        Raises
        ------
        RetryLater
            If one does not, because another extractor was at work: the file is read again.
        """
        previews = [dataset.preview for dataset in event.datasets if dataset.preview]
        for ref in (*event.artifacts, *previews):
            owner = owner_of(ref.path)
            if not await asyncio.to_thread(
                commit_artifact, self._settings.data_path, ref, owner=owner
            ):
                raise RetryLater(_LOST_DELAY, f"{ref.path} is not what its event says")

    async def _extract(self, path: Path, file: FileIndexed) -> Extraction:
        """Have a worker read a file, and note how long it took and what came of it."""
        attributes = {tracing.FILE: file.file}
        with tracing.span("extract", attributes) as span, EXTRACTION.timing() as ends:
            key = await self._people.operator_key()
            try:
                extraction = await self._pool.extract(self._job(path, file, key))
            except NoWorkerError as error:
                raise RetryLater(_WORKERS_DELAY, str(error)) from error
            reader, failure = extraction.extractor, extraction.failure
            ends(reader.name, extraction.outcome)
            span.set(
                {
                    tracing.EXTRACTOR: f"{reader.name} {reader.version}",
                    tracing.OUTCOME: extraction.outcome,
                }
            )
            if failure is not None:
                EXTRACTION_FAILURES.labels(reader.name, failure).inc()
                span.fail(failure)
        return extraction

    def _problem(self, path: Path, file: FileIndexed) -> tuple[FailureKind, str] | None:
        """Make sure that the file is the one that was indexed, before a worker takes it up."""
        folder = self._folder(file)
        if not folder.is_dir():
            raise RetryLater(SHARE_DELAY, f"{folder} is not there: is the share mounted?")
        try:
            found = path.stat()
        except FileNotFoundError:
            return "missing", f"{file.path} is gone; it is read when it is back"
        except OSError as error:
            require_share(path, folder)
            return "unreadable", f"{file.path}: {error.strerror}"
        if not _is_within(path, self._settings.instrument_data_path, folder):
            return "unreadable", f"{file.path} is a link that leads out of the instrument's folder"
        if (found.st_size, found.st_mtime_ns) != (file.size, file.mtime_ns):
            return (
                "changed",
                f"{file.path} changed after it was found; it is read when at rest",
            )
        return None

    def _job(self, path: Path, file: FileIndexed, people_key: bytes) -> Job:
        return Job(
            path=path,
            instrument=InstrumentContext(file.instrument.pid, file.instrument.timezone),
            profiles=self._settings.local_profiles_path,
            relative_path=file.path,
            artifacts_root=self._settings.data_path,
            previews=True,
            people_key=people_key,
            stage=True,
            within=(
                self._settings.instrument_data_path,
                self._folder(file),
            ),
        )

    def _folder(self, file: FileIndexed) -> Path:
        return resolve(self._settings.instrument_data_path, file.instrument.filestore)


def _is_within(path: Path, *folders: Path) -> bool:
    """Whether a path with all its links followed lies in one of the folders.

    The folders themselves may be links: an operator made them. What is in them, users make.
    """
    real = path.resolve()
    return any(real.is_relative_to(folder.resolve()) for folder in folders)


def _known_before(file: FileState, sequence: int) -> bool:
    """Files found after a request have an event of their own to read them by."""
    return file.indexed is not None and file.indexed.sequence < sequence
