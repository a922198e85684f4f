"""Taking records to CDCS, so that it holds one of each session whatever happened before.

CDCS has no key of ours and lets titles repeat. So a record's title is the session's token, which is
no number (CDCS turns such texts into numbers, and finds them no more), and a record counts as ours
if it also names the session's address in the calendar, or without one our instrument and the
calendar's number of the session. So does what the incumbent made, under its own title. What is
found is changed in place. Whoever makes a record looks again afterwards: of several, which two
uploaders at once or a lost answer may leave, the oldest stays.
"""

from collections.abc import Mapping
from dataclasses import replace

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.record.reader import read_record
from nexuslims_shared.settings import Settings, read
from nexuslims_uploader.cdcs.client import CdcsClient, Data, Place
from nexuslims_uploader.cdcs.content import (
    Content,
    Edited,
    Written,
    additions_there,
    merged_content,
    new_content,
)
from nexuslims_uploader.cdcs.places import Places
from nexuslims_uploader.cdcs.previews import Previews
from nexuslims_uploader.cdcs.settings import CdcsSettings
from nexuslims_uploader.destination import Holding, RecordToUpload, UploadResult
from nexuslims_uploader.errors import EditedError, RefusedError, UploadError


def create(settings: Settings) -> "CdcsDestination":
    """Make the destination."""
    own = read(CdcsSettings)
    client = CdcsClient(own)
    return CdcsDestination(client, own, Previews(client, settings.data_path))


class CdcsDestination:
    """Keeps records in a CDCS.

    Parameters
    ----------
    client
        The connection.
    settings
        What to use there.
    previews
        Takes a record's pictures there.
    """

    name = "cdcs"
    priority = 100
    """The incumbent's: the notebooks link to what is here."""
    one_at_a_time = False

    def __init__(self, client: CdcsClient, settings: CdcsSettings, previews: Previews) -> None:
        self._client = client
        self._settings = settings
        self._previews = previews
        self._places = Places(client, settings)

    async def check(self) -> list[str]:
        """Say whether we are let in, and find the template and the workspace."""
        try:
            await self._places.place("", anew=True)
            if self._settings.user_owned_records:
                await self._client.users("")
        except UploadError as error:
            return [error.explanation]
        return []

    async def upload(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> UploadResult:
        """Make the session's record, or change it; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        place = await self._places.place(record.session)
        known = previous.get(self.name)
        data = await self._found(record, known.record_id if known else "")
        former = data.xml_content if data else ""
        if data is None:
            content = new_content(record)
            data = await self._make(record, content, place)
        else:
            content = self._merged(record, data, known)
            await self._bring_up_to_date(data, record.session, content, place)
        if self._settings.previews:
            await self._previews.bring(record, data.id, place.workspace)
            await self._previews.drop(record, former)
        where = self._client.result(data.id)
        return replace(where, written=str(content.written), additions=content.additions)

    def _merged(self, record: RecordToUpload, data: Data, known: UploadResult | None) -> Content:
        """Keep what people added to the record that is there."""
        written = _written(known)
        content = merged_content(record, data.xml_content, written)
        if isinstance(content, Edited):
            raise EditedError(content.what, destination=self.name, session=record.session)
        return content

    async def inspect(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> Holding:
        """Look whether the record is there as we wrote it; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        known = previous.get(self.name)
        ours = await self._ours(record, known.record_id if known else "")
        if not ours:
            return "missing"
        written = _written(known)
        there = ours[0].xml_content
        if written is not None and written.is_of(there):
            return "current"
        return (
            "changed" if isinstance(merged_content(record, there, written), Edited) else "current"
        )

    async def additions(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> tuple[CuratedDataset, ...] | None:
        """Return what people have added to the record there; None if there is nothing new.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        known = previous.get(self.name)
        if known is None:
            return None
        ours = await self._ours(record, known.record_id)
        written = _written(known)
        if not ours or (written is not None and written.is_of(ours[0].xml_content)):
            return None
        return additions_there(record, ours[0].xml_content, written)

    async def withdraw(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> tuple[CuratedDataset, ...] | None:
        """Delete the session's record, and its pictures; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        known = previous.get(self.name)
        data = await self._found(record, known.record_id if known else "")
        additions = None
        if data is not None:
            written = _written(known)
            additions = additions_there(record, data.xml_content, written)
            await self._client.delete("data", data.id, record.session)
        await self._previews.remove(record.session)
        return additions

    async def close(self) -> None:
        """Close the connections."""
        await self._client.api.close()

    async def _found(self, record: RecordToUpload, known: str) -> Data | None:
        """Return the session's record there, under our title or the incumbent's; remove others."""
        ours = await self._ours(record, known)
        for other in ours[1:]:
            await self._client.delete("data", other.id, record.session)
        return ours[0] if ours else None

    async def _ours(self, record: RecordToUpload, known: str) -> list[Data]:
        """Return the session's records there, first the one that the events know."""
        session = record.session
        titled = await self._client.find((session, record.artifact.stem), session)
        ours = [data for data in titled if str(data.id) == known or _is_ours(data, record)]
        ours.sort(key=lambda data: str(data.id) != known)
        if ours or not known:
            return ours
        renamed = await self._client.get(known, session)
        return [renamed] if renamed is not None and _is_ours(renamed, record) else []

    async def _make(self, record: RecordToUpload, content: Content, place: Place) -> Data:
        try:
            made = await self._post(record, content, place)
        except RefusedError:
            place_now = await self._places.place(record.session, anew=True)
            if place_now == place:
                raise
            made = await self._post(record, content, place_now)
        return await self._found(record, "") or made

    async def _post(self, record: RecordToUpload, content: Content, place: Place) -> Data:
        owner = await self._places.owner(record.experiment.experimenters, record.session)
        return await self._client.create(record.session, content.xml, place, owner)

    async def _bring_up_to_date(
        self, data: Data, session: str, content: Content, place: Place
    ) -> None:
        if (data.title, data.xml_content) != (session, content.xml):
            await self._client.change(data.id, session, content.xml)
        if place.workspace is not None and str(data.workspace) != str(place.workspace):
            await self._client.assign("data", data.id, place.workspace, session)


def _written(known: UploadResult | None) -> Written | None:
    """Return what we wrote last; None if the events do not know."""
    return Written.parse(known.written) if known and known.written else None


def _text(record: RecordToUpload) -> str:
    return record.xml.decode("utf-8")


def _is_ours(data: Data, record: RecordToUpload) -> bool:
    """Tell a record of the session from another tool's that has the same title, or the same id."""
    if data.xml_content == _text(record):
        return True
    try:
        there = read_record(data.xml_content.encode())
    except UnreadableRecordError:
        return False
    here = record.experiment
    if there.url and here.url:
        return there.url == here.url
    return (there.id, there.instrument_pid) == (here.id, here.instrument_pid)
