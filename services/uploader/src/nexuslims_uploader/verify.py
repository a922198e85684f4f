"""Holding destinations and disks against the events: whether all is where they say."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from typing import Final

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.events import RecordBuilt, RecordLost, RecordUploaded, UploadPlan
from nexuslims_contracts.identifiers import digest
from nexuslims_shared.cli.progress import Update
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.errors import ArtifactError, ConflictError
from nexuslims_shared.facility import command_context
from nexuslims_shared.leases import BucketLeases, Leases
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.port import EventStore, Unreadable, read_session
from nexuslims_uploader.curation import written_before
from nexuslims_uploader.destination import Destination, load_destinations
from nexuslims_uploader.destination_calls import DestinationCalls
from nexuslims_uploader.errors import PermanentUploadError, UploaderError
from nexuslims_uploader.findings import ARTIFACTS, FILES, LINKS, Finding, Verification
from nexuslims_uploader.guarded_calls import Deferred, GuardedCalls
from nexuslims_uploader.html import is_web_address
from nexuslims_uploader.outcomes import record_lost
from nexuslims_uploader.record_reader import RecordReader
from nexuslims_uploader.record_state import RecordState
from nexuslims_uploader.verify_files import SOURCE, FileVerifier
from nexuslims_uploader.verify_links import LinkVerifier, links_are_known
from nexuslims_uploader.verify_position import Position

_AT_ONCE: Final = 8
"""Sessions that are looked at together."""
_REMEMBERED: Final = 10 * _AT_ONCE
"""Sessions whose state is remembered: each is looked at once."""
_DETAILS: Final = {
    "missing": "not all of it is there",
    "outdated": "an earlier one is there, or it is not as the settings say now",
}
_RELINKED: Final = "it may link to a record that is uploaded again"


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
    files
        Looks at artifacts and instruments' files; None if nobody is to.
    links
        Asks for the links of records; None if nobody is to.
    """

    def __init__(
        self,
        context: ServiceContext,
        destinations: Iterable[Destination],
        leases: Leases,
        *,
        repair: bool,
        files: FileVerifier | None = None,
        links: LinkVerifier | None = None,
    ) -> None:
        self._files = files
        self._links = links
        some = tuple(destinations)
        self._names = tuple(one.name for one in some)
        self._store = context.store
        self._records = context.settings.records
        self._sessions = SessionRepository(context.store, files=False, capacity=_REMEMBERED)
        self._calls = DestinationCalls(some, GuardedCalls(self._names), leases)
        self._plan = UploadPlan(strategy=context.settings.export_strategy, destinations=self._names)
        self._repair = repair

    @property
    def places(self) -> tuple[str, ...]:
        """Where something may not be well: the destinations, artifacts, files and links."""
        files = (ARTIFACTS, FILES) if self._files is not None else ()
        return (*self._names, *files, *((LINKS,) if self._links is not None else ()))

    async def verify(
        self, sessions: Iterable[str], update: Update, position: Position | None = None
    ) -> Verification:
        """Look at sessions, several at once.

        Parameters
        ----------
        sessions
            Their tokens.
        update
            Takes the progress.
        position
            What an attempt before found to be well; it is left out, and counted.
        """
        every = list(sessions)
        well = position.well if position else {}
        waiting = iter([one for one in every if one not in well])
        records = sum(well[one][0] for one in every if one in well)
        files = sum(well[one][1] for one in every if one in well)
        findings, done = list[Finding](), sum(one in well for one in every)

        async def work() -> None:
            nonlocal records, files, done
            for session in waiting:
                count, looked_at, found = await self.look_at(session)
                if position is not None and not found:
                    position.add(session, count, looked_at)
                records, files, done = records + count, files + looked_at, done + 1
                findings.extend(found)
                update(done, len(every))

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        if self._files is not None:
            findings = await self._files.name_moved(findings)
        findings.sort(key=lambda one: (one.session, one.destination, one.path))
        return Verification(records, tuple(findings), files)

    async def look_at(self, session: str) -> tuple[int, int, list[Finding]]:
        """Return how many records and files of a session were looked at, and what is not well.

        Parameters
        ----------
        session
            Its token.
        """
        found = await self._look(session)
        findings = [one for one in found if one is not None]
        if self._links is not None:
            findings += await self._look_at_links(session, self._links)
        if self._files is None:
            return len(found), 0, findings
        look = await self._files.look(session)
        return len(found), look.files, [*findings, *look.findings]

    async def _look(self, session: str) -> list[Finding | None]:
        """Look at one session's record everywhere; None for each that is well."""
        state = RecordState.of(await self._sessions.open(session))
        uploaded = [
            name
            for name, register in state.uploads.items()
            if isinstance(register.event, RecordUploaded) and name in self._names
        ]
        reader = RecordReader(self._records)
        found = {name: await self._at(name, state, reader) for name in sorted(uploaded)}
        if self._repair:
            found |= await self._relinked(found, state)
        return list(found.values())

    async def _relinked(
        self, found: dict[str, Finding | None], state: RecordState
    ) -> dict[str, Finding | None]:
        """Have entries written anew that link to a record which comes back at another address.

        Parameters
        ----------
        found
            What was found, by destination.
        state
            The record of the session.
        """
        session, results, names = state.current.session, state.results(), self._names
        lost = [
            names.index(name)
            for name, one in found.items()
            if one is not None and one.sent_again and is_web_address(results[name].url)
        ]
        return {
            name: Finding(session, name, "outdated", _RELINKED, await self._state_loss(name, state))
            for name in names[min(lost, default=len(names)) + 1 :]
            if name in found and found[name] is None
        }

    async def _look_at_links(self, session: str, links: LinkVerifier) -> list[Finding]:
        """Ask for the links of a record; of one that cannot be read there is a finding already."""
        state = RecordState.of(await self._sessions.open(session))
        pages = [one.url for one in state.results().values() if one.url.startswith("http")]
        if not state.uploads:
            return []
        try:
            record = await RecordReader(self._records).to_upload(state)
        except (ArtifactError, UnreadableRecordError):
            return []
        return await links.look(session, record.experiment, pages)

    async def _at(self, name: str, state: RecordState, reader: RecordReader) -> Finding | None:
        session = state.current.session
        try:
            record = await reader.to_upload(state)
        except (ArtifactError, UnreadableRecordError) as error:
            return Finding(session, name, "unknown", f"{error}; `nexuslims rebuild` makes it again")
        outcome = await self._calls.inspect(name, record, state.results())
        if outcome == "changed":
            history = await read_session(self._store, session, files=False)
            record = replace(record, former=written_before(history, name))
            outcome = await self._calls.inspect(name, record, state.results())
        match outcome:
            case "current":
                return None
            case "changed":
                return Finding(session, name, "changed", "it is not what we wrote last")
            case "missing" | "outdated":
                sent = self._repair and await self._state_loss(name, state)
                return Finding(session, name, outcome, _DETAILS[outcome], sent)
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


