"""After each look: which sessions it concerns, what is decided of them, and the events of it."""

import logging
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from nexuslims_contracts.envelope import Envelope, Recorded, envelop
from nexuslims_contracts.errors import UndecodableError
from nexuslims_contracts.events import MetadataExtracted
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.subjects import file_subject
from nexuslims_indexer.access import EventAccess, ScanPolicy
from nexuslims_indexer.claims import Booked, Claim, Sessions
from nexuslims_indexer.decide import Found, Statement, Window, decide
from nexuslims_indexer.gather import Evidence, batches, gather
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.model import FoundFile, Growing, Seen
from nexuslims_indexer.people import FolderNames
from nexuslims_indexer.place import Place, nanoseconds
from nexuslims_indexer.rules_brake import RulesBrake, loss
from nexuslims_indexer.schedule import QUIET
from nexuslims_indexer.session_files import held, paths_of, paths_of_held, time_inside
from nexuslims_indexer.threads import in_thread
from nexuslims_indexer.touched import has_bytes, suspects
from nexuslims_indexer.tracked_sessions import TrackedSession, TrackedSessions, TreeKey
from nexuslims_indexer.warn import Warnings
from nexuslims_shared.logs import about
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.telemetry import tracing

log = logging.getLogger(__name__)

SOURCE: Final = "nexuslims/indexer"
_MOST_DOUBTS: Final = 500
"""Files of one pass whose own time is asked for."""


