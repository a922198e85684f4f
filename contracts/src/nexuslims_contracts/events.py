"""The catalogue of events: facts in the past tense, one model each.

An event's *identity* is what makes it the same fact when it is produced twice; its id is derived
from it. Facts that may be stated again with another content (a revised session, a second scan)
name in ``after`` the sequence of the statement they replace, so that going back to an earlier
content is a new fact too.
"""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AwareDatetime, Field

from nexuslims_contracts.calendars import (
    BookingTexts,
    BookingTier,
    Instrument,
    Payload,
    Project,
    Sample,
)
from nexuslims_contracts.datasets import ArtifactRef, CuratedDataset, Dataset, ExtractorVersion
from nexuslims_contracts.destination_events import (
    RecordCurated,
    RecordLost,
    RecordUploaded,
    RecordWithdrawn,
    UploadFailed,
    WithdrawalFailed,
)
from nexuslims_contracts.event import (
    EVENT_TYPES,
    DestinationEvent,
    Event,
    FileEvent,
    Replaces,
    UploadPlan,
)
from nexuslims_contracts.file_events import (
    FileBasis,
    FileDeparture,
    FileIndexed,
    FileMissing,
    FilesAwaited,
    FilesNotFound,
    FileSuperseded,
    SessionIndexed,
)
from nexuslims_contracts.identifiers import FileToken, PersonId
from nexuslims_contracts.imported_events import SessionImported

__all__ = [
    "EVENT_TYPES",
    "RECORD_INPUTS",
    "ActivitiesCorrected",
    "BookingTexts",
    "BookingTier",
    "ConsentDeclined",
    "CuratedDataset",
    "DestinationEvent",
    "Event",
    "ExtractionFailed",
    "FailureKind",
    "FileBasis",
    "FileDeparture",
    "FileEvent",
    "FileIndexed",
    "FileMissing",
    "FileSuperseded",
    "FilesAwaited",
    "FilesNotFound",
    "HandlingFailed",
    "Instrument",
    "MetadataExtracted",
    "Project",
    "RebuildRequested",
    "RecordBuilt",
    "RecordCurated",
    "RecordLost",
    "RecordRejected",
    "RecordUploaded",
    "RecordWithdrawn",
    "Replaces",
    "ReservationMatched",
    "ReservationMissing",
    "RetryRequested",
    "Sample",
    "SessionCancelled",
    "SessionEnded",
    "SessionImported",
    "SessionIndexed",
    "SessionRevised",
    "SessionStarted",
    "UploadFailed",
    "UploadPlan",
    "WithdrawalFailed",
    "WithdrawalRequested",
]


# --- the calendar's side ---------------------------------------------------------------------


class SessionStarted(Event, name="session.started"):
    """Somebody began to use an instrument."""

    calendar: Annotated[str, Field(description="Name of the calendar, for example nemo-1")]
    calendar_event: Annotated[str, Field(description="The calendar's identifier of the session")]
    instrument: Instrument
    user: PersonId | None = None
    start: AwareDatetime
    url: str = ""

    def people(self) -> tuple[PersonId, ...]:
        """Return the user."""
        return (self.user,) if self.user else ()


class SessionEnded(Event, name="session.ended"):
    """The use of an instrument is over: its files can be looked for."""

    instrument: Instrument
    user: PersonId | None = None
    start: AwareDatetime
    end: AwareDatetime

    def people(self) -> tuple[PersonId, ...]:
        """Return the user."""
        return (self.user,) if self.user else ()


