"""The records that the incumbent wrote: ``2026-03-02_<instrument>_<number>.xml``."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.record.reader import read_record

_NAME: Final = re.compile(r"\d{4}-\d\d-\d\d_(?P<instrument>.+)_(?P<suffix>[^_]+)\.xml")
_FOLDERS: Final = ("", "uploaded")
"""Below the records' folder: those that wait for an upload, and those that were uploaded."""


@dataclass(frozen=True, slots=True)
class LegacyRecord:
    """A record: where it is, and what it says."""

    ref: ArtifactRef
    experiment: Experiment


class LegacyRecords:
    """The folder of the incumbent's records.

    Parameters
    ----------
    folder
        As ``NX_RECORDS_PATH`` names it; it is only read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: dict[tuple[str, str], str] = {}
        for below in _FOLDERS:
            for path in sorted((folder / below).glob("*.xml")):
                if name := _NAME.fullmatch(path.name):
                    relative = path.relative_to(folder).as_posix()
                    self._found[name["instrument"], name["suffix"]] = relative

    def of(self, instrument: str, identifier: str) -> LegacyRecord | None:
        """Return the record of a session; None if there is none, or none that can be read.

        Parameters
        ----------
        instrument
            Its pid.
        identifier
            Of the session, as ``session_log`` has it.
        """
        relative = self._found.get((instrument, suffix_of(identifier)))
        if relative is None:
            return None
        content = (self.folder / relative).read_bytes()
        try:
            experiment = read_record(content)
        except UnreadableRecordError:
            return None
        sha256 = hashlib.sha256(content).hexdigest()
        return LegacyRecord(
            ArtifactRef(path=relative, sha256=sha256, size=len(content)), experiment
        )


def suffix_of(identifier: str) -> str:
    """Return what a record's name ends in: NEMO's number, or the first part of a UUID."""
    _, number, usage_event = identifier.rpartition("id=")
    return usage_event if number else identifier.split("-", maxsplit=1)[0]
