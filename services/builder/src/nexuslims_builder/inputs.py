"""What a record is made of: plain facts, gathered from a session's events."""

from dataclasses import dataclass
from datetime import datetime

from nexuslims_builder.signals import Signal
from nexuslims_contracts.events import CuratedDataset, Project, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInput:
    """A file and what was read of it.

    ``token`` names it in events, ``path`` is relative to the instrument data path, ``mtime`` in
    POSIX seconds. Without signals the file could not be read and ``failure`` says why; with signals
    ``failure`` says what is missing of them. ``away`` tells that the file was not where it was at
    the last look.
    """

    token: str
    path: str
    mtime: float
    signals: tuple[Signal, ...] = ()
    failure: str | None = None
    away: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordInput:
    """Everything a record is made of; the same input gives the same bytes.

    ``start`` and ``end`` are the reservation's; all times are in the instrument's zone. An operator
    wants an activity to begin with each file of ``splits``, and with none of ``merges``, both by
    token. ``digest`` stands for all inputs, the last of which has the sequence ``through``.
    """

    session: str
    digest: str
    through: int
    event_id: str
    title: str
    instrument_pid: str
    instrument_name: str
    timezone: str
    session_start: datetime
    start: datetime
    end: datetime
    url: str = ""
    experimenters: tuple[str, ...] = ()
    collaborators: tuple[str, ...] = ()
    motivation: str = ""
    samples: tuple[Sample, ...] = ()
    projects: tuple[Project, ...] = ()
    files: tuple[FileInput, ...] = ()
    additions: tuple[CuratedDataset, ...] = ()
    """What people added to datasets at destinations."""
    splits: frozenset[str] = frozenset()
    merges: frozenset[str] = frozenset()
