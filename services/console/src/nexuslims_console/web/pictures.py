"""Pictures of sessions' activities, each drawn once of a record."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from nexuslims_console.web.gaps import Picture, picture
from nexuslims_console.web.in_time import Questions
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.record.reader import read_locations
from nexuslims_shared.artifacts import read_artifact
from nexuslims_shared.errors import ArtifactError, BrokerUnavailableError

_KEPT: Final = 64

Times = Callable[[], Mapping[str, float]]
"""Returns when each file was written, POSIX seconds, by its path."""


class Pictures:
    """Draws pictures; what takes longer than a page waits is there for the next one.

    Parameters
    ----------
    records
        Folder of the records.
    """

    def __init__(self, records: Path) -> None:
        self._records = records
        self._drawing: Questions[Picture | None] = Questions()
        self._kept: dict[str, Picture | None] = {}

    async def of(self, record: ArtifactRef, times: Times) -> Picture | None:
        """Return the picture of a record's activities; None if there is none, or not yet.

        Parameters
        ----------
        record
            Path and SHA-256 of the record.
        times
            Of its files.
        """
        if record.sha256 not in self._kept:
            draw = partial(self._draw, record, times)
            try:
                return await self._drawing.ask(record.sha256, draw)
            except BrokerUnavailableError:
                return None
        return self._kept[record.sha256]

    async def _draw(self, record: ArtifactRef, times: Times) -> Picture | None:
        try:
            drawn = await asyncio.to_thread(_draw, self._records, record, times)
        except (ArtifactError, UnreadableRecordError):
            return None  # the record's own page says what is wrong with it
        self._kept[record.sha256] = drawn
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return drawn


def _draw(records: Path, record: ArtifactRef, times: Times) -> Picture | None:
    activities, written = read_locations(read_artifact(records, record)), times()
    return picture(
        [
            [written[path] for path in dict.fromkeys(activity) if path in written]
            for activity in activities
        ]
    )
