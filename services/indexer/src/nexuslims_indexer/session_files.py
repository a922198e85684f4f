"""What the events of a session say of its files."""

from collections.abc import Iterator
from dataclasses import replace

from nexuslims_contracts.events import FileBasis, FileIndexed, MetadataExtracted
from nexuslims_indexer.model import FoundFile
from nexuslims_shared.session.state import FileState, SessionState


def held(state: SessionState) -> dict[str, FileBasis]:
    """Return the files that a session has for a reason that only it knows.

    They are named by :attr:`~FoundFile.alone`: what is read with a file decides nothing here.
    """
    return {_found(event).alone: event.basis for event in _held(state)}


def paths_of_held(state: SessionState) -> list[str]:
    """Return the paths of the files that a session has for a reason that only it knows."""
    return [event.disk_path for event in _held(state)]


def _held(state: SessionState) -> Iterator[FileIndexed]:
    for file in state.current_files().values():
        if file.indexed is not None and file.indexed.event.basis in ("began", "content"):
            yield file.indexed.event


def paths_of(state: SessionState) -> set[str]:
    """Return the paths of the files that a session has."""
    return {file_of(file).path for file in state.current_files().values()}


def file_of(file: FileState) -> FoundFile:
    """Return the file that an event names; only those that were indexed are asked for."""
    if file.indexed is None:
        raise ValueError("a file that was never indexed has no path")
    return _found(file.indexed.event)


def as_stated(file: FoundFile, stated: FileIndexed | None) -> FoundFile:
    """Return a file with what was read with it: what is gone from beside it is no news.

    Parameters
    ----------
    file
        As it was found.
    stated
        What was stated last of the file at its path. Events of earlier releases do not say what
        lay beside it: then it is as it was, too.
    """
    if stated is None or (file.size, file.mtime_ns) != (stated.size, stated.mtime_ns):
        return file
    before = _found(stated).beside
    is_news = stated.companions is not None and not set(file.beside) <= set(before)
    return file if is_news or file.beside == before else replace(file, beside=before)


def _found(event: FileIndexed) -> FoundFile:
    beside = tuple([(one.name, one.size, one.mtime_ns) for one in event.companions or ()])
    return FoundFile(event.mtime_ns, event.disk_path, event.size, beside=beside)


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
