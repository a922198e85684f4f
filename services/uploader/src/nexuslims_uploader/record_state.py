"""Where the record of a session is and where it may be: what the uploader asks of its state."""

from collections.abc import Mapping
from dataclasses import dataclass

from nexuslims_contracts.events import Event, RecordBuilt, RecordUploaded, ReservationMissing
from nexuslims_shared.session.state import Register, SessionState, Upload
from nexuslims_shared.session.status import (
    cancelled,
    ended,
    held_back,
    holding,
    left_without_files,
    standing_uploads,
    withdrawn,
)
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.errors import UploaderError


@dataclass(frozen=True, slots=True)
class RecordState:
    """The record of a session, as its events describe it.

    Parameters
    ----------
    session
        The state it is derived from.
    may_upload
        Whether there is a record to upload: one was built, was not rejected since, is not held
        back, and no later event of the calendar forbids it.
    withdrawn
        Why no record of the session may be shown any more; empty if one may.
    withdrawn_at
        Sequence of the last event that could be the cause.
    uploads
        How the last upload of this record to each destination ended, where that still counts.
    held
        Which destinations hold it, or an earlier record of the session.
    """

    session: SessionState
    may_upload: bool
    withdrawn: str
    withdrawn_at: int
    uploads: Mapping[str, Register[Upload]]
    held: Mapping[str, Register[RecordUploaded]]

    @classmethod
    def of(cls, state: SessionState) -> "RecordState":
        """Derive it from the state of the session."""
        reason = withdrawn(state)
        causes = (
            state.booking,
            state.schedule if cancelled(state) else None,
            state.withdrawal,
            left_without_files(state),
        )
        return cls(
            session=state,
            may_upload=not reason and ended(state) is not None and _is_wanted(state),
            withdrawn=reason,
            withdrawn_at=max((one.sequence for one in causes if one is not None), default=0),
            uploads=standing_uploads(state),
            held=holding(state),
        )

    @property
    def current(self) -> RecordBuilt:
        """The newest record that was built.

        Raises
        ------
        UploaderError
            If there was never one.
        """
        if self.session.record is None:
            raise UploaderError(f"session {self.session.session} has no record")
        return self.session.record.event

    def latest(self, name: str) -> int:
        """Return the sequence of the last event about a destination, 0 for none."""
        state = self.session
        registers = (state.uploads.get(name), state.withdrawals.get(name), state.lost.get(name))
        return max(one.sequence if one else 0 for one in registers)

    def may_overwrite(self, name: str) -> bool:
        """Tell whether the operator asked to overwrite what people changed at a destination.

        That holds for the next upload there.
        """
        retry = self.session.retry
        return retry is not None and retry.event.overwrite and retry.sequence > self.latest(name)

    def last_sequence(self, event: Event) -> int:
        """Return the sequence of the last event of this kind about its destination, 0 for none."""
        return self.session.destination_subjects.get(event.subject, 0)

    def results(self) -> dict[str, UploadResult]:
        """Return where the record, or an earlier one of the session, is by destination."""
        return {
            name: UploadResult(
                register.event.record_id,
                register.event.url,
                register.event.written or register.event.record_sha256,
            )
            for name, register in self.held.items()
        }


def _is_wanted(state: SessionState) -> bool:
    """Tell whether the last build made a record that may leave, and its session was booked."""
    return (
        state.built is not None
        and not held_back(state)
        and isinstance(state.built.event, RecordBuilt)
        and not (state.booking is not None and isinstance(state.booking.event, ReservationMissing))
    )
