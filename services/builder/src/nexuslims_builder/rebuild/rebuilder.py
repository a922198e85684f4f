"""Rebuilding one record from the events of its session."""

import asyncio
import difflib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nexuslims_builder.build import builder_version, compose
from nexuslims_builder.decide import is_complete
from nexuslims_builder.errors import NoRecordError
from nexuslims_builder.readings import RecentPeople, read_names, signals_held, with_long_texts
from nexuslims_builder.record_files import RecordFiles
from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.errors import UndecodableError
from nexuslims_contracts.events import RecordBuilt, RecordRejected
from nexuslims_shared.artifacts import read_artifact
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.errors import ArtifactError, ConflictError, DiskError
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState, evolve
from nexuslims_shared.session.status import WITHOUT_RECORD, is_stale, progress
from nexuslims_shared.telemetry import tracing

SOURCE: Final = "nexuslims/rebuild"
_ATTEMPTS: Final = 3
"""How often a session is decided on that others write to at the same time."""


class Kind(StrEnum):
    """What came of a session."""

    UNCHANGED = "unchanged"
    """The same bytes; nothing was written, except a file that was missing or damaged."""
    CHANGED = "changed"
    """Other bytes, or the first record."""
    REJECTED = "rejected"
    """No valid record can be made."""
    LEFT_OUT = "left out"
    """There is nothing to rebuild."""
    FAILED = "failed"
    """An event or an artifact cannot be read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one session; the detail is a reason, or the path of the record."""

    session: str
    kind: Kind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What is done with each session.

    Parameters
    ----------
    stale
        Leave out records that are up to date and of this release of the builder.
    upload
        Let changed records go to the destinations.
    dry_run
        Write no file and no event.
    """

    stale: bool = False
    upload: bool = False
    dry_run: bool = False


class Rebuilder:
    """Rebuilds records, one session at a time.

    Parameters
    ----------
    context
        The log, the people, the settings.
    job
        What to do.
    """

    def __init__(self, context: ServiceContext, job: Job) -> None:
        self._store, self._settings, self._job = context.store, context.settings, job
        self._people = RecentPeople(context.people)
        self._files = RecordFiles(context.settings.records, context.store)
        self._sessions = SessionRepository(context.store, datasets=True, capacity=1)

    async def rebuild(self, session: str) -> Outcome:
        """Rebuild the record of a session.

        Raises
        ------
        DiskError
            If the disk does not take a record.
        BrokerUnavailableError
            If the broker does not answer.
        """
        causes = await self._built_before(session) if tracing.is_on() else []
        with tracing.unit("rebuild record", session, causes, replay=True) as span:
            outcome = await self._attempt(session)
            span.set({tracing.OUTCOME: outcome.kind})
            return outcome

    async def _built_before(self, session: str) -> list[Envelope]:
        """Return the event about the last record, which the trace is linked to."""
        subject = subjects.session_subject(session, RecordBuilt.kind())
        sequence = await self._store.last_sequence(subject)
        former = await self._store.get(sequence) if sequence else None
        return [former.envelope] if isinstance(former, Recorded) else []

    async def _attempt(self, session: str) -> Outcome:
        try:
            for _ in range(_ATTEMPTS):
                try:
                    return await self._rebuild(session)
                except ConflictError:
                    continue
        except DiskError:
            raise
        except (UndecodableError, ArtifactError) as error:
            return Outcome(session, Kind.FAILED, str(error))
        return Outcome(session, Kind.LEFT_OUT, "in progress")

    async def compare(self, session: str) -> str:
        """Return how the record of a session would change, as a unified diff; empty if not at all.

        Raises
        ------
        UndecodableError
            If an event of the session cannot be read.
        ArtifactError
            If it would change, and the present record cannot be read.
        NoRecordError
            If the session has none that can be built again.
        """
        state = await self._sessions.open(session)
        if reason := self._reason_to_leave_out(state):
            raise NoRecordError(session, reason)
        outcome, xml = await self._compose(state)
        former = b""
        if state.record is not None:
            ref = state.record.event.record
            if isinstance(outcome, RecordBuilt) and outcome.record == ref:
                return ""
            former = await asyncio.to_thread(read_artifact, self._settings.records, ref)
        name = outcome.record.path if isinstance(outcome, RecordBuilt) else "rejected"
        return "".join(
            difflib.unified_diff(
                former.decode().splitlines(keepends=True),
                xml.decode().splitlines(keepends=True),
                state.record.event.record.path if state.record else "no record",
                name,
            )
        )

    async def _rebuild(self, session: str) -> Outcome:
        state = await self._sessions.open(session)
        if reason := self._reason_to_leave_out(state):
            return Outcome(session, Kind.LEFT_OUT, reason)
        outcome, xml = await self._compose(state)
        if isinstance(outcome, RecordRejected):
            if not self._job.dry_run:
                await self._store.append(envelop(outcome, source=SOURCE))
            return Outcome(session, Kind.REJECTED, outcome.reason)
        return await self._settle(state, outcome, xml)

    async def _compose(self, state: SessionState) -> tuple[RecordBuilt | RecordRejected, bytes]:
        names = await read_names(self._people, state)
        signals = await signals_held(state, self._settings, names)
        state = await with_long_texts(state, self._settings.data_path)
        return await asyncio.to_thread(compose, state, names, signals, self._settings)

    async def _settle(self, state: SessionState, built: RecordBuilt, xml: bytes) -> Outcome:
        """Write what differs from what the log and the folder hold."""
        former = state.record
        same = former is not None and former.event.record == built.record
        kind = Kind.UNCHANGED if same else Kind.CHANGED
        outcome = Outcome(state.session, kind, built.record.path)
        if self._job.dry_run:
            return outcome
        if same and self._is_current(state):
            await self._write_if_lost(state, built, xml)
            return outcome
        event = built.model_copy(
            update={
                "upload": self._job.upload or (same and former is not None and former.event.upload),
                "replaces": former.sequence if former else 0,
            }
        )
        expected = former.sequence if former else 0
        envelope = envelop(event, source=SOURCE)
        await self._files.stage(event, xml, after=state)
        try:
            stored = await self._store.append(envelope, expect=expected)
        except ConflictError:
            await self._files.discard(state.session)
            raise
        recorded = Recorded(envelope, stored.sequence, envelope.time)
        await self._settle_newest(evolve(state, recorded))
        return outcome

    async def _settle_newest(self, state: SessionState) -> None:
        """Have the newest record stand in the folder: ours, or that of who was here meanwhile.

        Raises
        ------
        ConflictError
            If that record is lost.
        """
        while True:
            stands = await self._files.settle(state)
            last = await self._store.last_sequence(subjects.of_session(state.session))
            if last == state.through:
                break
            state = await self._sessions.open(state.session, through=last)
        if not stands:
            raise ConflictError(f"the record of {state.session} was replaced meanwhile")

    async def _write_if_lost(self, state: SessionState, built: RecordBuilt, xml: bytes) -> None:
        """Write the file of a record again that is missing or damaged."""
        if not await self._files.stands(state) and not await self._files.settle(state):
            await self._files.stage(built, xml)
            await self._files.settle(state)

    def _is_current(self, state: SessionState) -> bool:
        """Tell whether the log need not state the same bytes once more."""
        record = state.record
        return (
            record is not None
            and state.built is not None
            and state.built.sequence == record.sequence
            and not _is_outdated(state)
            and (record.event.upload or not self._job.upload)
        )

    def _reason_to_leave_out(self, state: SessionState) -> str:
        """Return why a session has no record to rebuild; empty if it has one."""
        if not state.through:
            return "no such session"
        at = progress(state)
        if at.status in WITHOUT_RECORD:
            return at.phase
        if state.built is None or not is_complete(state):
            return "in progress"
        if self._job.stale and not _is_outdated(state):
            return "up to date"
        return ""


def _is_outdated(state: SessionState) -> bool:
    """Tell whether the record lacks an input, or was built by another release."""
    return is_stale(state) or (
        state.built is not None and state.built.event.builder != builder_version()
    )
