"""What the settings say of a record beside its content: template, workspace, owner, pictures."""

from nexuslims_uploader.cdcs.client import CdcsClient
from nexuslims_uploader.cdcs.migration import migrate
from nexuslims_uploader.cdcs.places import Places
from nexuslims_uploader.cdcs.previews import Previews
from nexuslims_uploader.cdcs.settings import CdcsSettings
from nexuslims_uploader.cdcs.shapes import Data, Id
from nexuslims_uploader.destination import RecordToUpload


class AppliedSettings:
    """Applies the settings to records that are there, and tells whether they are applied.

    Parameters
    ----------
    client
        The connection.
    settings
        What to use there.
    places
        Finds ids by names.
    previews
        Takes a record's pictures there.
    """

    def __init__(
        self, client: CdcsClient, settings: CdcsSettings, places: Places, previews: Previews
    ) -> None:
        self._client = client
        self._settings = settings
        self._places = places
        self._previews = previews

    async def migrated(self, data: Data, session: str) -> Data:
        """Put a record under the current version of the template, if we may; return it then.

        Parameters
        ----------
        data
            The record.
        session
            Token of the session.
        """
        wanted = await self._other_template(data, session)
        return data if wanted is None else await migrate(self._client, data, wanted, session)

    async def apply(self, data: Data, record: RecordToUpload, former: str) -> None:
        """Put a record into its workspace, give it to its owner, and bring its pictures.

        Parameters
        ----------
        data
            The record there.
        record
            Our record.
        former
            XML of the session's earlier record; empty for none.
        """
        place = await self._places.place(record.session)
        if place.workspace is not None and str(data.workspace) != str(place.workspace):
            await self._client.assign("data", data.id, place.workspace, record.session)
        if await self._wants_another_owner(data, record):
            owner = await self._places.owner(record.experiment.experimenters, record.session)
            if owner is not None:
                await self._client.change_owner(data.id, owner, record.session)
        if self._settings.previews:
            await self._previews.bring(record, data.id, place.workspace)
            await self._previews.drop(record, former)

    async def are_applied(self, data: Data, record: RecordToUpload) -> bool:
        """Tell whether a record there is as the settings say; change nothing.

        Parameters
        ----------
        data
            The record there.
        record
            Our record.
        """
        place = await self._places.place(record.session)
        if place.workspace is not None and str(data.workspace) != str(place.workspace):
            return False
        if await self._other_template(data, record.session) is not None:
            return False
        if await self._wants_another_owner(data, record):
            return False
        return not self._settings.previews or await self._previews.are_there(record)

    async def _other_template(self, data: Data, session: str) -> Id | None:
        """Return the version to put a record under; None if it is, or if we may not."""
        place = await self._places.place(session)
        if data.template is None or str(data.template) == str(place.template):
            return None
        if not await self._places.is_superuser(session):
            return None
        place = await self._places.place(session, anew=True)
        return None if str(data.template) == str(place.template) else place.template

    async def _wants_another_owner(self, data: Data, record: RecordToUpload) -> bool:
        """Tell whether a record is still the token's; what people gave to somebody stays there."""
        if not self._settings.user_owned_records or not record.experiment.experimenters:
            return False
        owner = await self._places.account(record.experiment.experimenters, record.session)
        if owner is not None and str(owner) == str(data.user_id):
            return False
        own = await self._client.owned(data.title, record.session)
        return any(one.id == data.id for one in own)
