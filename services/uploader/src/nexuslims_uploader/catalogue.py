"""The archive's catalogue: one entry per session, beside the records."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.errors import UploaderError


class CatalogueError(UploaderError):
    """The catalogue was damaged."""


class Entry(BaseModel):
    """What the index tells of a record."""

    model_config = ConfigDict(frozen=True)

    session: str
    file: str
    title: str
    instrument: str
    start: AwareDatetime
    experimenters: tuple[str, ...]
    activities: int
    datasets: int
    preview: str
    """Of the first dataset that has one, below the data path; empty if none has."""

    @classmethod
    def of(cls, record: RecordToUpload) -> "Entry":
        """Describe a record."""
        experiment, previews = record.experiment, record.previews
        return cls(
            session=record.session,
            file=record.file_name,
            title=record.title,
            instrument=experiment.instrument or record.instrument.name,
            start=record.start,
            experimenters=experiment.experimenters,
            activities=len(experiment.activities),
            datasets=sum(1 for _ in experiment.datasets()),
            preview=previews[0].path if previews else "",
        )


_ENTRIES = TypeAdapter(tuple[Entry, ...])


def read_catalogue(path: Path) -> dict[str, Entry]:
    """Read the entries, by session; none if there is no catalogue yet.

    Raises
    ------
    CatalogueError
        If the file is not what :func:`to_bytes` writes.
    OSError
        If it cannot be read.
    """
    try:
        entries = _ENTRIES.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise CatalogueError(
            f"{path} is damaged ({first['msg']}): restore it from a backup"
        ) from error
    return {entry.session: entry for entry in entries}


def to_bytes(entries: Mapping[str, Entry]) -> bytes:
    """Write the entries, one to a line, in the order of sessions."""
    lines = (
        json.dumps(entries[session].model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
        for session in sorted(entries)
    )
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode()