async def sessions_with_records(store: EventStore) -> list[str]:
    """List the sessions of which a record was ever built, in the order of the log."""
    return await _sessions_with(store, RecordBuilt.filter())


async def sessions_with_uploads(store: EventStore) -> list[str]:
    """List the sessions of which a record was ever uploaded, in the order of the log."""
    return await _sessions_with(store, RecordUploaded.filter())


async def _sessions_with(store: EventStore, subject: str) -> list[str]:
    found: dict[str, None] = {}
    async with aclosing(store.read(filters=(subject,))) as items:
        async for item in items:
            if not isinstance(item, Unreadable):
                found[item.event.session] = None
    return list(found)


@dataclass(frozen=True, slots=True)
class Scope:
    """What to verify.

    Parameters
    ----------
    session
        Its token; empty for all.
    destination
        Only this one, and no files; empty for all that are in use, and the files.
    hashing
        Whether instruments' files are read, too.
    repair
        Whether what is missing is to be uploaded or made again.
    restart
        Whether to forget how far an attempt before came.
    """

    session: str = ""
    destination: str = ""
    hashing: bool = False
    repair: bool = False
    restart: bool = False

    def position(self, settings: Settings) -> Position:
        """Return where it is kept how far this came.

        Parameters
        ----------
        settings
            The facility's.
        """
        same = (self.session, self.destination, self.hashing, self.repair)
        name = digest([repr(same), settings.nats_url or ""])[:16]
        return Position(settings.state_path / "verify" / name, restart=self.restart)


async def verify(settings: Settings, scope: Scope, update: Update) -> Verification:
    """Look at records, artifacts and files of one session or of all.

    Parameters
    ----------
    settings
        The facility's.
    scope
        What to look at.
    update
        Takes the progress.

    Raises
    ------
    UploaderError
        If the destination is not in use, or the state folder cannot be written.
    """
    destinations = load_destinations(settings)
    chosen = [one for one in destinations if scope.destination in ("", one.name)]
    async with AsyncExitStack() as stack:
        for one in destinations:
            stack.push_async_callback(one.close)
        if not chosen:
            names = ", ".join(one.name for one in destinations)
            raise UploaderError(f"{scope.destination} is not in use: NX_DESTINATIONS has {names}")
        context = await stack.enter_async_context(command_context(settings, "verify"))
        files, links, listed = None, None, sessions_with_uploads
        if not scope.destination:
            files = FileVerifier(context, hashing=scope.hashing, repair=scope.repair)
            links = LinkVerifier(settings) if links_are_known(settings) else None
            listed = sessions_with_records
        leases = BucketLeases(context.jetstream)
        verifier = Verifier(context, chosen, leases, repair=scope.repair, files=files, links=links)
        every = [scope.session] if scope.session else await listed(context.store)
        with scope.position(settings) as position:
            return await verifier.verify(every, update, position)
