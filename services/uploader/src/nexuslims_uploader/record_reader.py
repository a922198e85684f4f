"""Reading a session's record from the records folder, with what a destination wants to know."""

import asyncio
import logging
from pathlib import Path
from zoneinfo import ZoneInfo

from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.events import RecordBuilt, SessionStarted
from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.record.reader import read_record
from nexuslims_shared.artifacts import commit_artifact, read_artifact, resolve
from nexuslims_shared.errors import ArtifactError
from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.errors import UploaderError
from nexuslims_uploader.record_state import RecordState

log = logging.getLogger(__name__)


class RecordReader:
    """Reads the record of one session, once for all its destinations.

    Parameters
    ----------
    records
        The records folder.
    """

    def __init__(self, records: Path) -> None:
        self._records = records
        self._last: RecordToUpload | None = None

    async def to_upload(self, state: RecordState) -> RecordToUpload:
        """Read the current record; put it into its place if its builder died before it could.

        Raises
        ------
        ArtifactError
            If its file is missing, or is not the one the builder wrote: perhaps a newer record is
            there, of which the state does not know yet.
        UnreadableRecordError
            If it is not a record.
        """
        built = state.current
        if self._last is None or self._last.sha256 != built.record.sha256:
            self._last = await asyncio.to_thread(self._read, built, state)
        return self._last

    async def to_withdraw(self, state: RecordState) -> RecordToUpload:
        """Read the current record; without content if its file cannot be read any more."""
        try:
            return await self.to_upload(state)
        except (ArtifactError, UnreadableRecordError) as error:
            log.warning("the record is withdrawn unread: %s", error)
            return self._assemble(state.current, state, b"", Experiment())

    def _read(self, built: RecordBuilt, state: RecordState) -> RecordToUpload:
        try:
            xml = read_artifact(self._records, built.record)
        except ArtifactError:
            if not commit_artifact(self._records, built.record, owner=built.session):
                raise
            log.info("the record %s was put into its place", built.record.path)
            xml = read_artifact(self._records, built.record)
        return self._assemble(built, state, xml, read_record(xml))

    def _assemble(
        self, built: RecordBuilt, state: RecordState, xml: bytes, experiment: Experiment
    ) -> RecordToUpload:
        if state.session.times is None:
            raise UploaderError(f"session {built.session} was never held: it can have no record")
        times = state.session.times.event
        end = None if isinstance(times, SessionStarted) else times.end
        zone = ZoneInfo(times.instrument.timezone)
        return RecordToUpload(
            session=built.session,
            xml=xml,
            sha256=built.record.sha256,
            artifact=resolve(self._records, built.record.path),
            experiment=experiment,
            instrument=times.instrument,
            start=times.start.astimezone(zone),
            additions=state.session.curated_datasets(),
            end=(end or times.start).astimezone(zone),
        )
