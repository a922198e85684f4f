"""Rules of an instrument that would take files from many records wait for an operator.

A clock's offset with the wrong sign moves the files of all sessions into others. What new files and
new sessions get is by the rules as they are set; what was decided before stays as it is until
``nexuslims approve``, or until the rules are set otherwise.
"""

import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from nexuslims_contracts.events import FilesAwaited, FilesNotFound, SessionIndexed
from nexuslims_contracts.text import counted
from nexuslims_indexer.decide import Statement
from nexuslims_shared.calendar_notes import CalendarNotes, in_bulk
from nexuslims_shared.session.state import SessionState

log = logging.getLogger(__name__)

_WITHOUT: Final = str.maketrans({"%": "=", ".": "=2E", "~": "=7E"})
"""What a key of a bucket has not, or has between its parts."""


def loss(state: SessionState, statement: Statement) -> str:
    """Return what a statement takes from a record; empty if it keeps at least half of its files.

    Parameters
    ----------
    state
        The session before it.
    statement
        What would be stated.
    """
    had = len(state.current_files())
    match statement.session:
        case SessionIndexed(count=count):
            left = count
        case FilesAwaited() | FilesNotFound():
            left = 0
        case _:
            return ""
    if left * 2 >= had:
        return ""
    return f"by the rules that are set it has {left} of its {counted(had, 'file')}"


class RulesBrake:
    """Decides whether the rules of one folder's instruments wait.

    Parameters
    ----------
    folder
        Below the instrument data path.
    notes
        Where what waits is kept, and what was approved.
    at_most
        How many records may lose most of their files without an operator's word.
    """

    def __init__(self, folder: str, notes: CalendarNotes, at_most: int) -> None:
        self.is_on = False
        self._name = f"files/{quote(folder).translate(_WITHOUT)}"
        self._folder, self._notes, self._at_most = folder, notes, at_most

    async def holds(self, losses: Mapping[str, str], sessions: int) -> bool:
        """Tell whether losses wait, and keep note of them.

        Parameters
        ----------
        losses
            Session -> what it would lose.
        sessions
            How many the folder has.
        """
        self.is_on = False
        if not in_bulk(len(losses), sessions, self._at_most):
            return False
        open_ones = losses.keys() - await self._notes.approved(self._name)
        self.is_on = in_bulk(len(open_ones), sessions, self._at_most)
        if self.is_on:
            log.warning(
                "the rules set for %s would take most files from the records of %s: they wait;"
                " set them otherwise, or `nexuslims approve %s`",
                self._folder,
                counted(len(open_ones), "session"),
                self._name,
            )
            await self._notes.hold(self._name, losses)
        return self.is_on

    async def is_approved(self) -> bool:
        """Tell whether an operator approved all that waits."""
        waiting = await self._notes.held_of(self._name)
        return waiting.keys() <= await self._notes.approved(self._name)

    async def release(self) -> None:
        """Let nothing wait any more."""
        waiting = await self._notes.held_of(self._name)
        if waiting:
            await self._notes.hold(self._name, {})
            await self._notes.settle(self._name, waiting)