class SessionRevised(Event, name="session.revised"):
    """The calendar now says otherwise about when, where or by whom a session was held."""

    instrument: Instrument
    user: PersonId | None = None
    start: AwareDatetime
    end: AwareDatetime | None = None
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One revision is one content after one earlier statement."""
        return (self.content_digest(),)

    def people(self) -> tuple[PersonId, ...]:
        """Return the user."""
        return (self.user,) if self.user else ()


class SessionCancelled(Event, name="session.cancelled"):
    """The calendar withdrew a session."""

    reason: str
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """A session may be withdrawn, restored and withdrawn again."""
        return (self.content_digest(),)


class ReservationMatched(Event, name="reservation.matched"):
    """What the session was for is known, and its user consents to a record."""

    tier: BookingTier
    reservation: str = ""
    title: str = ""
    purpose: str = ""
    experimenter: PersonId | None = None
    collaborators: tuple[PersonId, ...] = ()
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    samples: tuple[Sample, ...] = ()
    projects: tuple[Project, ...] = ()
    url: str = ""
    payload: Payload = None
    complete: Annotated[
        ArtifactRef | None,
        Field(description="BookingTexts as JSON, where texts are too long for an event"),
    ] = None
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """Answers may change: one content after one earlier statement."""
        return (self.content_digest(),)

    def people(self) -> tuple[PersonId, ...]:
        """Return the experimenter and who worked with them."""
        return (*((self.experimenter,) if self.experimenter else ()), *self.collaborators)


class ConsentDeclined(Event, name="consent.declined"):
    """The user does not consent to a record, or did not say."""

    tier: BookingTier
    reason: str
    answer: Annotated[
        str, Field(description="What the user answered, shortened; empty if nothing")
    ] = ""
    payload: Payload = None
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """Consent may be given and withdrawn again."""
        return (self.content_digest(),)


class ReservationMissing(Event, name="reservation.missing"):
    """Nothing in the calendar tells what the session was for."""

    reason: str
    payload: Payload = None
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """A reservation may be added and deleted again."""
        return (self.content_digest(),)


# --- files -----------------------------------------------------------------------------------


class MetadataExtracted(FileEvent, name="metadata.extracted"):
    """A file was read."""

    outcome: Literal["extracted", "partial"]
    reason: Annotated[str, Field(description="What is missing of a partial one")] = ""
    extractor: ExtractorVersion
    sha256: Annotated[str, Field(description="Of the file's bytes")] = ""
    datasets: tuple[Dataset, ...]
    artifacts: tuple[ArtifactRef, ...] = ()
    extensions_in_artifact: Annotated[
        bool, Field(description="Extensions too long for an event are in the JSON artifacts only")
    ] = False
    operators: Annotated[
        tuple[PersonId, ...],
        Field(description="Ids that stand for the names of people which the file's metadata has"),
    ] = ()
    request: Annotated[str, Field(description="The request to read it again, if any")] = ""

    def identity(self) -> tuple[str, ...]:
        """One reading by one version of one extractor, for one request."""
        made_by = self.extractor
        return (made_by.name, made_by.version, made_by.reader, self.request)

    def people(self) -> tuple[PersonId, ...]:
        """Return whom the file names."""
        return self.operators


FailureKind: TypeAlias = Literal[
    "missing", "changed", "unreadable", "unsupported", "failed", "crashed", "timeout", "memory"
]


class ExtractionFailed(FileEvent, name="extraction.failed"):
    """A file could not be read; the record says so and goes on without."""

    failure: FailureKind
    reason: str
    extractor: ExtractorVersion | None = None
    request: str = ""

    def identity(self) -> tuple[str, ...]:
        """One failure of one kind, for one request."""
        version = self.extractor.version if self.extractor else ""
        return (self.failure, version, self.request)


# --- the record ------------------------------------------------------------------------------


class RecordBuilt(Event, name="record.built"):
    """The record of a session, as its events up to a sequence tell it."""

    record: ArtifactRef
    title: str
    activities: int
    datasets: int
    failures: Annotated[int, Field(description="Files the record lists as unreadable")] = 0
    inputs_through_seq: Annotated[int, Field(ge=1)]
    inputs_digest: str
    builder: str
    upload: Annotated[
        bool, Field(description="Whether it goes to the destinations; if not, the next one may")
    ] = True
    replaces: Annotated[
        int, Field(ge=0, description="Sequence of the record that a rebuild replaced; else 0")
    ] = 0

    def identity(self) -> tuple[str, ...]:
        """One content from one state of the inputs, and one for each record that it replaced."""
        replaced = (str(self.replaces),) if self.replaces else ()
        return (str(self.inputs_through_seq), self.record.sha256, *replaced)


class RecordRejected(Event, name="record.rejected", version=2):
    """No valid record can be made of the session's events."""

    problems: Annotated[
        tuple[str, ...], Field(min_length=1, description="Line, element and expectation of each")
    ]
    inputs_through_seq: Annotated[int, Field(ge=1)]
    inputs_digest: str
    builder: str

    def identity(self) -> tuple[str, ...]:
        """One refusal of one state of the inputs."""
        return (str(self.inputs_through_seq), self.builder)

    @property
    def reason(self) -> str:
        """All problems in one text."""
        return "; ".join(self.problems)


