"""Events of made-up sessions, for the tests of every package and of plugins."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from nexuslims_contracts.datasets import ArtifactRef, Dataset, ExtractorVersion
from nexuslims_contracts.envelope import Recorded, envelop
from nexuslims_contracts.events import (
    ActivitiesCorrected,
    ConsentDeclined,
    CuratedDataset,
    Event,
    ExtractionFailed,
    FileIndexed,
    FilesNotFound,
    HandlingFailed,
    Instrument,
    MetadataExtracted,
    RebuildRequested,
    RecordBuilt,
    RecordCurated,
    RecordLost,
    RecordRejected,
    RecordUploaded,
    RecordWithdrawn,
    ReservationMatched,
    ReservationMissing,
    RetryRequested,
    SessionCancelled,
    SessionEnded,
    SessionIndexed,
    SessionRevised,
    SessionStarted,
    UploadFailed,
    UploadPlan,
    WithdrawalFailed,
    WithdrawalRequested,
)
from nexuslims_contracts.identifiers import digest, file_token

E = TypeVar("E", bound=Event)

TITAN = Instrument(
    pid="FEI-Titan-TEM", name="FEI Titan TEM", timezone="America/Denver", filestore="Titan"
)
START = datetime(2018, 11, 13, 16, tzinfo=UTC)
END = START + timedelta(hours=3)
ARCHIVE = UploadPlan(strategy="all", destinations=("archive",))
_STORED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def recorded(events: Iterable[Event], after: int = 0) -> list[Recorded]:
    """Return events as a log would hold them that holds nothing else.

    Parameters
    ----------
    events
        In the order of the log.
    after
        Sequence of the event before the first.
    """
    return [
        Recorded(envelop(event, source="test", time=_STORED_AT), sequence, _STORED_AT)
        for sequence, event in enumerate(events, start=after + 1)
    ]


@dataclass(frozen=True, slots=True)
class SessionEvents:
    """Makes the events of one session; each method takes fields that are to be different.

    Parameters
    ----------
    session
        The session's token.
    start, end
        When it was held.
    instrument
        Where.
    """

    session: str = "file-1"
    start: datetime = START
    end: datetime = END
    instrument: Instrument = TITAN

    # --- the calendar ---

    def started(self, **changes: Any) -> SessionStarted:
        """Somebody began to use the instrument."""
        return self._make(
            SessionStarted,
            changes,
            calendar="file",
            calendar_event=self.session,
            instrument=self.instrument,
            start=self.start,
        )

    def ended(self, **changes: Any) -> SessionEnded:
        """The session is over."""
        return self._make(
            SessionEnded, changes, instrument=self.instrument, start=self.start, end=self.end
        )

    def revised(self, **changes: Any) -> SessionRevised:
        """The calendar says otherwise."""
        times = {"start": self.start, "end": self.end}
        return self._make(SessionRevised, changes, instrument=self.instrument, after=0, **times)

    def cancelled(self, **changes: Any) -> SessionCancelled:
        """The calendar withdrew the session."""
        return self._make(SessionCancelled, changes, reason="withdrawn", after=0)

    def matched(self, **changes: Any) -> ReservationMatched:
        """The user consents to a record."""
        return self._make(ReservationMatched, changes, tier="calendar", title="Gold", after=0)

    def declined(self, **changes: Any) -> ConsentDeclined:
        """The user does not."""
        return self._make(ConsentDeclined, changes, tier="calendar", reason="no", after=0)

    def unbooked(self, **changes: Any) -> ReservationMissing:
        """Nothing in the calendar speaks of it any more."""
        return self._make(ReservationMissing, changes, reason="none", after=0)

    # --- files ---

    def token(self, number: int) -> str:
        """Return the token of the n-th file."""
        return file_token(f"f{number}", number, number)

    def indexed(self, number: int, **changes: Any) -> FileIndexed:
        """The n-th file was found."""
        return self._make(
            FileIndexed,
            changes,
            file=self.token(number),
            path=f"f{number}",
            size=number,
            mtime_ns=number,
            instrument=self.instrument,
        )

    def manifest(
        self, count: int, *, superseded: tuple[int, ...] = (), **changes: Any
    ) -> SessionIndexed:
        """All files were found; some of an earlier scan are gone."""
        return self._make(
            SessionIndexed,
            changes,
            start=self.start,
            end=self.end,
            strategy="exclusive",
            count=count,
            files_digest=digest([str(count)]),
            superseded=tuple(map(self.token, superseded)),
            after=0,
        )

    def not_found(self, **changes: Any) -> FilesNotFound:
        """There are no files."""
        times = {"start": self.start, "end": self.end, "waited_until": self.end}
        return self._make(FilesNotFound, changes, searched="Titan", after=0, **times)

    def extracted(self, number: int, **changes: Any) -> MetadataExtracted:
        """The n-th file was read: an image."""
        dataset = Dataset(
            index=0,
            name=f"f{number}",
            dataset_type="Image",
            data_type="TEM_Imaging",
            creation_time=self.start,
        )
        return self._make(
            MetadataExtracted,
            changes,
            file=self.token(number),
            outcome="extracted",
            extractor=ExtractorVersion(name="dm", version="1"),
            datasets=(dataset,),
        )

    def failed(self, number: int, **changes: Any) -> ExtractionFailed:
        """The n-th file could not be read."""
        return self._make(
            ExtractionFailed,
            changes,
            file=self.token(number),
            failure="crashed",
            reason="SIGSEGV",
        )

    # --- the record ---

    def built(self, through: int, content: bytes = b"<r/>", **changes: Any) -> RecordBuilt:
        """A record was built of the events up to a sequence."""
        artifact = ArtifactRef(
            path=f"{self.session}.xml",
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
        )
        return self._make(
            RecordBuilt,
            changes,
            record=artifact,
            title="Gold",
            activities=1,
            datasets=1,
            inputs_through_seq=through,
            inputs_digest="d",
            builder="1",
        )

    def rejected(self, through: int, **changes: Any) -> RecordRejected:
        """No record can be built of the events up to a sequence."""
        return self._make(
            RecordRejected,
            changes,
            problems=("line 1: no",),
            inputs_through_seq=through,
            inputs_digest="d",
            builder="1",
        )

    def uploaded(self, content: bytes = b"<r/>", **changes: Any) -> RecordUploaded:
        """The archive holds the record."""
        return self._make(RecordUploaded, changes, record_id="1", **self._at_archive(content))

    def upload_failed(self, content: bytes = b"<r/>", **changes: Any) -> UploadFailed:
        """The archive refuses the record."""
        why = {"reason": "no", "permanent": True}
        return self._make(UploadFailed, changes, **why, **self._at_archive(content))

    def withdrawn(self, content: bytes = b"<r/>", **changes: Any) -> RecordWithdrawn:
        """The archive no longer holds the record."""
        what = {"record_id": "1", "reason": "no"}
        return self._make(RecordWithdrawn, changes, **what, **self._at_archive(content))

    def withdrawal_failed(self, content: bytes = b"<r/>", **changes: Any) -> WithdrawalFailed:
        """The archive does not give the record back."""
        why = {"reason": "403", "permanent": True}
        return self._make(WithdrawalFailed, changes, **why, **self._at_archive(content))

    def curated(self, **changes: Any) -> RecordCurated:
        """Somebody described a dataset at the archive, and rated it."""
        dataset = CuratedDataset(location="f1", name="f1", descriptions=("Gold",), rating=5)
        return self._make(RecordCurated, changes, datasets=(dataset,), **self._at_archive(b"<r/>"))

    def lost(self, **changes: Any) -> RecordLost:
        """The archive does not hold the record that it took."""
        return self._make(RecordLost, changes, **self._at_archive(b"<r/>"))

    # --- the services ---

    def stuck(self, service: str = "builder", sequence: int = 1, **changes: Any) -> HandlingFailed:
        """A service gave up on an event of the session.

        Parameters
        ----------
        service
            Which.
        sequence
            Of the event.
        changes
            Other values of fields, by name.
        """
        fields = {"service": service, "sequence": sequence, "reason": "damaged"}
        return self._make(HandlingFailed, changes, **fields)

    # --- the operator ---

    def corrected(
        self, splits: Iterable[int] = (), merges: Iterable[int] = (), **changes: Any
    ) -> ActivitiesCorrected:
        """An activity begins with each of the first files, and with none of the others.

        Parameters
        ----------
        splits, merges
            Numbers of files.
        changes
            Fields that are to be different.
        """
        files = {"splits": tuple(map(self.token, splits)), "merges": tuple(map(self.token, merges))}
        return self._make(ActivitiesCorrected, changes, after=0, **files)

    def retry(self, request: str = "1", **changes: Any) -> RetryRequested:
        """What failed is to be tried again."""
        return self._make(RetryRequested, changes, request=request)

    def rebuild(self, request: str = "1", **changes: Any) -> RebuildRequested:
        """The record is to be made again."""
        return self._make(RebuildRequested, changes, request=request)

    def withdraw(self, request: str = "1", **changes: Any) -> WithdrawalRequested:
        """No record is to be shown."""
        return self._make(WithdrawalRequested, changes, request=request)

    # --- many ---

    def inputs(self) -> list[Event]:
        """All that a record is made of: three files, the second of which cannot be read."""
        return [
            self.started(),
            self.matched(),
            self.ended(),
            *(self.indexed(number) for number in (1, 2, 3)),
            self.manifest(3),
            self.extracted(1),
            self.failed(2),
            self.extracted(3),
        ]

    def history(self) -> list[Event]:
        """The inputs, and the record built of them, if nothing comes before them in the log."""
        inputs = self.inputs()
        return [*inputs, self.built(len(inputs))]

    def _at_archive(self, content: bytes) -> dict[str, Any]:
        sha256 = hashlib.sha256(content).hexdigest()
        return {"destination": "archive", "record_sha256": sha256, "plan": ARCHIVE, "after": 0}

    def _make(self, model: type[E], changes: dict[str, Any], **usual: Any) -> E:
        return model(session=self.session, **{**usual, **changes})
