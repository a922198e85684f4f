"""Deciding, from what happened to a session, which destinations its record is missing at."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import (
    RecordBuilt,
    RecordUploaded,
    RecordWithdrawn,
    ReservationMissing,
    SessionEnded,
    SessionRevised,
    UploadFailed,
    UploadPlan,
)
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.session.status import cancelled, ended, holding, standing_uploads, withdrawn
from nexuslims_uploader.destination import UploadResult


@dataclass(frozen=True, slots=True)
class SessionHistory:
    """The events of a session, but for those of its files, and what they come to."""

    events: tuple[Recorded, ...]
    state: SessionState

    @classmethod
    def of(cls, events: Sequence[Recorded]) -> "SessionHistory":
        """Fold the events."""
        return cls(tuple(events), fold(events))

    def last_sequence(self, subject: str) -> int:
        """Sequence of the last event on a subject, 0 for none."""
        found = (one.sequence for one in self.events if one.envelope.subject == subject)
        return max(found, default=0)

    def schedule(self) -> SessionEnded | SessionRevised | None:
        """Return the last word on when the session was, though it may have been taken back."""
        for one in reversed(self.events):
            event = one.event
            if isinstance(event, SessionEnded) or (isinstance(event, SessionRevised) and event.end):
                return event
        return None

    def results(self) -> dict[str, UploadResult]:
        """Where the session's record is, or an earlier one of it, by destination."""
        return {
            name: UploadResult(taken.event.record_id, taken.event.url)
            for name, taken in holding(self.state).items()
        }


def withheld(state: SessionState) -> bool:
    """Tell whether there is no record to give away.

    None was built, the last attempt was rejected, or what the calendar said later forbids it.
    """
    return (
        state.built is None
        or not isinstance(state.built.event, RecordBuilt)
        or ended(state) is None
        or bool(withdrawn(state))
        or (state.booking is not None and isinstance(state.booking.event, ReservationMissing))
    )


def decide_withdrawal(
    state: SessionState, plan: UploadPlan, tried: Collection[str] = ()
) -> tuple[str, ...]:
    """Say from which destinations to take the session's record away now, in this order.

    Those that hold one by what the events say; and the others of the plan, for an upload may have
    ended without an event. One that refused is left alone until a retry is requested.

    Parameters
    ----------
    state
        The session.
    plan
        The destinations that can be asked.
    tried
        Destinations that need not be asked (again) now.
    """
    if not withdrawn(state) or state.record is None:
        return ()
    others = sorted(holding(state).keys() - set(plan.destinations))
    asked = (*plan.destinations, *others)
    return tuple(name for name in asked if name not in tried and not _has_answered(state, name))


def _has_answered(state: SessionState, name: str) -> bool:
    """Tell whether a destination has said a last word on giving the record back."""
    said = state.withdrawals.get(name)
    called_off = state.schedule if cancelled(state) else None
    causes = (state.booking, called_off, state.withdrawal, state.held.get(name))
    if said is None or said.sequence < max(one.sequence for one in causes if one is not None):
        return False
    retried = state.retry.sequence if state.retry else 0
    return isinstance(said.event, RecordWithdrawn) or (
        said.event.permanent and said.sequence > retried
    )


def decide(state: SessionState, plan: UploadPlan, tried: Collection[str] = ()) -> tuple[str, ...]:
    """Say at which destinations to try the current record now, in this order.

    A destination that has the record is left alone, and so is one that refused it, until a retry
    is requested or the record changes. One that was away is tried again.

    Parameters
    ----------
    state
        The session.
    plan
        The destinations in order of priority, and the strategy: ``all`` and ``best_effort`` try
        each; ``first_success`` the next one only after the one before has failed for good or for
        long, and ends with the first that takes the record. A destination that holds an earlier
        record of the session comes first there: otherwise that one would stay, outdated.
    tried
        Destinations that were just tried and are away: not to be tried again at once.
    """
    if withheld(state):
        return ()
    stated = {name: upload.event for name, upload in standing_uploads(state).items()}
    missing = tuple(
        name
        for name in plan.destinations
        if not (isinstance(event := stated.get(name), RecordUploaded) or _refused(event))
    )
    if plan.strategy != "first_success":
        return tuple(name for name in missing if name not in tried)
    if any(isinstance(stated.get(name), RecordUploaded) for name in plan.destinations):
        return ()
    return _until_undecided(state, missing, tried, stated)


def _until_undecided(
    state: SessionState,
    missing: tuple[str, ...],
    tried: Collection[str],
    stated: dict[str, RecordUploaded | UploadFailed],
) -> tuple[str, ...]:
    """Leave out what comes after a destination that is away only for a moment."""
    chosen: list[str] = []
    for name in sorted(missing, key=lambda name: not _holds_earlier(state, name)):
        if name not in tried:
            chosen.append(name)
        elif name not in stated:
            break
    return tuple(chosen)


def _refused(event: RecordUploaded | UploadFailed | None) -> bool:
    return isinstance(event, UploadFailed) and event.permanent


def _holds_earlier(state: SessionState, name: str) -> bool:
    return name in state.uploads and isinstance(state.uploads[name].event, RecordUploaded)


def forget_uploads(state: SessionState, names: Collection[str]) -> SessionState:
    """Return a state in which nothing is known of some destinations."""
    uploads = state.uploads
    for name in names:
        uploads = uploads.delete(name) if name in uploads else uploads
    return replace(state, uploads=uploads)
