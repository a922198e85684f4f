"""Artifacts: files that events refer to, below the data folder, in the incumbent's layout."""

import hashlib
import os
import tempfile
from pathlib import Path, PurePosixPath

from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_shared.errors import ArtifactError, DiskError


def write_artifact(root: Path, relative: str, content: bytes) -> ArtifactRef:
    """Write an artifact so that it is there whole or not at all, even after a power cut.

    Parameters
    ----------
    root
        The data folder.
    relative
        Path below it, with forward slashes.
    content
        The bytes.

    Raises
    ------
    ArtifactError
        If the path leaves the folder.
    DiskError
        If the disk does not take it.
    """
    target = resolve(root, relative)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fchmod(stream.fileno(), 0o644)
                os.fsync(stream.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise DiskError(
            f"cannot write {target}: {error.strerror or error}; check space and permissions"
        ) from error
    return ArtifactRef(path=relative, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def read_artifact(root: Path, ref: ArtifactRef) -> bytes:
    """Read an artifact, and check that its content is the one an event names.

    Parameters
    ----------
    root
        The data folder.
    ref
        Path below it, and SHA-256 of the content.

    Raises
    ------
    ArtifactError
        If it is missing, unreadable or another one.
    """
    target = resolve(root, ref.path)
    try:
        content = target.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {target}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != ref.sha256:
        raise ArtifactError(f"{target} is not the file that was written: its SHA-256 differs")
    return content


def resolve(root: Path, relative: str) -> Path:
    """Return a path below a folder.

    Parameters
    ----------
    root
        The folder.
    relative
        Path below it, with forward slashes.

    Raises
    ------
    ArtifactError
        If it would leave the folder.
    """
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ArtifactError(f"{relative!r} is no path below {root}")
    return root.joinpath(*pure.parts)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
