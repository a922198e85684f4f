"""Taking records to CDCS, so that it holds one of each session whatever happened before.

What is found of a session (:mod:`nexuslims_uploader.cdcs.search`) is changed in place. Whoever
makes a record looks again afterwards: of several, which two uploaders at once or a lost answer may
leave, one stays. What the incumbent made twice is left, because links to it were given out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.record.curation import merged_additions
from nexuslims_shared.settings import Settings, read
from nexuslims_uploader.cdcs.applied import AppliedSettings
from nexuslims_uploader.cdcs.client import CdcsClient, Place
from nexuslims_uploader.cdcs.content import (
    Content,
    Edited,
    Written,
    additions_there,
    compared,
    merged_content,
    new_content,
)
from nexuslims_uploader.cdcs.places import Places
from nexuslims_uploader.cdcs.previews import Previews
from nexuslims_uploader.cdcs.search import find_records, is_by_us, title_for
from nexuslims_uploader.cdcs.settings import CdcsSettings
from nexuslims_uploader.cdcs.shapes import Data
from nexuslims_uploader.destination import Holding, RecordToUpload, UploadResult
from nexuslims_uploader.errors import EditedError, RefusedError, UploadError

_ATTEMPTS: Final = 5
"""How often a record is merged anew that people change while it is about to be written."""


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
        self._applied = AppliedSettings(client, settings, self._places, previews)

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
        found = await find_records(self._client, record, known.record_id if known else "")
        former = found[0].xml_content if found else ""
        if found:
            data, content = await self._change(found, record, known)
        else:
            content = new_content(record)
            data = await self._make(record, content, place)
        await self._applied.apply(data, record, former)
        where = self._client.result(data.id)
        return replace(where, written=str(content.written), additions=content.additions)

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
        found = await find_records(self._client, record, known.record_id if known else "")
        if not found:
            return "missing"
        data, *others = found
        ours, written = _as_written(data, record, known)
        holding = compared(ours, data.xml_content, written)
        if holding != "current":
            return holding
        is_known = known is None or known.record_id == str(data.id)
        is_alone = not any(is_by_us(one, record) for one in others)
        is_titled = data.title == title_for(data, record)
        as_set = is_known and is_alone and is_titled
        return "current" if as_set and await self._applied.are_applied(data, record) else "outdated"

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
        ours = await find_records(self._client, record, known.record_id)
        if not ours:
            return None
        record, written = _as_written(ours[0], record, known)
        if written is not None and written.is_of(ours[0].xml_content):
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
        found = await find_records(self._client, record, known.record_id if known else "")
        additions = None
        for data in found:
            ours, written = _as_written(data, record, known)
            some = additions_there(ours, data.xml_content, written)
            additions = some if additions is None else merged_additions((), some or (), additions)
        await self._delete(found, record)
        await self._previews.remove(record.session)
        return additions

    async def close(self) -> None:
        """Close the connections."""
        await self._client.api.close()

    async def _make(self, record: RecordToUpload, content: Content, place: Place) -> Data:
        """Make the session's record; look again, for what another uploader made meanwhile."""
        try:
            made = await self._post(record, content, place)
        except RefusedError:
            place_now = await self._places.place(record.session, anew=True)
            if place_now == place:
                raise
            made = await self._post(record, content, place_now)
        kept, *others = await find_records(self._client, record, "") or [made]
        await self._delete(others, record)
        return kept

    async def _post(self, record: RecordToUpload, content: Content, place: Place) -> Data:
        owner = await self._places.owner(record.experiment.experimenters, record.session)
        title, session = record.artifact.stem, record.session
        return await self._client.create(title, content.xml, place, owner, session)

    async def _change(
        self, found: list[Data], record: RecordToUpload, known: UploadResult | None
    ) -> tuple[Data, Content]:
        """Bring a record up to date, and remove those of the same session that we made beside it.

        CDCS cannot be asked to change a record only if nobody changed it meanwhile. So it is read
        again right before.
        """
        data, *others = found
        data = await self._applied.migrated(data, record.session)
        spare = [one for one in others if is_by_us(one, record)]
        record = self._with_additions_of(spare, record, known)
        session = record.session
        content = self._merged(record, data, known)
        for _ in range(_ATTEMPTS):
            title = title_for(data, record)
            if (data.title, data.xml_content) == (title, content.xml):
                break
            now = await self._client.get(str(data.id), session)
            if now is None or (now.title, now.xml_content) == (data.title, data.xml_content):
                await self._client.change(data.id, title, content.xml, session)
                break
            data, content = now, self._merged(record, now, known)
        else:
            raise self._client.api.peer.transient("people are changing the record", session)
        await self._delete(spare, record)
        return data.model_copy(update={"title": title}), content

    def _merged(self, record: RecordToUpload, data: Data, known: UploadResult | None) -> Content:
        """Keep what people added to the record that is there."""
        record, written = _as_written(data, record, known)
        content = merged_content(record, data.xml_content, written)
        if isinstance(content, Edited):
            raise EditedError(content.what, destination=self.name, session=record.session)
        return content

    def _with_additions_of(
        self, others: list[Data], record: RecordToUpload, known: UploadResult | None
    ) -> RecordToUpload:
        """Have our record know what people added to records that are about to be removed."""
        for other in others:
            additions = self._merged(record, other, known).additions
            record = replace(record, additions=additions, last_additions=None)
        return record

    async def _delete(self, others: Iterable[Data], record: RecordToUpload) -> None:
        for other in others:
            await self._client.delete("data", other.id, record.session)


def _as_written(
    data: Data, record: RecordToUpload, known: UploadResult | None
) -> tuple[RecordToUpload, Written | None]:
    """Return what the events say of a record that is there: what we wrote last; None if nothing.

    Of a record that we did not make they know nothing, neither of what people added to it.
    """
    if (known is None or known.record_id != str(data.id)) and not is_by_us(data, record):
        return replace(record, last_additions=()), None
    return record, Written.parse(known.written) if known and known.written else None
