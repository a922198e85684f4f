"""Holding the disks against the events: artifacts by their content, instruments' files by a stat.

An instrument's file may be on tape: it is never read, unless an operator asks for its hash, and
even then not if its content is not on the disk.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from nexuslims_contracts import subjects
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import MetadataExtracted
from nexuslims_contracts.paths import readable
from nexuslims_shared.artifacts import commit_artifact, is_intact, resolve
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.session.repairs import made_again, read_again
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import FileState, SessionState
from nexuslims_uploader.findings import ARTIFACTS, FILES, Finding, Problem

SOURCE: Final = "nexuslims/verify"
_SMALL: Final = 65536
"""Bytes up to which a file system may keep a file without a block of its own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading of a file made, and the file's hash then.

    Parameters
    ----------
    sequence
        Of its event.
    extractor
        Its name.
    sha256
        Of the file; empty if it was not taken.
    artifacts
        Metadata documents and previews.
    """

    sequence: int
    extractor: str
    sha256: str
    artifacts: tuple[ArtifactRef, ...]


@dataclass(frozen=True, slots=True)
class Original:
    """An instrument's file as it was: path below the root, size in bytes, time in ns, SHA-256."""

    path: str
    size: int
    mtime_ns: int
    sha256: str = ""


@dataclass(slots=True)
class Look:
    """What a look at one session's files came to.

    Parameters
    ----------
    files
        How many were looked at.
    findings
        What is not well.
    lost
        Sequence of the reading whose artifacts are lost, by extractor.
    record_lost
        Sequence of the record whose file is lost, 0 if it is not.
    """

    files: int = 0
    findings: list[Finding] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    record_lost: int = 0


class FileVerifier:
    """Looks at the artifacts and the instruments' files of sessions.

    Parameters
    ----------
    context
        The event store, and the settings.
    hashing
        Whether instruments' files are read, and compared with the hash that is known.
    repair
        Whether to request that lost artifacts are made again.
    """

    def __init__(self, context: ServiceContext, *, hashing: bool, repair: bool) -> None:
        self._store = context.store
        self._settings = context.settings
        self._sessions = SessionRepository(context.store, capacity=1)
        self._hashing = hashing
        self._repair = repair
        self._absent: dict[tuple[str, str], Original] = {}

    async def look(self, session: str) -> Look:
        """Look at the files of one session.

        Parameters
        ----------
        session
            Its token.
        """
        state = await self._sessions.open(session)
        readings = await self._readings(session)
        look = await asyncio.to_thread(self._compare, state, readings)
        if self._repair:
            await self._request(session, look)
        return look

    async def name_moved(self, findings: list[Finding]) -> list[Finding]:
        """Say of missing instruments' files where they are now, if they are found elsewhere.

        Parameters
        ----------
        findings
            All findings of this verifier.
        """
        if not self._absent:
            return findings
        root = self._settings.instrument_data_path
        places = await asyncio.to_thread(find_moved, root, self._absent, hashing=self._hashing)
        return [
            replace(one, problem="moved", detail=f"it is now {places[key]}")
            if one.destination == FILES and (key := (one.session, one.path)) in places
            else one
            for one in findings
        ]

    async def _readings(self, session: str) -> dict[str, Reading]:
        """Return the last reading of each file, by token; one event at a time is in memory."""
        found: dict[str, Reading] = {}
        filters = (subjects.file_subject(session, "*", MetadataExtracted.kind()),)
        async with aclosing(self._store.read(filters=filters)) as items:
            async for item in items:
                if isinstance(item, Recorded) and isinstance(item.event, MetadataExtracted):
                    event = item.event
                    previews = (one.preview for one in event.datasets if one.preview)
                    refs = {ref.path: ref for ref in (*event.artifacts, *previews)}
                    found[event.file] = Reading(
                        item.sequence, event.extractor.name, event.sha256, tuple(refs.values())
                    )
        return found

    def _compare(self, state: SessionState, readings: Mapping[str, Reading]) -> Look:
        look = Look()
        if state.record is None:
            return look
        ref = state.record.event.record
        records = self._settings.records
        if not is_intact(records, ref):
            commit_artifact(records, ref, owner=state.session)
        if self._look_at_artifact(look, state.session, records, ref) == "missing":
            look.record_lost = state.record.sequence
        for token, file in state.current_files().items():
            reading = readings.get(token)
            for ref in reading.artifacts if reading else ():
                problem = self._look_at_artifact(look, state.session, self._settings.data_path, ref)
                if reading and problem == "missing":
                    lost = max(reading.sequence, look.lost.get(reading.extractor, 0))
                    look.lost[reading.extractor] = lost
            self._look_at_file(look, state.session, file, reading.sha256 if reading else "")
        return look

    def _look_at_artifact(
        self, look: Look, session: str, root: Path, ref: ArtifactRef
    ) -> Problem | None:
        look.files += 1
        if is_intact(root, ref):
            return None
        there = resolve(root, ref.path).exists()
        problem: Problem = "changed" if there else "missing"
        detail = "it is not the file that was written" if there else "it is not there"
        look.findings.append(Finding(session, ARTIFACTS, problem, detail, path=ref.path))
        return problem

    def _look_at_file(self, look: Look, session: str, file: FileState, sha256: str) -> None:
        if file.indexed is None:
            return
        look.files += 1
        event = file.indexed.event
        original = Original(event.disk_path, event.size, event.mtime_ns, sha256)
        root = self._settings.instrument_data_path
        found = compare_file(root, original, hashing=self._hashing)
        if found is None:
            return
        problem, detail = found
        if problem == "missing":
            self._absent[(session, event.path)] = original
        look.findings.append(Finding(session, FILES, problem, detail, path=event.path))

    async def _request(self, session: str, look: Look) -> None:
        """Request what brings lost artifacts back, and note that in the findings."""
        for extractor, since in look.lost.items():
            request = read_again(session, extractor, since=since)
            await self._store.append(envelop(request, source=SOURCE))
        if look.record_lost:
            retry = made_again(session, since=look.record_lost)
            await self._store.append(envelop(retry, source=SOURCE))
        look.findings[:] = [
            replace(one, sent_again=True)
            if one.destination == ARTIFACTS and one.problem == "missing"
            else one
            for one in look.findings
        ]


