"""The experiment that a session had before its record was withdrawn.

eLabFTW keeps what is deleted out of sight. What people wrote there comes back when the record does:
their text, title and fields with the new experiment, their files right after it.
"""

from nexuslims_uploader.destination import RecordToUpload
from nexuslims_uploader.elabftw.client import ElabftwClient, Experiment
from nexuslims_uploader.elabftw.entry import (
    is_marked_as_edited,
    kept_title,
    marked_as_edited,
)
from nexuslims_uploader.elabftw.text import block_digest, merged_text
from nexuslims_uploader.notebook import DIGEST, key_of

_EDITED = "edited"
"""Equals no digest: the block that is there is kept."""


class FormerExperiments:
    """Finds them, and takes over what people wrote.

    Parameters
    ----------
    client
        The connection.
    """

    def __init__(self, client: ElabftwClient) -> None:
        self._client = client

    async def find(self, candidates: list[Experiment]) -> Experiment | None:
        """Return the last one that was finished, None if there is none.

        Parameters
        ----------
        candidates
            Deleted experiments of the session.
        """
        finished = [one for one in candidates if one.field(DIGEST)]
        return max(finished, key=lambda one: one.id, default=None)

    async def leave(self, experiment: Experiment, written: str, session: str) -> None:
        """Note in an experiment that is about to be deleted whether people changed our part of it.

        Parameters
        ----------
        experiment
            The experiment.
        written
            Digest of our part as we wrote it last; empty if the events do not know.
        session
            Token of the session.
        """
        digest = block_digest(experiment.body or "", key_of(session))
        if written and digest and digest != written:
            content = {"metadata": marked_as_edited(experiment.metadata)}
            await self._client.change(experiment.id, content, session)

    async def bring_files(self, former: Experiment, number: int, session: str) -> None:
        """Attach to a new experiment what people attached to the former one.

        Parameters
        ----------
        former
            The experiment that was deleted.
        number
            Of the new one; what it has by the same name stays as it is.
        session
            Token of the session.
        """
        there = await self._client.attachments(number, session, ours=False)
        names = {one.real_name for one in there}
        for one in await self._client.attachments(former.id, session, ours=False):
            if one.real_name in names:
                continue
            content = await self._client.content(former.id, one.id, session)
            comment = one.comment or ""
            await self._client.attach(number, one.real_name, content, session, comment=comment)


def taken_over(former: Experiment, record: RecordToUpload, body: str) -> tuple[str, str]:
    """Return title and text of a new experiment, with what people wrote in the former one.

    Parameters
    ----------
    former
        The experiment that was deleted.
    record
        The record.
    body
        Our part of the text.
    """
    written = _EDITED if is_marked_as_edited(former.metadata) else ""
    text = merged_text(body, former.body or "", key_of(record.session), written)
    return kept_title(record, former.title), text
