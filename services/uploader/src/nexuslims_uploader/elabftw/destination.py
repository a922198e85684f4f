"""Taking records to eLabFTW, so that it holds one experiment of each session.

eLabFTW's ids are its own and titles repeat: an experiment is found again by a key of ours in its
text, which is searched before anything is made. Making, tagging, attaching and describing are
steps of their own; each looks first at what is there, so a crash between two is completed by the
next upload. The digest of the record is written last: where it is, all the rest is.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from nexuslims_shared.settings import Settings, read
from nexuslims_uploader.destination import Holding, RecordToUpload, UploadResult
from nexuslims_uploader.elabftw.client import Attachment, ElabftwClient, Experiment
from nexuslims_uploader.elabftw.entry import body_of, kept_title, metadata_of, tags_of, title_of
from nexuslims_uploader.elabftw.former import FormerExperiments, taken_over
from nexuslims_uploader.elabftw.settings import ElabftwSettings
from nexuslims_uploader.elabftw.text import block_digest, merged_text
from nexuslims_uploader.errors import RefusedError, UploadError
from nexuslims_uploader.notebook import DIGEST, KEY, SESSION, key_of, session_id

log = logging.getLogger(__name__)

_BLOCK: Final = "block "
"""Stands before the digest of our part of a text."""


def create(settings: Settings) -> "ElabftwDestination":
    """Make the destination."""
    del settings  # its own have a prefix
    own = read(ElabftwSettings)
    return ElabftwDestination(ElabftwClient(own), own)


class ElabftwDestination:
    """Keeps records in an eLabFTW.

    Parameters
    ----------
    client
        The connection.
    settings
        How experiments are filed there.
    """

    name = "elabftw"
    priority = 85
    """The incumbent's: after CDCS and LabArchives, to link to them."""
    one_at_a_time = False

    def __init__(self, client: ElabftwClient, settings: ElabftwSettings) -> None:
        self._client = client
        self._settings = settings
        self._former = FormerExperiments(client)

    async def check(self) -> list[str]:
        """Say whether we are let in, and may write."""
        try:
            if await self._client.may_write():
                return []
        except UploadError as error:
            return [error.explanation]
        return ["NX_ELABFTW_API_KEY may only read: make a key that may write"]

    async def upload(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> UploadResult:
        """Make the session's experiment, or bring it up to date; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        links = {name: one for name, one in previous.items() if name != self.name}
        known = previous.get(self.name)
        experiment = await self._only_one(record, known)
        former = None
        if experiment is None or not experiment.field(DIGEST):
            former = await self._former.find(await self._deleted(record))
        if experiment is None:
            experiment = await self._make(record, known, self._content(record, links, former))
        number = experiment.id
        if former is not None:
            await self._former.bring_files(former, number, record.session)
        if experiment.locked and experiment.field(DIGEST) != record.sha256:
            raise self._client.is_locked(number, record.session)
        await self._add_tags(number, record)
        await self._attach(number, record)
        written = await self._describe(number, record, links, known)
        return replace(self._client.result(number), written=written)

    async def inspect(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> Holding:
        """Look whether the experiment is there, with the record attached; see the port.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        found = await self._found(record, previous.get(self.name))
        if not found:
            return "missing"
        there, session = found[0], record.session
        attached = await self._client.attachments(there.id, session)
        if not [one for one in attached if await self._is_record(there.id, one, record)]:
            return "missing"
        if key_of(session) not in (there.body or ""):
            return "changed"
        return "current" if there.locked or there.field(DIGEST) == record.sha256 else "outdated"

    async def withdraw(self, record: RecordToUpload, previous: Mapping[str, UploadResult]) -> None:
        """Delete the session's experiments, their attachments first; see the port.

        eLabFTW keeps deleted experiments out of sight, with their text.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        session, known = record.session, previous.get(self.name)
        for experiment in await self._found(record, known):
            for one in await self._client.attachments(experiment.id, session, replaced=True):
                await self._client.detach(experiment.id, one.id, session)
            written = known.written.partition(_BLOCK)[2] if known else ""
            await self._former.leave(experiment, written, session)
            await self._client.delete(experiment.id, session)
        for experiment in await self._found(record, known):
            raise self._client.still_there(experiment.id, session)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.api.close()

    async def _describe(
        self,
        number: int,
        record: RecordToUpload,
        links: Mapping[str, UploadResult],
        known: UploadResult | None,
    ) -> str:
        """Write title, text and fields, and keep what people wrote there until a moment ago.

        Returns what our part of the text is recognised by.
        """
        session, key = record.session, key_of(record.session)
        there = await self._client.get(str(number), session)
        if there is None:
            raise self._client.lost(number, session)
        text, kept = there.body or "", there.metadata
        former = known.written.partition(_BLOCK)[2] if known else ""
        content = {
            "title": kept_title(record, there.title),
            "body": merged_text(body_of(record, links), text, key, former),
            "metadata": metadata_of(record, links, kept),
        }
        if _says(there, content):
            return _BLOCK + (former or block_digest(text, key))
        changed = await self._client.change(number, content, session)
        return _BLOCK + block_digest(changed.body or "", key)

    async def _make(
        self, record: RecordToUpload, known: UploadResult | None, content: dict[str, Any]
    ) -> Experiment:
        """Make an experiment, and look again: another uploader's may be older."""
        made = await self._client.create(content, record.session)
        oldest = await self._only_one(record, known)
        experiment = oldest or await self._client.get(str(made), record.session)
        if experiment is None:
            raise self._client.lost(made, record.session)
        return experiment

    async def _only_one(
        self, record: RecordToUpload, known: UploadResult | None
    ) -> Experiment | None:
        """Return the session's experiment; of others that nobody has finished, none is left.

        They come of lost answers and of two uploaders at once. A finished one is a person's copy.
        """
        found = await self._found(record, known)
        for other in found[1:]:
            if other.field(KEY) and not other.field(DIGEST):
                await self._client.delete(other.id, record.session)
        return found[0] if found else None

    async def _found(self, record: RecordToUpload, known: UploadResult | None) -> list[Experiment]:
        """Return the session's experiments: by number, then by key, or as the incumbent made it.

        Another facility's session may have the same token, and so the same key: what the events
        do not know by its number must name the session's address in the calendar too.
        """
        session, key = record.session, key_of(record.session)
        held = await self._client.get(known.record_id, session) if known else None
        keyed = [one for one in await self._client.search(key, session) if _is_keyed(one, key)]
        ours = [one for one in keyed if _is_about(one, record)]
        if held is not None and _is_keyed(held, key):
            ours = [held, *(one for one in ours if one.id != held.id)]
        return ours or [
            one
            for one in await self._client.search(title_of(record), session)
            if not one.field(KEY) and one.field(SESSION) == session_id(record)
        ]

    async def _deleted(self, record: RecordToUpload) -> list[Experiment]:
        """Return the session's experiments that were deleted."""
        key = key_of(record.session)
        found = await self._client.search(key, record.session, deleted=True)
        return [one for one in found if _is_keyed(one, key) and _is_about(one, record)]

    def _content(
        self,
        record: RecordToUpload,
        links: Mapping[str, UploadResult],
        former: Experiment | None = None,
    ) -> dict[str, Any]:
        """Return what an experiment is made with; the digest comes when everything is there."""
        metadata = metadata_of(record, links, former.metadata if former else {})
        metadata["extra_fields"][DIGEST]["value"] = ""
        title, body = title_of(record), body_of(record, links)
        if former is not None:
            title, body = taken_over(former, record, body)
        filed = {
            "category": self._settings.experiment_category,
            "status": self._settings.experiment_status,
        }
        return {
            "title": title,
            "body": body,
            "content_type": 1,
            "metadata": metadata,
            **{name: number for name, number in filed.items() if number is not None},
        }

    async def _add_tags(self, number: int, record: RecordToUpload) -> None:
        """Add the tags that are not there; a team may keep new ones to its admins."""
        there = {tag.casefold() for tag in await self._client.tags(number, record.session)}
        for tag in tags_of(record):
            if tag.casefold() in there:
                continue
            try:
                await self._client.tag(number, tag, record.session)
            except RefusedError as error:
                log.warning("tag %r: %s", tag, error.explanation)

    async def _attach(self, number: int, record: RecordToUpload) -> None:
        """Leave one attachment of ours, with the record's bytes."""
        there = await self._client.attachments(number, record.session)
        same = [one for one in there if await self._is_record(number, one, record)]
        if not same:
            await self._client.attach(
                number,
                record.file_name,
                record.xml,
                record.session,
                instead_of=there[0].id if there else None,
            )
        for one in there if same else there[1:]:
            if one not in same[:1]:
                await self._client.detach(number, one.id, record.session)

    async def _is_record(self, number: int, one: Attachment, record: RecordToUpload) -> bool:
        if one.real_name != record.file_name:
            return False
        if (one.hash_algorithm or "").lower() == "sha256":
            return one.hash == record.sha256
        return await self._client.content(number, one.id, record.session) == record.xml


def _is_keyed(experiment: Experiment, key: str) -> bool:
    """Tell whether an experiment has our key; people may have cleared its fields."""
    stated = experiment.field(KEY)
    return stated == key if stated else key in (experiment.body or "")


def _is_about(experiment: Experiment, record: RecordToUpload) -> bool:
    stated = experiment.field(SESSION)
    return stated == session_id(record) if stated else session_id(record) in experiment.text


def _says(experiment: Experiment, content: Mapping[str, Any]) -> bool:
    """Tell whether an experiment shows this record; its text may be written otherwise there."""
    same_fields: bool = experiment.fields == content["metadata"]["extra_fields"]
    return same_fields and experiment.title == content["title"]