def compare_file(root: Path, original: Original, *, hashing: bool) -> tuple[Problem, str] | None:
    """Compare an instrument's file with what is known of it; None if it is the same.

    Parameters
    ----------
    root
        The instruments' folder.
    original
        What is known.
    hashing
        Whether to read it; it is not read if its content is not on the disk.
    """
    path = root / original.path
    try:
        now = path.stat()
        if (now.st_size, now.st_mtime_ns) != (original.size, original.mtime_ns):
            return "changed", f"it has {now.st_size} bytes, and had {original.size}, or is newer"
        if not hashing or not original.sha256:
            return None
        if now.st_blocks == 0 and now.st_size > _SMALL:
            return "unknown", "its content is not on the disk: it was not read"
        if _sha256(path) != original.sha256:
            return "changed", "its content is another one, with the same size and time"
    except FileNotFoundError:
        share = root / Path(original.path).parts[0]
        if not share.exists():
            return "unknown", f"{share} is not there: is it mounted?"
        return "missing", "it is not there"
    except OSError as error:
        return "unknown", f"it cannot be looked at: {error.strerror or error}"
    return None


def find_moved(
    root: Path, absent: Mapping[tuple[str, str], Original], *, hashing: bool
) -> dict[tuple[str, str], str]:
    """Look for files that are not in their place anywhere below a folder.

    A file is the same if it has the size, and the time or the name. If it may be read and its hash
    is known, that decides.

    Parameters
    ----------
    root
        The instruments' folder.
    absent
        The files, by whatever they are to be called.
    hashing
        Whether files of the same size may be read.
    """
    wanted: dict[int, list[tuple[tuple[str, str], Original]]] = {}
    for key, original in absent.items():
        wanted.setdefault(original.size, []).append((key, original))
    found: dict[tuple[str, str], str] = {}
    for path, status in _files_below(root):
        for key, original in wanted.get(status.st_size, ()):
            if key not in found and _is_same(path, status, original, hashing=hashing):
                found[key] = readable(path.relative_to(root).as_posix())
    return found


def _is_same(path: Path, status: os.stat_result, original: Original, *, hashing: bool) -> bool:
    if hashing and original.sha256 and status.st_blocks:
        return _sha256(path) == original.sha256
    same_time = status.st_mtime_ns == original.mtime_ns
    return same_time or path.name == Path(original.path).name


def _files_below(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            try:
                yield path, path.stat()
            except OSError:  # it went away meanwhile, or leads nowhere: it is not the one
                continue


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
