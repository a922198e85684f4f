"""The files of records: staged before their event is stored, committed after it.

In the records folder stands what the newest RecordBuilt of each session says, and nothing of a
session of which no record may be shown.
"""

import asyncio
import hashlib
import time
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import RecordBuilt
from nexuslims_contracts.subjects import session_subject
from nexuslims_shared.artifacts import (
    Staged,
    commit_artifact,
    discard_staged,
    keep_aside,
    remove_artifact,
    sha256_of,
    stage_artifact,
    staged_files,
    staged_owners,
)
from nexuslims_shared.session.state import Register, SessionState
from nexuslims_shared.session.status import withdrawn
from nexuslims_shared.store.port import EventStore

_ABANDONED_AFTER_S: Final = 3600.0
"""A record that was staged so long ago and that no event names was left by a dead process."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A record that this process staged, and the one before it; None where there was none."""

    staged: Staged
    former: ArtifactRef | None


class RecordFiles:
    """The records folder.

    Parameters
    ----------
    folder
        The folder.
    store
        Where the events are.
    """

    def __init__(self, folder: Path, store: EventStore) -> None:
        self._folder = folder
        self._store = store
        self._written: dict[str, _Written] = {}
        """By session, what was staged for an event that is stored only if none came in between."""

    async def stage(
        self, built: RecordBuilt, xml: bytes, *, after: SessionState | None = None
    ) -> None:
        """Write a record that no event names yet.

        Parameters
        ----------
        built
            The event that is to be stored.
        xml
            The record.
        after
            The state that it was built from, if the event is stored only while that state's record
            is the newest one: then :meth:`settle` need not look for the ones before.

        Raises
        ------
        DiskError
            If the disk does not take it.
        """
        staged = await asyncio.to_thread(
            stage_artifact, self._folder, built.record.path, xml, owner=built.session
        )
        self._written.pop(built.session, None)
        if after is not None:
            former = after.record.event.record if after.record else None
            self._written[built.session] = _Written(staged, former)

    async def discard(self, session: str) -> None:
        """Remove the record that was staged last: its event was not stored."""
        written = self._written.pop(session, None)
        if written is not None:
            await asyncio.to_thread(written.staged.discard)

    async def settle(self, state: SessionState) -> bool:
        """Have what the newest event says stand in the folder; False if that record is lost.

        Parameters
        ----------
        state
            Of the session.

        Raises
        ------
        DiskError
            If the disk does not let us.
        BrokerUnavailableError
            If the broker does not answer.
        """
        if state.record is None:
            return True
        written = self._written.pop(state.session, None)
        if (
            written is not None
            and written.staged.ref == state.record.event.record
            and not withdrawn(state)
            and await asyncio.to_thread(self._replace, state.session, written)
        ):
            return True
        judged = ""
        while True:
            ever = await self._ever(state.session)
            former = _paths(ever, before=state.record.sequence) - {state.record.event.record.path}
            if withdrawn(state):
                gone = {*former, state.record.event.record.path}
                await asyncio.to_thread(self._remove, state.session, gone)
                return True
            commit = partial(self._commit, state.session, state.record.event.record, former)
            stands, strange = await asyncio.to_thread(commit, _contents(ever), judged)
            if not strange:
                return stands
            judged = strange  # of a newer event, maybe: who wrote it had stored that before

    async def stands(self, state: SessionState) -> bool:
        """Tell whether the newest record stands in the folder, and nothing waits beside it.

        Parameters
        ----------
        state
            Of a session that may have a record.
        """
        return state.record is not None and await asyncio.to_thread(
            self._stands, state.session, state.record.event.record
        )

    def staged_sessions(self) -> set[str]:
        """Return the sessions of which a record is staged."""
        return staged_owners(self._folder)

    def discard_abandoned(self, session: str) -> None:
        """Remove what a process staged long ago and never stored an event about."""
        discard_staged(self._folder, session, older_than=time.time() - _ABANDONED_AFTER_S)

    async def _ever(self, session: str) -> list[Register[RecordBuilt]]:
        """Return all records that a session ever had."""
        subject = session_subject(session, RecordBuilt.kind())
        return [
            Register(item.sequence, item.event)
            async for item in self._store.read(filters=(subject,))
            if isinstance(item, Recorded) and isinstance(item.event, RecordBuilt)
        ]

    def _stands(self, session: str, ref: ArtifactRef) -> bool:
        nothing_waits = not staged_files(self._folder, session)
        return nothing_waits and sha256_of(self._folder, ref.path) == ref.sha256

    def _replace(self, session: str, written: _Written) -> bool:
        """Put what we staged in the place of the record before it; False if more is to be seen to.

        That is so where another process staged something, too, or what stands there is not ours.
        The former file goes first: whoever finds the staged one later need not look for it.
        """
        ref, former = written.staged.ref, written.former
        if staged_files(self._folder, session) != [written.staged.path]:
            return False
        in_place = sha256_of(self._folder, ref.path)
        if in_place not in (None, ref.sha256, former.sha256 if former else None):
            return False
        if former is not None and former.path != ref.path:
            remove_artifact(self._folder, former.path)
        return written.staged.commit(self._folder)

    def _commit(
        self,
        session: str,
        ref: ArtifactRef,
        former: Iterable[str],
        contents: Container[str],
        judged: str,
    ) -> tuple[bool, str]:
        """Put a record into its place, and tell whether it stands there.

        Parameters
        ----------
        session, ref
            Whose record, and which.
        former
            Paths of earlier ones, to be removed.
        contents
            Digests of all that the session ever had, as far as is known.
        judged
            Digest of what stood there before these were read: if it is not among them, it is
            another system's, and kept aside.

        Returns
        -------
        stands : bool
            Whether the record stands in its place.
        strange : str
            Digest of what stands there, if it is neither known nor judged: nothing was done.
        """
        strange = ""

        def is_ours(xml: bytes) -> bool:
            nonlocal strange
            digest = hashlib.sha256(xml).hexdigest()
            strange = "" if digest in contents or digest == judged else digest
            return digest in contents or bool(strange)

        keep_aside(self._folder, ref.path, ours=is_ours)
        if strange:
            return False, strange
        stands = commit_artifact(self._folder, ref, owner=session)
        if stands:
            for path in former:
                remove_artifact(self._folder, path)
        return stands, ""

    def _remove(self, session: str, paths: Iterable[str]) -> None:
        discard_staged(self._folder, session)
        for path in paths:
            remove_artifact(self._folder, path)


def _paths(records: Iterable[Register[RecordBuilt]], *, before: int) -> set[str]:
    return {one.event.record.path for one in records if one.sequence < before}


def _contents(records: Iterable[Register[RecordBuilt]]) -> frozenset[str]:
    return frozenset(one.event.record.sha256 for one in records)
