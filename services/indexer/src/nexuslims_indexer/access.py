"""What the parts of the indexer that belong to one folder work with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from nexuslims_indexer.names import Strategy
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.store.port import EventStore


@dataclass(frozen=True, slots=True)
class ScanPolicy:
    """How the files of an instrument are looked for.

    Parameters
    ----------
    strategy
        As it is stated in manifests.
    delay
        How long after its end files of a session are looked for often.
    sweep
        How long until the whole tree is listed again.
    """

    strategy: Strategy
    delay: timedelta
    sweep: timedelta


@dataclass(frozen=True, slots=True)
class EventAccess:
    """Where the events are.

    Parameters
    ----------
    store
        The stream.
    sessions
        The sessions, opened from it.
    catch_up
        Brings the tracked sessions up to date.
    """

    store: EventStore
    sessions: SessionRepository
    catch_up: Callable[[], Awaitable[None]]
