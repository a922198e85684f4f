"""What the uploader does next for a session: a pure function of its state, no input or output."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from nexuslims_contracts.events import RecordUploaded, RecordWithdrawn, UploadFailed, UploadPlan
from nexuslims_shared.session.status import exported
from nexuslims_uploader.outcomes import DestinationEvent, destination_unused
from nexuslims_uploader.record_state import RecordState


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


def next_action(state: RecordState, plan: UploadPlan, waiting: Waiting) -> Action | None:
    """Return what to do now for a session, None if all is done.

    A record that may not be shown is withdrawn first. Otherwise the current record is uploaded
    where it is missing. When nothing else can be done now, the uploader waits for the destinations
    that do not answer. At last it states again where the record is, if by today's plan the session
    counts as exported, or no longer does, and the events say otherwise.

    Parameters
    ----------
    state
        The record of the session.
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


def _to_withdraw(state: RecordState, plan: UploadPlan) -> Iterator[str]:
    """List the destinations to withdraw the session's record from, in this order.

    All of the plan, because an upload may have ended without an event, and all others that hold
    one by the events. One that refused is left alone until a retry is requested.
    """
    if not state.withdrawn or state.session.record is None:
        return
    others = sorted(state.held.keys() - set(plan.destinations))
    for name in (*plan.destinations, *others):
        if not _has_answered(state, name):
            yield name


def _has_answered(state: RecordState, name: str) -> bool:
    """Tell whether a destination has withdrawn the record, or refused to for good."""
    answer, held = state.session.withdrawals.get(name), state.held.get(name)
    since = max(state.withdrawn_at, held.sequence if held else 0)
    if answer is None or answer.sequence < since:
        return False
    retry = state.session.retry
    return isinstance(answer.event, RecordWithdrawn) or (
        answer.event.permanent and (retry is None or answer.sequence > retry.sequence)
    )


def _to_upload(
    state: RecordState, plan: UploadPlan, delays: Mapping[str, timedelta]
) -> Iterator[str]:
    """List the destinations to try the current record at, in this order."""
    if not state.may_upload:
        return
    ended = {name: upload.event for name, upload in state.uploads.items()}
    first_success = plan.strategy == "first_success"
    names = list(plan.destinations)
    if first_success:
        if any(isinstance(ended.get(name), RecordUploaded) for name in names):
            return
        names.sort(key=lambda name: name not in state.held)
    for name in names:
        if _is_settled(ended.get(name)):
            continue
        if name not in delays:
            yield name
        elif first_success and name not in ended:
            return  # away only for a moment: its turn is not over


def _is_settled(event: RecordUploaded | UploadFailed | None) -> bool:
    """Tell whether a destination has taken the record, or refused it for good."""
    return event is not None and (isinstance(event, RecordUploaded) or event.permanent)


def _restatement(state: RecordState, plan: UploadPlan) -> RecordUploaded | None:
    """Return the last upload once more with today's plan, if that changes what it means.

    So a session is done when the destination it waited for is taken out of the settings.
    """
    if not state.may_upload or exported(state.session) is exported(state.session, plan):
        return None
    for name, upload in state.uploads.items():
        if name in plan.destinations and isinstance(upload.event, RecordUploaded):
            changed = {"plan": plan, "after": state.latest(name)}
            return upload.event.model_copy(update=changed)
    return None
