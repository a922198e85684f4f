"""Events about the record of a session at a destination: stated by the uploader."""

from typing import Annotated

from pydantic import Field

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.event import DestinationEvent, Replaces


class RecordUploaded(DestinationEvent, name="record.uploaded"):
    """A destination holds the record."""

    record_id: str
    url: str = ""
    written: Annotated[
        str, Field(description="What the destination recognises its last own change by")
    ] = ""
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One content at one place under one id, which may go away and come back."""
        return (self.record_sha256, self.record_id, str(self.after))


class RecordCurated(DestinationEvent, name="record.curated"):
    """People changed the record at a destination: all that they have added there so far."""

    datasets: tuple[CuratedDataset, ...]
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One content after one earlier statement."""
        return (self.content_digest(),)


class RecordLost(DestinationEvent, name="record.lost"):
    """A destination was found not to hold the record that it took: it is uploaded anew."""

    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One loss after one upload."""
        return (str(self.after),)


class UploadFailed(DestinationEvent, name="upload.failed"):
    """A destination refuses the record, or was away for too long."""

    reason: str
    permanent: bool
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One failed attempt after one earlier statement."""
        return (self.content_digest(),)


class RecordWithdrawn(DestinationEvent, name="record.withdrawn"):
    """A destination no longer holds a record of the session, because none may be shown."""

    record_id: str
    reason: str
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One record at one place, which may be brought again and taken away again."""
        return (self.record_id, str(self.after))


class WithdrawalFailed(DestinationEvent, name="withdrawal.failed"):
    """A destination does not give a record back, or was away for too long: it is still shown."""

    reason: str
    permanent: bool
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One failed attempt after one earlier statement."""
        return (self.content_digest(),)
