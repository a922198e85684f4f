"""Writing an export: a zip file, whole or not at all."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias

from nexuslims_console.errors import ExportError
from nexuslims_console.export.crate import METADATA_FILE, Exported, Written, describe
from nexuslims_console.export.members import Member
from nexuslims_console.export.settings import ExportSettings
from nexuslims_console.export.signing import SigningKey
from nexuslims_shared.cli.progress import Update

Format: TypeAlias = Literal["eln", "zip"]

SIGNATURE_FILE: Final = f"{METADATA_FILE}.minisig"
PUBLIC_KEY_FILE: Final = "ro-crate.pubkey"
_CHUNK: Final = 1 << 20
_EARLIEST_YEAR: Final = 1980
"""The first year that a zip file can hold."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is in an export, and which files are not, each with the reason."""

    written: list[Written]
    missing: list[str]


class Package:
    """An export that is being written; the same session gives the same bytes.

    Parameters
    ----------
    target
        Where it goes; its name without ending is that of the only folder in it.
    exported
        The session.
    """

    def __init__(self, target: Path, exported: Exported) -> None:
        self._target = target
        self._exported = exported
        self._root = target.stem
        self._time = _zip_time(exported.end)

    def write(
        self,
        files: Iterable[Member],
        *,
        facility: ExportSettings,
        key: SigningKey | None,
        update: Update,
    ) -> Content:
        """Write the file and return what is in it.

        Parameters
        ----------
        files
            The session's files.
        facility
            Who publishes it.
        key
            Signs the description; None for a plain zip without one.
        update
            Is given how many files are written, and how many there are.

        Raises
        ------
        ExportError
            If the target cannot be written, or a file cannot be read to its end.
        """
        folder = self._target.parent
        temporary = folder / f".{self._target.name[:200]}.{os.getpid()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as stream:
                content = self._fill(stream, list(files), facility, key, update)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self._target)
        except OSError as error:
            raise ExportError(f"cannot write {self._target}: {error.strerror or error}") from error
        finally:
            temporary.unlink(missing_ok=True)
        return content

    def _fill(
        self,
        stream: BinaryIO,
        members: list[Member],
        facility: ExportSettings,
        key: SigningKey | None,
        update: Update,
    ) -> Content:
        content = Content([], [])
        with zipfile.ZipFile(stream, "w") as archive:
            for number, member in enumerate(members, 1):
                try:
                    source = member.source.open("rb")
                except OSError as error:
                    content.missing.append(f"{member.source}: {error.strerror}")
                else:
                    with source:
                        content.written.append(self._copy(archive, member, source))
                update(number, len(members))
            if key is not None:
                self._describe(archive, content.written, facility, key)
        return content

    def _copy(self, archive: zipfile.ZipFile, member: Member, source: BinaryIO) -> Written:
        """Copy a file piece by piece; pictures and raw data do not get smaller: they are stored."""
        deflated = member.kind in {"record", "metadata"}
        entry = self._entry(f"{self._exported.session}/{member.path}", deflated=deflated)
        digest, size = hashlib.sha256(), 0
        with archive.open(entry, "w", force_zip64=member.kind == "raw") as target:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                target.write(chunk)
        return Written(member, size, digest.hexdigest())

    def _describe(
        self,
        archive: zipfile.ZipFile,
        written: list[Written],
        facility: ExportSettings,
        key: SigningKey,
    ) -> None:
        crate = describe(self._exported, written, facility, version("nexuslims-console"))
        content = json.dumps(crate, ensure_ascii=False, indent=1).encode()
        comment = f"{self._exported.session} of {facility.name} {facility.url}"
        archive.writestr(self._entry(METADATA_FILE), content)
        archive.writestr(self._entry(SIGNATURE_FILE), key.sign(content, comment=comment))
        archive.writestr(self._entry(PUBLIC_KEY_FILE), f"{key.public()}\n")

    def _entry(self, path: str, *, deflated: bool = True) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(f"{self._root}/{path}", self._time)
        entry.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
        entry.external_attr = 0o644 << 16
        return entry


def _zip_time(time: datetime) -> tuple[int, int, int, int, int, int]:
    """Return a time as zip files hold it: local, in steps of two seconds, from 1980 on."""
    year = max(time.year, _EARLIEST_YEAR)
    return (year, time.month, time.day, time.hour, time.minute, time.second // 2 * 2)
