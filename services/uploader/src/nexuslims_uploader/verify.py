"""Holding the destinations against the events: whether each record is where they say."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Final, Literal

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.events import RecordLost, RecordUploaded, UploadPlan
from nexuslims_shared.cli.progress import Update
from nexuslims_shared.context import ServiceContext, service_context
from nexuslims_shared.errors import ArtifactError, ConflictError
from nexuslims_shared.leases import BucketLeases, Leases
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.port import EventStore, Unreadable
from nexuslims_uploader.destination import Destination, load_destinations
from nexuslims_uploader.destination_calls import DestinationCalls
from nexuslims_uploader.errors import PermanentUploadError, UploaderError
from nexuslims_uploader.guarded_calls import Deferred, GuardedCalls
from nexuslims_uploader.outcomes import record_lost
from nexuslims_uploader.record_reader import RecordReader
from nexuslims_uploader.record_state import RecordState

SOURCE: Final = "nexuslims/verify"
_AT_ONCE: Final = 8
"""Sessions that are looked at together."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A record that is not as the events say.

    Parameters
    ----------
    session, destination
        Which record, and where.
    problem
        ``missing`` at the destination, ``changed`` there by a person, or ``unknown`` where nobody
        could say.
    detail
        For people.
    sent_again
        Whether it was requested that the record is uploaded again.
    """

    session: str
    destination: str
    problem: Literal["missing", "changed", "unknown"]
    detail: str
    sent_again: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, and what is not as it should be."""

    records: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether every record is there, or on its way again."""
        return all(one.sent_again for one in self.findings)


class Verifier:
    """Looks at destinations, and changes nothing there.

    Parameters
    ----------
    context
        The event store, and the settings.
    destinations
        Those to look at.
    leases
        Who is at work where, of all uploaders.
    repair
        Whether to state that a missing record is lost: then the uploader uploads it again.
    """

    def __init__(
        self,
        context: ServiceContext,
        destinations: Iterable[Destination],
        leases: Leases,
        *,
        repair: bool,
    ) -> None:
        some = tuple(destinations)
        self._names = tuple(one.name for one in some)
        self._store = context.store
        self._records = context.settings.records
        self._sessions = SessionRepository(context.store, files=False)
        self._calls = DestinationCalls(some, GuardedCalls(self._names), leases)
        self._plan = UploadPlan(strategy=context.settings.export_strategy, destinations=self._names)
        self._repair = repair

    async def verify(self, sessions: Iterable[str], update: Update) -> Verification:
        """Look at the records of sessions, several at once.

        Parameters
        ----------
        sessions
            Their tokens.
        update
            Takes the progress.
        """
        every = list(sessions)
        waiting = iter(every)
        records, findings, done = 0, list[Finding](), 0

        async def work() -> None:
            nonlocal records, done
            for session in waiting:
                found = await self._look(session)
                records += len(found)
                findings.extend(one for one in found if one is not None)
                done += 1
                update(done, len(every))

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        findings.sort(key=lambda one: (one.session, one.destination))
        return Verification(records, tuple(findings))

    async def _look(self, session: str) -> list[Finding | None]:
        """Look at one session's record everywhere; None for each that is well."""
        state = RecordState.of(await self._sessions.open(session))
        uploaded = [
            name
            for name, register in state.uploads.items()
            if isinstance(register.event, RecordUploaded) and name in self._names
        ]
        reader = RecordReader(self._records)
        return [await self._at(name, state, reader) for name in sorted(uploaded)]

    async def _at(self, name: str, state: RecordState, reader: RecordReader) -> Finding | None:
        session = state.current.session
        try:
            record = await reader.to_upload(state)
        except (ArtifactError, UnreadableRecordError) as error:
            return Finding(session, name, "unknown", f"{error}; `nexuslims rebuild` makes it again")
        outcome = await self._calls.inspect(name, record, state.results())
        match outcome:
            case "current":
                return None
            case "changed":
                return Finding(session, name, "changed", "it is not what we wrote last")
            case "missing":
                sent = self._repair and await self._state_loss(name, state)
                return Finding(session, name, "missing", "not all of it is there", sent)
            case Deferred(reason=reason) | PermanentUploadError(explanation=reason):
                return Finding(session, name, "unknown", reason)

    async def _state_loss(self, name: str, state: RecordState) -> bool:
        event: RecordLost = record_lost(state, self._plan, name)
        try:
            await self._store.append(
                envelop(event, source=SOURCE), expect=state.last_sequence(event)
            )
        except ConflictError:
            return True  # somebody else has found it, too
        return True


async def sessions_with_uploads(store: EventStore) -> list[str]:
    """List the sessions of which a record was ever uploaded, in the order of the log."""
    found: dict[str, None] = {}
    async with aclosing(store.read(filters=(RecordUploaded.filter(),))) as items:
        async for item in items:
            if not isinstance(item, Unreadable):
                found[item.event.session] = None
    return list(found)


async def verify(
    settings: Settings, session: str, destination: str, update: Update, *, repair: bool
) -> Verification:
    """Look at the records of one session or of all.

    Parameters
    ----------
    settings
        The facility's.
    session
        Its token; empty for all.
    destination
        The only one to look at; empty for all that are in use.
    update
        Takes the progress.
    repair
        Whether missing records are to be uploaded again.

    Raises
    ------
    UploaderError
        If the destination is not in use.
    """
    destinations = load_destinations(settings)
    chosen = [one for one in destinations if destination in ("", one.name)]
    async with AsyncExitStack() as stack:
        for one in destinations:
            stack.push_async_callback(one.close)
        if not chosen:
            names = ", ".join(one.name for one in destinations)
            raise UploaderError(f"{destination} is not in use: NX_DESTINATIONS has {names}")
        context = await stack.enter_async_context(service_context(settings, "verify"))
        verifier = Verifier(context, chosen, BucketLeases(context.jetstream), repair=repair)
        every = [session] if session else await sessions_with_uploads(context.store)
        return await verifier.verify(every, update)
