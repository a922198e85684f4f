"""The files of records: staged before their event is stored, committed after it.

In the records folder stands what the newest RecordBuilt of each session says, and nothing of a
session of which no record may be shown.
"""

import asyncio
import hashlib
import time
from collections.abc import Container, Iterable
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
    resolve,
    stage_artifact,
    staged_owners,
)
from nexuslims_shared.session.state import Register, SessionState
from nexuslims_shared.session.status import withdrawn
from nexuslims_shared.store.port import EventStore

_ABANDONED_AFTER_S: Final = 3600.0
"""A record that was staged so long ago and that no event names was left by a dead process."""


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

    async def stage(self, built: RecordBuilt, xml: bytes) -> Staged:
        """Write a record that no event names yet.

        Parameters
        ----------
        built
            The event that is to be stored.
        xml
            The record.

        Raises
        ------
        DiskError
            If the disk does not take it.
        """
        path = built.record.path
        return await asyncio.to_thread(stage_artifact, self._folder, path, xml, owner=built.session)

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
        ever = await self._ever(state.session)
        former = _paths(ever, before=state.record.sequence) - {state.record.event.record.path}
        if withdrawn(state):
            gone = {*former, state.record.event.record.path}
            await asyncio.to_thread(self._remove, state.session, gone)
            return True
        return await asyncio.to_thread(
            self._commit, state.session, state.record.event.record, former, _contents(ever)
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

    def _commit(
        self, session: str, ref: ArtifactRef, former: Iterable[str], contents: Container[str]
    ) -> bool:
        keep_aside(
            self._folder, ref.path, ours=lambda xml: hashlib.sha256(xml).hexdigest() in contents
        )
        stands = commit_artifact(self._folder, ref, owner=session)
        if stands:
            for path in former:
                resolve(self._folder, path).unlink(missing_ok=True)
        return stands

    def _remove(self, session: str, paths: Iterable[str]) -> None:
        discard_staged(self._folder, session)
        for path in paths:
            resolve(self._folder, path).unlink(missing_ok=True)


def _paths(records: Iterable[Register[RecordBuilt]], *, before: int) -> set[str]:
    return {one.event.record.path for one in records if one.sequence < before}


def _contents(records: Iterable[Register[RecordBuilt]]) -> frozenset[str]:
    return frozenset(one.event.record.sha256 for one in records)
