"""The history of a session: its events, and the state they fold to."""

from collections.abc import Sequence
from dataclasses import dataclass

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import SessionEnded, SessionRevised
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.session.status import holding
from nexuslims_uploader.destination import UploadResult


@dataclass(frozen=True, slots=True)
class SessionHistory:
    """The events of a session, without those of its files, and the state they fold to."""

    events: tuple[Recorded, ...]
    state: SessionState

    @classmethod
    def of(cls, events: Sequence[Recorded]) -> "SessionHistory":
        """Fold the events."""
        return cls(tuple(events), fold(events))

    def last_sequence(self, subject: str) -> int:
        """Return the sequence of the last event on a subject, 0 for none."""
        found = (one.sequence for one in self.events if one.envelope.subject == subject)
        return max(found, default=0)

    def schedule(self) -> SessionEnded | SessionRevised | None:
        """Return the latest event that says when the session was, even of a cancelled session."""
        for one in reversed(self.events):
            event = one.event
            if isinstance(event, SessionEnded) or (isinstance(event, SessionRevised) and event.end):
                return event
        return None

    def results(self) -> dict[str, UploadResult]:
        """Return where the session's current or earlier record is, by destination."""
        return {
            name: UploadResult(register.event.record_id, register.event.url)
            for name, register in holding(self.state).items()
        }
