"""What the uploader does next for a session: a pure function of its state, no input or output."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from nexuslims_contracts.events import (
    RecordBuilt,
    RecordUploaded,
    RecordWithdrawn,
    ReservationMissing,
    UploadFailed,
    UploadPlan,
)
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.status import (
    cancelled,
    ended,
    exported,
    holding,
    standing_uploads,
    withdrawn,
)
from nexuslims_uploader.outcomes import DestinationEvent, destination_unused, latest_sequence


@dataclass(frozen=True, slots=True)
class Upload:
    """Upload the current record to a destination."""

    destination: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Withdraw the session's record from a destination."""

    destination: str


@dataclass(frozen=True, slots=True)
class Append:
    """Append an event; no destination has to be asked for it."""

    event: DestinationEvent


@dataclass(frozen=True, slots=True)
class Wait:
    """Come back later, for the destinations that do not answer."""

    delay: timedelta
    reason: str


Action: TypeAlias = Upload | Withdraw | Append | Wait
Waiting: TypeAlias = Mapping[str, timedelta | None]
"""Destinations that are not asked again in this handling: for how long one that does not answer is
left alone; None for one that was found to hold no record, and of which no event says that it did.
"""


def next_action(state: SessionState, plan: UploadPlan, waiting: Waiting) -> Action | None:
    """Return what to do now for a session, None if all is done.

    A record that may not be shown is withdrawn first. Otherwise the current record is uploaded
    where it is missing. When nothing else can be done now, the uploader waits for the destinations
    that do not answer. At last it states again where the record is, if by today's plan the session
    counts as exported, or no longer does, and the events say otherwise.

    Parameters
    ----------
    state
        The session.
    plan
        The destinations in order of priority, and the strategy: ``all`` and ``best_effort`` try
        each; ``first_success`` the next one only after the one before has failed for good or for
        long, and ends with the first that takes the record. A destination that holds an earlier
        record of the session comes first there, because that one would stay, outdated.
    waiting
        Destinations that are not asked again in this handling.
    """
    for name in _to_withdraw(state, plan):
        if name not in plan.destinations:
            return Append(destination_unused(state, plan, name))
        if name not in waiting:
            return Withdraw(name)
    delays = {name: delay for name, delay in waiting.items() if delay is not None}
    for name in _to_upload(state, plan, delays):
        return Upload(name)
    if delays:
        return Wait(min(delays.values()), f"{', '.join(delays)} is away")
    event = _restatement(state, plan)
    return Append(event) if event else None


def _to_withdraw(state: SessionState, plan: UploadPlan) -> Iterator[str]:
    """List the destinations to withdraw the session's record from, in this order.

    All of the plan, because an upload may have ended without an event, and all others that hold
    one by the events. One that refused is left alone until a retry is requested.
    """
    if not withdrawn(state) or state.record is None:
        return
    others = sorted(holding(state).keys() - set(plan.destinations))
    for name in (*plan.destinations, *others):
        if not _has_answered(state, name):
            yield name


def _has_answered(state: SessionState, name: str) -> bool:
    """Tell whether a destination has withdrawn the record, or refused to for good."""
    answer = state.withdrawals.get(name)
    called_off = state.schedule if cancelled(state) else None
    causes = (state.booking, called_off, state.withdrawal, state.held.get(name))
    if answer is None or answer.sequence < max(one.sequence for one in causes if one is not None):
        return False
    retried = state.retry.sequence if state.retry else 0
    return isinstance(answer.event, RecordWithdrawn) or (
        answer.event.permanent and answer.sequence > retried
    )


def _to_upload(
    state: SessionState, plan: UploadPlan, delays: Mapping[str, timedelta]
) -> Iterator[str]:
    """List the destinations to try the current record at, in this order."""
    if _withheld(state):
        return
    stated = {name: upload.event for name, upload in standing_uploads(state).items()}
    first_success = plan.strategy == "first_success"
    names = list(plan.destinations)
    if first_success:
        if any(isinstance(stated.get(name), RecordUploaded) for name in names):
            return
        names.sort(key=lambda name: not _holds_earlier(state, name))
    for name in names:
        if _is_settled(stated.get(name)):
            continue
        if name not in delays:
            yield name
        elif first_success and name not in stated:
            return  # away only for a moment: its turn is not over


def _withheld(state: SessionState) -> bool:
    """Tell whether there is no record to upload.

    None was built, the last attempt was rejected, or a later event of the calendar forbids it.
    """
    return (
        state.built is None
        or not isinstance(state.built.event, RecordBuilt)
        or ended(state) is None
        or bool(withdrawn(state))
        or (state.booking is not None and isinstance(state.booking.event, ReservationMissing))
    )


def _is_settled(event: RecordUploaded | UploadFailed | None) -> bool:
    """Tell whether a destination has taken the record, or refused it for good."""
    return event is not None and (isinstance(event, RecordUploaded) or event.permanent)


def _holds_earlier(state: SessionState, name: str) -> bool:
    return name in state.uploads and isinstance(state.uploads[name].event, RecordUploaded)


def _restatement(state: SessionState, plan: UploadPlan) -> RecordUploaded | None:
    """Return the last upload once more with today's plan, if that changes what it means.

    So a session is done when the destination it waited for is taken out of the settings.
    """
    if _withheld(state) or exported(state) is exported(state, plan):
        return None
    for name, upload in standing_uploads(state).items():
        if name in plan.destinations and isinstance(upload.event, RecordUploaded):
            changed = {"plan": plan, "after": latest_sequence(state, name)}
            return upload.event.model_copy(update=changed)
    return None
