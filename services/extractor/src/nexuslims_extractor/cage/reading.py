"""Reading a file behind the walls: what the process does, and what becomes of what it says."""

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from nexuslims_contracts.datasets import ArtifactRef, ExtractorVersion
from nexuslims_contracts.events import FailureKind
from nexuslims_contracts.identifiers import PERSON_PATTERN, person_id
from nexuslims_contracts.text import printable
from nexuslims_extractor.cage.child import Kind, Reply, Send, run
from nexuslims_extractor.cage.walls import Cage
from nexuslims_extractor.errors import WorkerError
from nexuslims_extractor.extraction import (
    LONGEST_REASON,
    Extraction,
    FileFacts,
    file_facts,
    from_bytes,
    to_bytes,
)
from nexuslims_extractor.strangers import keep_strangers
from nexuslims_formats.json_tree import artifact_paths
from nexuslims_formats.model import NOBODY, InstrumentContext
from nexuslims_formats.sandbox import Sandbox
from nexuslims_formats.stores import store_of
from nexuslims_shared.artifacts import write_artifact, write_or_stage

_ID: Final = re.compile(PERSON_PATTERN)
UNSAFE: Final = "UnsafeFileError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One call of :func:`nexuslims_extractor.core.extract_file`.

    ``within`` are folders of which the file must really be in one; wherever if there are none.
    """

    path: Path
    instrument: InstrumentContext | None = None
    profiles: Path | None = None
    relative_path: str | None = None
    artifacts_root: Path | None = None
    previews: bool = False
    documents: bool = True
    hashed: bool = True
    people_key: bytes = field(default=b"", repr=False)
    """What ids of people are derived with; it stays with the service, see :meth:`for_reader`."""
    masked: bool = False
    """Whether ids of one time stand for the names of people."""
    within: tuple[Path, ...] = ()
    stage: bool = False
    """Whether an artifact that would take another one's place waits until its event is stored."""

    def for_reader(self) -> "Job":
        """Return what the process gets that reads the file: not the key that hides people."""
        return replace(self, people_key=b"", masked=bool(self.people_key))


@dataclass(frozen=True, slots=True)
class Masked:
    """What was found, with ids of one time in the place of people's names, and what was made.

    The names by those ids are in the extraction; whoever has the key finishes it with
    :func:`unmasked`.
    """

    found: Extraction
    artifacts: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Lost:
    """A process that could not say what is in its file.

    Parameters
    ----------
    failure
        What kind of failure that is.
    exitcode
        Of the process, where that is what happened to it; the negative of a signal.
    step
        What it was about to do.
    extractor
        What read the file, if it came to that.
    reason
        Why, in other cases.
    """

    failure: FailureKind
    exitcode: int = 0
    step: str = ""
    extractor: ExtractorVersion = NOBODY
    reason: str = ""


def read_behind_walls(
    cage: Cage, sandbox: Sandbox, job: Job, seconds: float
) -> Extraction | Masked | Lost:
    """Read a file in a process of its own, and write what it made, unless names are in it.

    Parameters
    ----------
    cage, sandbox
        The walls.
    job
        What to read.
    seconds
        How long that may take.

    Raises
    ------
    WorkerError
        If the process failed before it came to the file.
    DiskError
        If the disk does not take an artifact.
    """
    more = [job.profiles] if job.profiles else []
    own = store_of(job.path)

    def work(send: Send) -> None:
        with sandbox.only(own, own.parent, *more, read_only=True):
            send(Kind.RESULT, to_bytes(_extract(job, send)))

    reply = run(lambda: cage.close_around(own, more, job.within), work, seconds=seconds)
    lost = _lost(reply)
    if lost is not None:
        return lost
    try:
        found = _checked(from_bytes(reply.result or b"", job.path), reply, job)
    except ValueError:
        return Lost("failed", reason="its reader says what nobody understands")
    except WorkerError as error:
        return Lost("failed", reason=str(error))
    if found.people:
        return Masked(found, reply.artifacts)
    return _with_artifacts(found, reply.artifacts, job)


