"""Artifacts: files that events refer to, below the data folder, in the incumbent's layout.

An artifact that may be made anew is *staged* before the event that names it is stored: written
into a hidden folder beside its place, one folder for each owner. It is *committed*, renamed into
its place, once the event is stored. So what stands in the place is what the newest event names, or
the staged file of that event is there for whoever finds it otherwise.

A process may stand still for hours between its event and its rename. Whoever commits for a later
event removes the files that were staged before its own, so the rename of the one who wakes fails.
"""

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Final

from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.identifiers import digest, require_token
from nexuslims_shared.disk import disk_error, remove, rename, write_into
from nexuslims_shared.errors import ArtifactError, DiskError

log = logging.getLogger(__name__)

_FOLDER: Final = re.compile(r"\.(?P<owner>[A-Za-z0-9_-]+)\.staged")
_STAGED: Final = re.compile(r"(?P<sha256>[0-9a-f]{64})\.[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Staged:
    """An artifact beside its place, and what the event about it says.

    Parameters
    ----------
    path
        Where it lies until it is committed.
    ref
        Its place below the root, SHA-256 and size.
    """

    path: Path
    ref: ArtifactRef

    def discard(self) -> None:
        """Remove it: the event about it was not stored."""
        _remove(self.path)

    def commit(self, root: Path) -> bool:
        """Put it into its place below the root; False if somebody removed it, as outdated."""
        try:
            rename(self.path, resolve(root, self.ref.path))
        except FileNotFoundError:
            return False
        finally:
            _remove_if_empty(self.path.parent)
        return True


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
    temporary = write_into(target.parent, f".{target.name[:40]}.", content)
    try:
        rename(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, FileNotFoundError):
            raise disk_error(target, error) from error
        raise
    return _reference(relative, content)


def stage_artifact(root: Path, relative: str, content: bytes, *, owner: str) -> Staged:
    """Write an artifact beside its place, where it waits until the event about it is stored.

    Parameters
    ----------
    root
        The data folder.
    relative
        Path of its place below it, with forward slashes.
    content
        The bytes.
    owner
        What has one such artifact at a time, as a token: a session, which has one record.

    Raises
    ------
    ArtifactError
        If the path leaves the folder.
    DiskError
        If the disk does not take it.
    """
    ref = _reference(relative, content)
    folder = _folder_of(resolve(root, relative).parent, require_token(owner))
    try:
        return Staged(write_into(folder, f"{ref.sha256}.", content), ref)
    except DiskError:
        _remove_if_empty(folder)
        raise


def write_or_stage(root: Path, relative: str, content: bytes) -> ArtifactRef:
    """Write an artifact where nothing stands, and stage it where something else does.

    After its event was stored, :func:`commit_artifact` with :func:`owner_of` puts it into place.

    Parameters
    ----------
    root
        The data folder.
    relative
        Path of its place below it, with forward slashes.
    content
        The bytes.

    Raises
    ------
    ArtifactError
        If the path leaves the folder.
    DiskError
        If the disk does not take it.
    """
    ref = _reference(relative, content)
    if not resolve(root, relative).exists():
        return write_artifact(root, relative, content)
    if not is_intact(root, ref):
        stage_artifact(root, relative, content, owner=owner_of(relative))
    return ref


def owner_of(relative: str) -> str:
    """Return the owner of an artifact that is the only one of its place."""
    return digest([relative])[:20]


def commit_artifact(root: Path, ref: ArtifactRef, *, owner: str) -> bool:
    """Put a staged artifact into its place, after the event that names it was stored.

    Nothing that was staged for an earlier event can come into the place afterwards, and what others
    staged of the same content is not left. False if what the event names is lost.

    Parameters
    ----------
    root
        The data folder.
    ref
        As the newest event about the owner's artifact names it.
    owner
        As it was staged.

    Raises
    ------
    ArtifactError
        If the path leaves the folder.
    DiskError
        If the disk does not take it.
    """
    target = resolve(root, ref.path)
    staged = sorted(_staged(target.parent, owner), key=lambda one: one[1])
    own = next((found for found in staged if found[2] == ref.sha256), None)
    if own is not None:
        path, staged_at, _ = own
        for other, at, sha256 in staged:
            if other != path and (at <= staged_at or sha256 == ref.sha256):
                _remove(other)
        Staged(path, ref).commit(root)
    return is_intact(root, ref)


def keep_aside(root: Path, relative: str, *, ours: Callable[[bytes], bool]) -> Path | None:
    """Move an earlier system's file out of an artifact's place; what we made stays.

    Returns where it is now, with ``.kept`` behind its name; None if nothing was moved.

    Parameters
    ----------
    root
        The data folder.
    relative
        Path below it, with forward slashes.
    ours
        Tells by the content whether it may be replaced.

    Raises
    ------
    DiskError
        If it cannot be read or moved.
    """
    target = resolve(root, relative)
    try:
        if ours(found := target.read_bytes()):
            return None
        names = (f"{target.name}.kept{number or ''}" for number in count())
        place = next(path for path in map(target.with_name, names) if not path.exists())
        target.rename(place)
        if place.read_bytes() != found:  # another one came into its place meanwhile
            with suppress(FileExistsError):
                os.link(place, target)
            place.unlink()
            return None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(target, error) from error
    log.warning("%s was not written by this system: it is kept as %s", target, place.name)
    return place


def remove_artifact(root: Path, relative: str) -> None:
    """Remove what stands in an artifact's place, if anything does.

    Parameters
    ----------
    root
        The data folder.
    relative
        Path below it, with forward slashes.

    Raises
    ------
    ArtifactError
        If the path leaves the folder.
    DiskError
        If the disk does not let us.
    """
    remove(resolve(root, relative))


def staged_owners(folder: Path) -> set[str]:
    """Return the owners of all staged artifacts that lie in a folder."""
    names = (_FOLDER.fullmatch(name) for name in _names(folder))
    return {found["owner"] for found in names if found}


def staged_files(folder: Path, owner: str) -> list[Path]:
    """Return what is staged for an owner.

    Parameters
    ----------
    folder
        Where it lies.
    owner
        As it was staged.
    """
    return [path for path, _, _ in _staged(folder, owner)]


def discard_staged(folder: Path, owner: str, *, older_than: float | None = None) -> None:
    """Remove what is staged for an owner.

    Parameters
    ----------
    folder
        Where it lies.
    owner
        As it was staged.
    older_than
        Only what was staged before this time, in seconds since 1970; all by default.
    """
    for path, staged_at, _ in list(_staged(folder, owner)):
        if older_than is None or staged_at < older_than * 1e9:
            _remove(path)
    _remove_if_empty(_folder_of(folder, owner))


def is_intact(root: Path, ref: ArtifactRef) -> bool:
    """Tell whether what an event names stands in its place.

    Parameters
    ----------
    root
        The data folder.
    ref
        As the event names it.
    """
    return sha256_of(root, ref.path) == ref.sha256


def sha256_of(root: Path, relative: str) -> str | None:
    """Return the SHA-256 of what stands in an artifact's place; None if nothing can be read there.

    Parameters
    ----------
    root
        The data folder.
    relative
        Path below it, with forward slashes.
    """
    try:
        return hashlib.sha256(resolve(root, relative).read_bytes()).hexdigest()
    except OSError:
        return None


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


def _reference(relative: str, content: bytes) -> ArtifactRef:
    return ArtifactRef(path=relative, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def _folder_of(folder: Path, owner: str) -> Path:
    return folder / f".{owner}.staged"


def _staged(folder: Path, owner: str) -> Iterator[tuple[Path, int, str]]:
    """Give what is staged for an owner: path, when, SHA-256."""
    for name in _names(_folder_of(folder, owner)):
        if found := _STAGED.fullmatch(name):
            path = _folder_of(folder, owner) / name
            try:
                yield path, path.stat().st_mtime_ns, found["sha256"]
            except FileNotFoundError:
                continue


def _remove(staged: Path) -> None:
    remove(staged)
    _remove_if_empty(staged.parent)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise disk_error(folder, error, "list") from error