# --- the services -----------------------------------------------------------------------------


class HandlingFailed(Event, name="handling.failed"):
    """A service could not handle an event of the session and gave up, or has handled it since."""

    cumulative = True  # each service speaks for itself

    service: Annotated[str, Field(description="Name of its consumer, which the dead letter has")]
    sequence: Annotated[int, Field(ge=1, description="Of the event that it could not handle")]
    reason: Annotated[str, Field(description="What was wrong, and the remedy")]
    resolved: Annotated[bool, Field(description="It was handled since")] = False

    def identity(self) -> tuple[str, ...]:
        """One outcome of one service with one event."""
        return (self.content_digest(),)


# --- the operator ----------------------------------------------------------------------------


class RebuildRequested(Event, name="rebuild.requested"):
    """An operator wants the record made again, from the events or from the files too.

    Each counts: one may name an extractor, and another one a second.
    """

    cumulative = True

    request: str
    re_extract: bool = False
    extractor: Annotated[str, Field(description="Only the files that it read last")] = ""

    def identity(self) -> tuple[str, ...]:
        """One request is one fact."""
        return (self.request,)


class RetryRequested(Event, name="retry.requested"):
    """An operator repaired something: what failed for this session is to be tried again."""

    request: str
    overwrite: Annotated[
        bool, Field(description="Also what people changed at a destination and cannot be kept")
    ] = False

    def identity(self) -> tuple[str, ...]:
        """One request is one fact."""
        return (self.request,)


class ActivitiesCorrected(Event, name="activities.corrected"):
    """An operator says where activities begin; an earlier correction no longer counts.

    A file is named by its token: one that was written anew is clustered by its times again.
    """

    splits: Annotated[
        tuple[FileToken, ...], Field(description="Files with which an activity begins")
    ] = ()
    merges: Annotated[
        tuple[FileToken, ...], Field(description="Files with which no activity begins")
    ] = ()
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One correction after one earlier one."""
        return (self.content_digest(),)


class WithdrawalRequested(Event, name="withdrawal.requested"):
    """An operator wants no record of the session to be shown anywhere, or that to be over."""

    request: str
    withdrawn: Annotated[bool, Field(description="False: records may be shown again")] = True
    reason: str = ""

    def identity(self) -> tuple[str, ...]:
        """One request is one fact."""
        return (self.request,)


RECORD_INPUTS: Final[tuple[type[Event], ...]] = (
    SessionStarted,
    SessionEnded,
    SessionRevised,
    SessionCancelled,
    ReservationMatched,
    ConsentDeclined,
    ReservationMissing,
    FileIndexed,
    FileSuperseded,
    FileMissing,
    SessionIndexed,
    FilesNotFound,
    MetadataExtracted,
    ExtractionFailed,
    ActivitiesCorrected,
    RebuildRequested,
    RetryRequested,
    WithdrawalRequested,
    RecordCurated,
)
"""What a record is made of: one that is stored after a record was built makes the record stale."""
