"""The files of a session as its page lists them: outcome, reason, preview."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final, Literal, TypeAlias

from nexuslims_console.archive.search import Hit
from nexuslims_contracts.events import MetadataExtracted
from nexuslims_contracts.paths import readable
from nexuslims_shared.session.state import FileState, SessionState
from nexuslims_shared.session.status import withdrawn

Outcome: TypeAlias = Literal["extracted", "partial", "failed", "waiting", "missing"]


_TROUBLE: Final = {"failed": 0, "missing": 0, "partial": 1}


@dataclass(frozen=True, slots=True)
class SessionFile:
    """One file of a session; ``written`` is its time, or that of its acquisition."""

    token: str
    location: str
    size: int | None
    written: datetime | None
    outcome: Outcome
    reason: str
    extractor: str
    datasets: int
    kind: str
    preview: str

    @property
    def name(self) -> str:
        """Its name, without folders."""
        return PurePosixPath(self.location).name


def files_of(state: SessionState) -> list[SessionFile]:
    """Return the files of a session, those in trouble first, then in the order they were written.

    Parameters
    ----------
    state
        With the datasets of its files.
    """
    found = [_file(token, file, state) for token, file in state.current_files().items()]
    return sorted(
        found, key=lambda one: (_TROUBLE.get(one.outcome, 2), str(one.written), one.location)
    )


def listed_files(
    unreadable: Sequence[tuple[str, str]], datasets: Sequence[Hit]
) -> list[SessionFile]:
    """Return files as the tables know them, for sessions with too many to be opened.

    Parameters
    ----------
    unreadable
        Paths, each with what the file said.
    datasets
        Some datasets of the session's record.
    """
    failed = [
        SessionFile("", path, None, None, "failed", reason, "", 0, "", "")
        for path, reason in unreadable
    ]
    read = [
        SessionFile(
            one.file, one.location, None, one.taken, "extracted", "", "", 1, one.data_type,
            one.preview,
        )
        for one in datasets
    ]  # fmt: skip
    return [*failed, *read]


def times_by_location(state: SessionState) -> dict[str, float]:
    """Return when each file was written, POSIX seconds, by its path."""
    return {
        readable(file.indexed.event.disk_path): file.indexed.event.mtime_ns / 1e9
        for file in state.current_files().values()
        if file.indexed is not None
    }


def _file(token: str, file: FileState, state: SessionState) -> SessionFile:
    indexed = file.indexed.event if file.indexed else None
    outcome = file.outcome.event if file.outcome else None
    read = outcome if isinstance(outcome, MetadataExtracted) else None
    previews = [one.preview.path for one in (read.datasets if read else ()) if one.preview]
    return SessionFile(
        token=token,
        location=readable(indexed.disk_path) if indexed else token,
        size=indexed.size if indexed else 0,
        written=datetime.fromtimestamp(indexed.mtime_ns / 1e9 if indexed else 0, UTC),
        outcome=_outcome(file, state),
        reason=outcome.reason if outcome else "",
        extractor=file.extractor,
        datasets=len(read.datasets) if read else 0,
        kind=", ".join(dict.fromkeys(one.data_type for one in read.datasets)) if read else "",
        preview=previews[0] if previews and not withdrawn(state) else "",
    )


def _outcome(file: FileState, state: SessionState) -> Outcome:
    if file.is_missing:
        return "missing"
    if file.outcome is None or not state.settled(file):
        return "waiting"
    event = file.outcome.event
    return event.outcome if isinstance(event, MetadataExtracted) else "failed"
