"""The kinds of files that the extractor in use reads, by a bucket of the broker."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from pydantic import ValidationError

from nexuslims_contracts.file_kinds import FileKinds
from nexuslims_contracts.topology import READERS
from nexuslims_shared.bucket import BrokerBucket, Bucket

if TYPE_CHECKING:
    from nats.js import JetStreamContext

_KEY: Final = "kinds"


@dataclass(frozen=True, slots=True)
class PublishedKinds:
    """What the extractor published last.

    Parameters
    ----------
    bucket
        Where it is.
    """

    bucket: Bucket

    @classmethod
    def of(cls, jetstream: "JetStreamContext") -> Self:
        """Return what is published at a broker.

        Parameters
        ----------
        jetstream
            A context on a live connection.
        """
        return cls(BrokerBucket(jetstream, READERS))

    async def publish(self, kinds: FileKinds) -> None:
        """Publish what is read, in place of what was published before.

        Raises
        ------
        BrokerUnavailableError
            If the broker does not answer.
        """
        document = kinds.model_dump_json().encode()
        if await self.bucket.get(_KEY) != document:
            await self.bucket.put(_KEY, document)

    async def read(self) -> FileKinds | None:
        """Return what was published last; None if nothing was, or a newer release did.

        Raises
        ------
        BrokerUnavailableError
            If the broker does not answer.
        """
        document = await self.bucket.get(_KEY)
        try:
            return FileKinds.model_validate_json(document, extra="ignore") if document else None
        except ValidationError:
            return None
