"""What the entries of all electronic notebooks have in common: keys, names, links."""

import hashlib
from collections.abc import Mapping
from typing import Final

from nexuslims_uploader.destination import RecordToUpload, UploadResult
from nexuslims_uploader.html import is_web_address

KEY: Final = "Record key"
DIGEST: Final = "Record digest"
SESSION: Final = "Session ID"
COMMENT: Final = "NexusLIMS XML record"
"""On our attachments, as the incumbent writes it: by it ours are told from what people attach."""

_CALLED: Final = {"cdcs": "CDCS", "elabftw": "eLabFTW", "labarchives": "LabArchives"}


def key_of(session: str) -> str:
    """Return what a session's entry is found by: one word, whatever a search makes of it."""
    return "nx" + hashlib.sha256(session.encode()).hexdigest()[:32]


def session_id(record: RecordToUpload) -> str:
    """Return what the incumbent calls the session: its address in the calendar, or its id."""
    return record.experiment.url or record.experiment.id or record.session


def users_of(record: RecordToUpload) -> list[str]:
    """Return who worked in the session."""
    return [name for name in record.experiment.experimenters if name.strip()]


def links_of(elsewhere: Mapping[str, UploadResult]) -> dict[str, str]:
    """Return where the record is elsewhere: the name for people, and an address they may follow."""
    return {
        _CALLED.get(name, name): one.url
        for name, one in elsewhere.items()
        if is_web_address(one.url)
    }
