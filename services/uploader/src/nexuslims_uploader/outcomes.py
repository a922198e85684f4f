"""The events that state what a destination answered: pure functions of the answer and the state."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.events import (
    RecordCurated,
    RecordLost,
    RecordUploaded,
    RecordWithdrawn,
    UploadFailed,
    UploadPlan,
    WithdrawalFailed,
)
from nexuslims_uploader.destination import UploadResult
from nexuslims_uploader.errors import PermanentUploadError
from nexuslims_uploader.guarded_calls import Deferred
from nexuslims_uploader.record_state import RecordState

DestinationEvent: TypeAlias = (
    RecordUploaded | RecordCurated | UploadFailed | RecordWithdrawn | WithdrawalFailed
)
UploadOutcome: TypeAlias = UploadResult | PermanentUploadError | Deferred


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A destination holds no record of the session any more.

    Parameters
    ----------
    additions
        What people had added to it; None if the destination did not look.
    """

    additions: tuple[CuratedDataset, ...] | None = None


WithdrawalOutcome: TypeAlias = PermanentUploadError | Deferred | Withdrawn
AdditionsOutcome: TypeAlias = PermanentUploadError | Deferred | tuple[CuratedDataset, ...] | None


def upload_events(
    outcome: UploadOutcome, state: RecordState, plan: UploadPlan, name: str
) -> tuple[DestinationEvent, ...]:
    """Return the events that state how an upload ended, none if there is nothing new to state.

    What people have added there is stated first: after that, every later record contains it.

    Parameters
    ----------
    outcome
        What the destination answered.
    state
        The record of the session, as it was when it was uploaded.
    plan
        The destinations and the strategy in use.
    name
        The destination.
    """
    facts = _facts(state, plan, name)
    match outcome:
        case UploadResult():
            where = {"record_id": outcome.record_id, "url": outcome.url}
            uploaded = RecordUploaded(**facts, **where, written=outcome.written)
            return (*_curated(outcome.additions, state, facts), uploaded)
        case PermanentUploadError(explanation=reason):
            return (UploadFailed(**facts, reason=reason, permanent=True),)
        case Deferred(reason=reason, lasting=True) if name not in state.uploads:
            return (UploadFailed(**facts, reason=reason, permanent=False),)
        case Deferred():
            return ()


def _curated(
    additions: tuple[CuratedDataset, ...] | None, state: RecordState, facts: dict[str, Any]
) -> tuple[RecordCurated, ...]:
    """State what people have added, if it is not what the events say."""
    known = state.session.curated_datasets()
    if additions is None or additions == known:
        return ()
    former = state.session.curations.get(facts["destination"])
    after = max(facts["after"], former.sequence if former else 0)
    return (RecordCurated(**{**facts, "after": after}, datasets=additions),)


def additions_events(
    outcome: AdditionsOutcome, state: RecordState, plan: UploadPlan, name: str
) -> tuple[DestinationEvent, ...]:
    """Return the event that states what people added, none if there is nothing new to state.

    Parameters
    ----------
    outcome
        What the destination answered.
    state
        The record of the session, as it was when the destination was asked.
    plan
        The destinations and the strategy in use.
    name
        The destination.
    """
    if isinstance(outcome, PermanentUploadError | Deferred):
        return ()
    return _curated(outcome, state, _facts(state, plan, name))


def withdrawal_events(
    outcome: WithdrawalOutcome, state: RecordState, plan: UploadPlan, name: str
) -> tuple[DestinationEvent, ...]:
    """Return the events that state how a withdrawal ended, none if there is nothing to state.

    Parameters
    ----------
    outcome
        What the destination answered.
    state
        The record of the session, as it was when the destination was asked.
    plan
        The destinations and the strategy in use.
    name
        The destination.
    """
    facts = _facts(state, plan, name)
    held = state.held.get(name)
    match outcome:
        case Withdrawn(additions=additions):
            curated = _curated(additions, state, facts)
            if held is None:
                return curated
            taken = held.event.record_id
            return (
                *curated,
                RecordWithdrawn(**facts, record_id=taken, reason=state.withdrawn),
            )
        case PermanentUploadError(explanation=reason):
            return (WithdrawalFailed(**facts, reason=reason, permanent=True),)
        case Deferred(reason=reason, lasting=True) if not _failure_is_stated(state, name):
            return (WithdrawalFailed(**facts, reason=reason, permanent=False),)
        case Deferred():
            return ()


def destination_unused(state: RecordState, plan: UploadPlan, name: str) -> WithdrawalFailed:
    """Return the event that states that nobody can withdraw a record from a destination.

    Parameters
    ----------
    state
        The record of the session.
    plan
        The destinations in use.
    name
        A destination that holds a record and is not among them.
    """
    reason = f"{name} is not in use any more: add it to NX_DESTINATIONS, then retry"
    return WithdrawalFailed(**_facts(state, plan, name), reason=reason, permanent=True)


def record_lost(state: RecordState, plan: UploadPlan, name: str) -> RecordLost:
    """Return the event that states that a destination does not hold the record that it took.

    Parameters
    ----------
    state
        The record of the session.
    plan
        The destinations and the strategy in use.
    name
        The destination.
    """
    return RecordLost(**_facts(state, plan, name))


def after_conflict(event: DestinationEvent, state: RecordState) -> DestinationEvent | None:
    """Return what is still to be stated after another uploader stated something first.

    A destination that was changed is stated as it was left: our older record may lie over a newer
    one, which is then uploaded again. A failure changed nothing there, and what people added is
    found again by the next upload.

    Parameters
    ----------
    event
        What could not be appended.
    state
        The record of the session, read again.
    """
    held = state.held.get(event.destination)
    match event:
        case RecordUploaded():
            is_stated = held is not None and held.event.record_sha256 == event.record_sha256
        case RecordWithdrawn():
            is_stated = held is None
        case _:
            is_stated = True
    if is_stated:
        return None
    return event.model_copy(update={"after": state.latest(event.destination)})


def describe(event: DestinationEvent) -> str:
    """Say in one line what an event states, for the log."""
    match event:
        case RecordUploaded():
            return f"{event.destination} has the record as {event.record_id}"
        case RecordCurated():
            return f"people added to the record at {event.destination}"
        case RecordWithdrawn():
            return f"{event.destination} no longer has the record: {event.reason}"
        case UploadFailed():
            what = "refuses the record" if event.permanent else "is away, and will be tried again"
            return f"{event.destination} {what}: {event.reason}"
        case WithdrawalFailed():
            return f"{event.destination} still has the record: {event.reason}"


def _facts(state: RecordState, plan: UploadPlan, name: str) -> dict[str, Any]:
    """Return what all events about a session's record at a destination have in common."""
    return {
        "session": state.current.session,
        "destination": name,
        "record_sha256": state.current.record.sha256,
        "plan": plan,
        "after": state.latest(name),
    }


def _failure_is_stated(state: RecordState, name: str) -> bool:
    """Tell whether an event says already that a destination still shows the record."""
    failure = state.session.withdrawals.get(name)
    held = state.held.get(name)
    since = held.sequence if held else 0
    return (
        failure is not None
        and isinstance(failure.event, WithdrawalFailed)
        and failure.sequence > since
    )