class ManifestUpdater:
    """Brings the manifests of the sessions of one folder up to date after each look.

    Parameters
    ----------
    place, policy
        The folder, and how its files are given to sessions.
    index, thread
        What was seen, and the one thread in which the index is used.
    tracked
        The sessions.
    events
        Where to state what was decided.
    folder_names
        What folders of people may be called.
    warnings
        What an operator must know.
    brake
        Holds back rules that would take files from many records, until an operator approves.
    """

    def __init__(
        self,
        place: Place,
        *,
        policy: ScanPolicy,
        index: FolderIndex,
        thread: ThreadPoolExecutor,
        tracked: TrackedSessions,
        events: EventAccess,
        folder_names: FolderNames,
        warnings: Warnings,
        brake: RulesBrake,
    ) -> None:
        self.brake = brake
        self.failed: dict[str, Exception] = {}
        self.causes: dict[str, Envelope] = {}
        self.warnings = warnings
        self._place, self._policy = place, policy
        self._index, self._thread, self._tracked, self._events = index, thread, tracked, events
        self._folder_names = folder_names
        self._evidence = Evidence()
        self._marked: set[str] = set()
        self._spans: dict[str, tuple[int, int]] = {}
        self._doubtful: set[str] = set()
        self._to_compare: set[str] = set()
        self._booked: dict[str, tuple[tuple[int, int], Booked]] = {}

    def mark(self, sessions: Iterable[str]) -> None:
        """Decide again about sessions, and those near them."""
        self._marked |= set(sessions)

    async def update(self, seen: Seen) -> None:
        """Decide about all sessions that something new concerns.

        Parameters
        ----------
        seen
            By the looks.
        """
        number, times = await in_thread(self._thread, self._index.pending)
        now = datetime.now(UTC)
        self._doubtful |= (kept := await in_thread(self._thread, self._index.doubtful))
        sessions = await self._sessions()
        wanted = self._affected(sessions, sorted(times), now)
        self._to_compare = set()
        if seen.is_first:
            wanted = self._with_those_to_compare(sessions, wanted, now)
        self.failed.clear()
        if times:
            await self._recognise(sessions, wanted)
        if seen.is_first:
            await self._read_those_that_differ(sessions, wanted)
        if seen.has_other_rules and await self._must_wait(sessions, wanted, seen, now):
            wanted = [one for one in wanted if one.session not in self._to_compare]
        if times or wanted:
            await self.warnings.check_times(now)
        for batch in batches(wanted):
            await self._decide_batch(sessions, batch, seen, now)
        if self._doubtful != kept:
            await in_thread(self._thread, self._index.put_doubtful, self._doubtful)
        await in_thread(self._thread, self._index.settle_pending, number)
        self._index.release()
        if wanted:
            await self._events.catch_up()

    # --- which sessions ---

    async def _sessions(self) -> Sessions:
        """Return all sessions of the instrument as the calendar tells them now."""
        booked = {}
        for tracked in self._tracked.of(self._place.folder):
            if tracked.start is not None and tracked.tree is not None:
                known = self._booked.get(tracked.session)
                version = (tracked.scheduled, tracked.booked)
                if known is None or known[0] != version:
                    known = version, await self._as_booked(tracked, tracked.start, tracked.tree)
                booked[tracked.session] = known
        self._booked = booked
        return Sessions([one for _, one in booked.values()])

    async def _as_booked(self, tracked: TrackedSession, start: datetime, key: TreeKey) -> Booked:
        names = (tracked.session, tracked.calendar_event)
        rules = self._place.rules(key)
        return Booked(
            tracked.session,
            *rules.clock.span(start, tracked.end),
            rules=rules.claims,
            declined=tracked.consent is False,
            user_names=await self._folder_names.of(tracked.user) if tracked.user else frozenset(),
            own_names=frozenset(name.lower() for name in names if name),
        )

    def _affected(self, sessions: Sessions, times: Sequence[int], now: datetime) -> list[Booked]:
        """Return the sessions to decide about: something near them changed, or they are new."""
        chosen = self._near_marked(sessions)
        for one in sessions.booked:
            tracked = self._tracked.by_token[one.session]
            if tracked.is_abandoned(now):
                chosen.discard(one.session)
            elif (
                not tracked.is_decided(now)
                or one.session in self._doubtful
                or _any_between(times, one)
                or (times and one.rules.folders == "session")
            ):
                chosen.add(one.session)
        return [
            one
            for one in sessions.booked
            if one.session in chosen
            and self._tracked.by_token[one.session].consent
            and not self._has_just_ended(one.session, now)
        ]

    def _has_just_ended(self, session: str, now: datetime) -> bool:
        end = self._tracked.by_token[session].end
        return end is not None and end > now - QUIET

    def _with_those_to_compare(
        self, sessions: Sessions, wanted: list[Booked], now: datetime
    ) -> list[Booked]:
        """Add all that were decided about, to decide again about those that have others now."""
        chosen = {one.session for one in wanted}
        by_token = self._tracked.by_token
        self._to_compare = {
            one.session
            for one in sessions.booked
            if by_token[one.session].is_decided(now) and by_token[one.session].consent
        } - chosen
        return [one for one in sessions.booked if one.session in chosen | self._to_compare]

    def _is_as_stated(self, session: str, claims: Mapping[FoundFile, Claim]) -> bool:
        """Tell whether a session has the files that were stated last, as far as that is all."""
        tokens = [file.token for file, claim in claims.items() if claim.session == session]
        tracked = self._tracked.by_token[session]
        if not tracked.has_files:
            return not tokens
        return digest(sorted(tokens)) == tracked.files_digest

    def _near_marked(self, sessions: Sessions) -> set[str]:
        """Return the sessions near those of which the calendar says something new."""
        marked, self._marked = self._marked, set()
        spans = [self._spans[one] for one in marked if one in self._spans]
        self._spans = {one.session: (one.start_ns, one.last_ns) for one in sessions.booked}
        spans += [self._spans[one] for one in marked if one in self._spans]
        return {booked.session for span in spans for booked in sessions.overlapping(*span)}

    # --- what they have ---

    async def _decide_batch(
        self, sessions: Sessions, batch: list[Booked], seen: Seen, now: datetime
    ) -> None:
        await self._read_holders(sessions, batch)
        found = await self._gather(sessions, batch)
        if await self._read_inside(sessions, found):
            found = await self._gather(sessions, batch)
        await self.warnings.check_clock(sessions, batch)
        for one in batch:
            claims = found.pop(one.session)
            if one.session in self._to_compare and self._is_as_stated(one.session, claims):
                continue
            with about(one.session):
                await self._decide_one(one, claims, sessions, seen, now)

    async def _gather(
        self, sessions: Sessions, batch: list[Booked]
    ) -> dict[str, dict[FoundFile, Claim]]:
        evidence = self._evidence
        return await in_thread(self._thread, gather, self._index, sessions, batch, evidence)

    async def _read_holders(self, sessions: Sessions, batch: Sequence[Booked]) -> None:
        """Ask the events of sessions, and those that share time with them, what they keep."""
        own = {one.session for one in batch} - self._to_compare
        near = {
            other.session
            for one in batch
            for other in sessions.overlapping(one.start_ns, one.end_ns)
            if other is not one
        }
        await self._read_held(own | near)

    async def _read_held(self, sessions: Iterable[str]) -> None:
        for session in sessions:
            if self._tracked.by_token[session].scanned and (state := await self._opened(session)):
                self._evidence.take(session, held(state), paths_of_held(state))

    async def _opened(self, session: str, through: int = 0) -> SessionState | None:
        """Return the state of a session; None where a newer release wrote of it: it fails alone."""
        try:
            return await self._events.sessions.open(session, through=through)
        except UndecodableError as error:
            log.warning("%s", error)
            self.failed[session] = error
            return None

    async def _recognise(self, sessions: Sessions, wanted: Sequence[Booked]) -> None:
        """Find files that only another time takes from their session: they have the same bytes."""
        touched = self._evidence.touched
        if not touched:
            for file, session in await in_thread(self._thread, self._index.touched):
                self._evidence.touch(file, session)
        for one in wanted:
            tracked = self._tracked.by_token[one.session]
            if not tracked.has_files or one.session in self._to_compare:
                continue
            if (state := await self._opened(one.session, tracked.scanned)) is None:
                continue
            files = await in_thread(self._thread, suspects, self._index, state)
            for token, (file, sha256) in files.items():
                if token in touched or self._evidence.claim(file, sessions).session == one.session:
                    continue
                same = await in_thread(self._thread, has_bytes, self._place.root, file, sha256)
                owner = one.session if same else ""
                self._evidence.touch(file, owner)
                await in_thread(self._thread, self._index.put_touched, file, owner)

    async def _read_those_that_differ(self, sessions: Sessions, wanted: list[Booked]) -> None:
        """Ask sessions that do not have what time alone would give them, before any is decided."""
        for batch in batches(wanted):
            found = await self._gather(sessions, batch)
            await self._read_held(
                one.session
                for one in batch
                if one.session in self._to_compare
                and not self._is_as_stated(one.session, found[one.session])
            )

    async def _must_wait(
        self, sessions: Sessions, wanted: Sequence[Booked], seen: Seen, now: datetime
    ) -> bool:
        """Tell whether the rules that are set would take too much from records at once."""
        losses: dict[str, str] = {}
        for batch in batches(one for one in wanted if one.session in self._to_compare):
            found = await self._gather(sessions, batch)
            for one in batch:
                claims = found[one.session]
                if self._is_as_stated(one.session, claims):
                    continue
                decision = await self._decision(one, claims, sessions, seen, now)
                if decision and (reason := loss(decision[0], decision[1])):
                    losses[one.session] = reason
        return await self.brake.holds(losses, len(sessions.booked))

    async def _read_inside(
        self, sessions: Sessions, found: Mapping[str, Mapping[FoundFile, Claim]]
    ) -> bool:
        """Read when files say they were made of which it is not sure whose they are."""
        doubtful: dict[str, tuple[str, FoundFile]] = {}
        for claims in found.values():
            for file, claim in claims.items():
                if len(doubtful) < _MOST_DOUBTS and claim.session and sessions.is_doubtful(file):
                    subject = file_subject(claim.session, file.token, MetadataExtracted.kind())
                    if file.token not in self._evidence.inside:
                        doubtful[subject] = (file.token, file)
        items = await self._events.store.read_last(tuple(doubtful)) if doubtful else None
        is_new = False
        for item in items or ():
            if isinstance(item, Recorded) and isinstance(item.event, MetadataExtracted):
                token, file = doubtful[item.event.subject]
                self._evidence.inside[token] = time_inside(item.event, file)
                is_new |= self._evidence.inside[token] is not None
        return is_new

    async def _decide_one(
        self,
        one: Booked,
        claims: dict[FoundFile, Claim],
        sessions: Sessions,
        seen: Seen,
        now: datetime,
    ) -> None:
        tracked = self._tracked.by_token[one.session]
        asked = max(tracked.scheduled, tracked.asked)
        decision = await self._decision(one, claims, sessions, seen, now)
        if decision is None:
            return
        state, statement, found = decision
        self._note_doubts(one, claims, statement, tracked, now)
        if any(path in found.growing for path in paths_of(state)):
            self._doubtful.add(one.session)  # what a file of it becomes may lie far from its time
        await self._state(one.session, statement, self.causes.get(one.session))
        self.causes.pop(one.session, None)
        tracked.decided = asked

    async def _decision(
        self,
        one: Booked,
        claims: dict[FoundFile, Claim],
        sessions: Sessions,
        seen: Seen,
        now: datetime,
    ) -> tuple[SessionState, Statement, Found] | None:
        tracked = self._tracked.by_token[one.session]
        if tracked.start is None or tracked.instrument is None:
            return None
        if (state := await self._opened(one.session, tracked.scanned)) is None:
            return None
        window = Window(tracked.instrument, tracked.start, tracked.end)
        found = await self._found(
            one, claims, sessions=sessions, state=state, window=window, seen=seen, now=now
        )
        statement = decide(
            state,
            window,
            found,
            lambda file: self._evidence.claim(file, sessions),
            strategy=self._policy.strategy,
            now=now,
            delay=self._policy.delay,
            sweep=self._policy.sweep,
        )
        return state, statement, found

    async def _found(
        self,
        one: Booked,
        claims: dict[FoundFile, Claim],
        *,
        sessions: Sessions,
        state: SessionState,
        window: Window,
        seen: Seen,
        now: datetime,
    ) -> Found:
        places = paths_of(state) - {file.path for file in claims}
        near = {path for path, file in seen.growing.items() if self._is_near(file, one)}
        folder, since = window.instrument.filestore, nanoseconds(window.start)
        elsewhere = await in_thread(self._thread, self._index.locate, places)
        return Found(
            claims,
            elsewhere,
            await in_thread(self._thread, self._index.companions, places - elsewhere.keys()),
            frozenset(near | (seen.growing.keys() & places)),
            seen.unreadable,
            any(place.may_hide(folder, since) for place in seen.unreadable),
            await self.warnings.notes(sessions, window, now, has_files=bool(claims)),
        )

    def _is_near(self, file: Growing, one: Booked) -> bool:
        return one.start_ns < file.mtime_ns <= one.last_ns

    def _note_doubts(
        self,
        one: Booked,
        claims: dict[FoundFile, Claim],
        statement: Statement,
        tracked: TrackedSession,
        now: datetime,
    ) -> None:
        """Decide again when more files were read: when they were made, and what bytes they have."""
        is_open = tracked.end is not None and now < tracked.end + self._policy.delay
        if is_open and (
            statement.is_missing_files or any(claim.others for claim in claims.values())
        ):
            self._doubtful.add(one.session)
        else:
            self._doubtful.discard(one.session)

    async def _state(self, session: str, statement: Statement, cause: Envelope | None) -> None:
        """Files first: a manifest is complete when it is stated."""
        store = self._events.store
        events = [envelop(event, source=SOURCE, cause=cause) for event in statement.files]
        if not events and statement.session is None:
            return
        with tracing.unit("state files", session, [cause] if cause else []):
            if events:
                await store.append_all(events)
            if statement.session is not None:
                await store.append(envelop(statement.session, source=SOURCE, cause=cause))
            kind = statement.session.type_name() if statement.session else "session in use"
            log.info("%d events about files: %s", len(events), kind)


def _any_between(times: Sequence[int], one: Booked) -> bool:
    """Tell whether one of some times, in order, is in a session's reach."""
    place = bisect_right(times, one.start_ns)
    return place < len(times) and times[place] <= one.last_ns
