"""The history of a session: its events, and the state of its record."""

from collections.abc import Sequence
from dataclasses import dataclass

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import SessionEnded, SessionRevised
from nexuslims_shared.session.state import fold
from nexuslims_uploader.record_state import RecordState


@dataclass(frozen=True, slots=True)
class SessionHistory:
    """The events of a session, without those of its files, and the state of its record."""

    events: tuple[Recorded, ...]
    state: RecordState

    @classmethod
    def of(cls, events: Sequence[Recorded]) -> "SessionHistory":
        """Fold the events."""
        return cls(tuple(events), RecordState.of(fold(events)))

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
