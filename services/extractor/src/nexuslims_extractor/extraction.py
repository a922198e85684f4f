"""What one extraction found out, and the facts of the file itself."""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from nexuslims_contracts.datasets import ArtifactRef, Dataset, ExtractorVersion
from nexuslims_contracts.events import FailureKind
from nexuslims_formats.errors import ExtractorError
from nexuslims_formats.model import Outcome
from nexuslims_formats.stores import head_of
from nexuslims_formats.times import from_mtime

LONGEST_REASON: Final = 4000
"""Letters of why a file was not read, or not all of it."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The file itself; ``mtime`` is ISO 8601 in UTC, ``sha256`` is of its bytes."""

    path: str
    bytes: int
    mtime: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """All that one extraction found out; ``people`` are names that ids stand for, by id."""

    file: FileFacts
    outcome: Outcome
    extractor: ExtractorVersion
    reason: str | None = None
    failure: FailureKind | None = None
    datasets: tuple[Dataset, ...] = ()
    metadata_artifacts: tuple[ArtifactRef, ...] = ()
    previews: tuple[ArtifactRef, ...] = ()
    people: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether nothing usable came of it."""
        return self.outcome in ("failed", "unsupported")


_FORM: Final = TypeAdapter(Extraction)


def to_bytes(extraction: Extraction) -> bytes:
    """Return an extraction as JSON; without the file's path, which may be no text."""
    return _FORM.dump_json(replace(extraction, file=replace(extraction.file, path="")))


def from_bytes(content: bytes, path: Path) -> Extraction:
    """Return the extraction that :func:`to_bytes` wrote.

    Parameters
    ----------
    content
        The JSON, from whoever.
    path
        Of the file.

    Raises
    ------
    ValueError
        If it is no extraction.
    """
    found = _FORM.validate_json(content)
    return replace(found, file=replace(found.file, path=str(path)))


def file_facts(path: Path, *, hashed: bool = True) -> FileFacts:
    """Return what the file system and the content's hash tell of a file.

    Parameters
    ----------
    path
        The file; of a folder that is one dataset, the facts are those of the file in it that
        stands for it.
    hashed
        Whether to read all of it for its hash; left empty otherwise.

    Raises
    ------
    OSError
        It is missing or may not be read.
    ExtractorError
        It is not a regular file: a device, a pipe or a folder is never opened.
    """
    # not waiting for a writer, should the name be a pipe
    descriptor = os.open(head_of(path), os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ExtractorError("not a regular file")
        digest = hashlib.file_digest(file, "sha256").hexdigest() if hashed else ""
    when = from_mtime(status.st_mtime).isoformat()
    return FileFacts(str(path), status.st_size, when, digest)
