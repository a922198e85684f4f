"""Records, read from the records folder for their pages."""

import asyncio
from functools import lru_cache
from pathlib import Path

from nexuslims_console.web.site import Site
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.record.reader import RecordPart, read_part
from nexuslims_shared.artifacts import read_artifact


async def read_page(site: Site, ref: ArtifactRef, numbers: range) -> RecordPart:
    """Read a record with the datasets of one page.

    Parameters
    ----------
    site
        Where the records folder is.
    ref
        Path and SHA-256 of the record.
    numbers
        Of the datasets, from 0.

    Raises
    ------
    ArtifactError
        If its file is missing, or another one.
    UnreadableRecordError
        If it is not a record.
    """
    records = site.context.settings.records
    return await asyncio.to_thread(_read_page, records, ref.path, ref.sha256, ref.size, numbers)


@lru_cache(maxsize=16)
def _read_page(records: Path, path: str, sha256: str, size: int, numbers: range) -> RecordPart:
    artifact = ArtifactRef(path=path, sha256=sha256, size=size)
    return read_part(read_artifact(records, artifact), numbers)
