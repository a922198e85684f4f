"""What the events of a session say of its files."""

from collections.abc import Iterator

from nexuslims_contracts.events import FileBasis, FileIndexed, MetadataExtracted
from nexuslims_indexer.model import FoundFile
from nexuslims_shared.session.state import FileState, SessionState


def held(state: SessionState) -> dict[str, FileBasis]:
    """Return the files that a session has for a reason that only it knows, by token."""
    return {token: event.basis for token, event in _held(state)}


def paths_of_held(state: SessionState) -> list[str]:
    """Return the paths of the files that a session has for a reason that only it knows."""
    return [event.disk_path for _, event in _held(state)]


def _held(state: SessionState) -> Iterator[tuple[str, FileIndexed]]:
    for token, file in state.current_files().items():
        if file.indexed is not None and file.indexed.event.basis in ("began", "content"):
            yield token, file.indexed.event


def paths_of(state: SessionState) -> set[str]:
    """Return the paths of the files that a session has."""
    return {file_of(file).path for file in state.current_files().values()}


def file_of(file: FileState) -> FoundFile:
    """Return the file that an event names; only those that were indexed are asked for."""
    if file.indexed is None:
        raise ValueError("a file that was never indexed has no path")
    event = file.indexed.event
    return FoundFile(event.mtime_ns, event.disk_path, event.size)


def sha256_of(file: FileState) -> str:
    """Return the hash of a file's bytes as it was read last; empty if it was not."""
    return file.extracted.event.sha256 if file.extracted else ""


def time_inside(event: MetadataExtracted, file: FoundFile) -> int | None:
    """Return when a file says it was made, nanoseconds since the epoch.

    None where it gives no time, and the reader took that of the file.

    Parameters
    ----------
    event
        What was read of it.
    file
        As it was found.
    """
    if not event.datasets:
        return None
    moment = min(one.creation_time for one in event.datasets).timestamp()
    is_its_own = abs(moment - file.mtime_ns / 10**9) > 1
    return int(moment * 10**6) * 1000 if is_its_own else None