def unmasked(masked: Masked, job: Job) -> Extraction:
    """Put the ids of people in the place of those of one time, and write what was made.

    Parameters
    ----------
    masked
        What the process found and made.
    job
        Whose key the ids are derived with.

    Raises
    ------
    WorkerError
        If the process calls something an id that is none.
    DiskError
        If the disk does not take an artifact.
    """
    people = masked.found.people
    ids = {one: person_id(job.people_key, name) for one, name in people.items()}
    if not all(map(_ID.fullmatch, ids)):
        raise WorkerError(f"{job.path.name}: its reader names people by what are no ids")
    pattern = re.compile("|".join(ids))

    def with_ids(content: bytes) -> bytes:
        return pattern.sub(lambda found: ids[found[0]], content.decode()).encode()

    documents = {ref.path for ref in masked.found.metadata_artifacts}
    artifacts = {
        place: with_ids(content) if place in documents else content
        for place, content in masked.artifacts.items()
    }
    found = from_bytes(with_ids(to_bytes(masked.found)), job.path)
    refs = tuple(_ref(ref.path, artifacts[ref.path]) for ref in found.metadata_artifacts)
    return _with_artifacts(replace(found, metadata_artifacts=refs), artifacts, job)


def hash_behind_walls(cage: Cage, sandbox: Sandbox, job: Job, seconds: float) -> FileFacts | Lost:
    """Read all of a file for its hash, in a process of its own.

    Parameters
    ----------
    cage, sandbox
        The walls.
    job
        Which file.
    seconds
        How long that may take.

    Raises
    ------
    WorkerError
        If the file cannot be read, or the process failed.
    """

    def work(send: Send) -> None:
        with sandbox.only(job.path, read_only=True):
            facts = file_facts(job.path)
        send(Kind.RESULT, to_bytes(Extraction(file=facts, outcome="extracted", extractor=NOBODY)))

    reply = run(lambda: cage.close_around(job.path, [], job.within), work, seconds=seconds)
    return _lost(reply) or from_bytes(reply.result or b"", job.path).file


def _extract(job: Job, send: Send) -> Extraction:
    from nexuslims_extractor.core import extract_file  # noqa: PLC0415 - loaded when needed

    def remember(step: str, extractor: ExtractorVersion) -> None:
        send(Kind.STEP, f"{step} {extractor.model_dump_json()}".encode())

    def hand_over(root: Path, place: str, content: bytes) -> ArtifactRef:
        del root
        send(Kind.ARTIFACT, os.fsencode(place) + b"\0" + content)
        return _ref(place, content)

    return extract_file(
        job.path,
        instrument=job.instrument,
        profiles=job.profiles,
        relative_path=job.relative_path,
        artifacts_root=job.artifacts_root,
        previews=job.previews,
        documents=job.documents,
        hashed=job.hashed,
        people_key=secrets.token_bytes() if job.masked else b"",
        on_step=remember,
        write=hand_over,
    )


def _lost(reply: Reply) -> Lost | None:
    """Say what became of a process that did not find anything."""
    step, _, version = reply.step.partition(" ")
    extractor = _extractor(version)
    if reply.late:
        return Lost("timeout", step=step, extractor=extractor)
    if reply.failure is not None:
        kind, _, reason = reply.failure.partition(": ")
        if kind == UNSAFE:
            return Lost("unreadable", step=step, extractor=extractor, reason=_words(reason))
        if kind == MemoryError.__name__:
            return Lost("memory", step=step, extractor=extractor)
        if step:
            return Lost("failed", step=step, extractor=extractor, reason=_words(reply.failure))
        raise WorkerError(_words(reply.failure))
    if reply.result is None or reply.exitcode:
        return Lost("crashed", reply.exitcode, step, extractor)
    return None


def _extractor(version: str) -> ExtractorVersion:
    """Return what reads the file by its own word, if that can be understood."""
    try:
        return ExtractorVersion.model_validate_json(version)
    except ValidationError:
        return NOBODY


def _words(reason: str) -> str:
    """Return what a process says of its failure, as far as it is for people."""
    return printable(reason[:LONGEST_REASON])


def _checked(found: Extraction, reply: Reply, job: Job) -> Extraction:
    """Make sure that what was made is what the extraction speaks of, and nothing but its own."""
    if job.artifacts_root is None or found.failed:
        return replace(found, metadata_artifacts=(), previews=()) if found.failed else found
    count = max(len(found.datasets), 1)
    places = artifact_paths(job.relative_path or job.path.name, count)
    own = {place for pair in places for place in pair}
    made = {_ref(place, content) for place, content in reply.artifacts.items()}
    if not reply.artifacts.keys() <= own or made != {*found.metadata_artifacts, *found.previews}:
        raise WorkerError("its reader made something else than it says")
    return found


def _with_artifacts(found: Extraction, artifacts: Mapping[str, bytes], job: Job) -> Extraction:
    if job.artifacts_root is None or found.failed:
        return found
    keep_strangers(job.artifacts_root, artifacts)
    write = write_or_stage if job.stage else write_artifact
    for place, content in artifacts.items():
        write(job.artifacts_root, place, content)
    return found


def _ref(place: str, content: bytes) -> ArtifactRef:
    return ArtifactRef(path=place, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
