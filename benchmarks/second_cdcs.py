"""A second CDCS, as a plugin: two destinations over HTTP where a site has one."""

import os

from nexuslims_shared.settings import Settings, read
from nexuslims_uploader.cdcs.client import CdcsClient
from nexuslims_uploader.cdcs.destination import CdcsDestination
from nexuslims_uploader.cdcs.previews import Previews
from nexuslims_uploader.cdcs.settings import CdcsSettings

URL = "NX_SECOND_URL"


class SecondCdcs(CdcsDestination):
    """The same under another name."""

    name = "second"
    priority = 90


def create(settings: Settings) -> SecondCdcs:
    """Make the destination."""
    own = read(CdcsSettings, url=os.environ[URL])
    client = CdcsClient(own)
    return SecondCdcs(client, own, Previews(client, settings.data_path))
