"""What a session's state means: its status, and the phase of work inside it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from nexuslims_contracts.events import (
    ConsentDeclined,
    FilesAwaited,
    FilesNotFound,
    HandlingFailed,
    RecordRejected,
    RecordUploaded,
    RecordWithdrawn,
    ReservationMissing,
    SessionCancelled,
    SessionEnded,
    SessionImported,
    SessionRevised,
    UploadFailed,
    UploadPlan,
    WithdrawalFailed,
)
from nexuslims_contracts.subjects import destination_subject
from nexuslims_contracts.text import counted
from nexuslims_shared.session.state import Register, Scan, SessionState, Upload


class Status(StrEnum):
    """The incumbent's names, and CANCELLED for what a calendar withdrew."""

    WAITING_FOR_END = "WAITING_FOR_END"
    TO_BE_BUILT = "TO_BE_BUILT"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    NO_FILES_FOUND = "NO_FILES_FOUND"
    NO_CONSENT = "NO_CONSENT"
    NO_RESERVATION = "NO_RESERVATION"
    BUILT_NOT_EXPORTED = "BUILT_NOT_EXPORTED"
    CANCELLED = "CANCELLED"


FINAL = frozenset(Status) - {Status.WAITING_FOR_END, Status.TO_BE_BUILT}
"""Statuses in which nothing more happens by itself."""

WELL = frozenset(
    {Status.COMPLETED, Status.NO_CONSENT, Status.NO_RESERVATION, Status.NO_FILES_FOUND}
    | {Status.CANCELLED, Status.WAITING_FOR_END}
)
"""Statuses that need nobody's attention."""


WITHOUT_RECORD = frozenset(
    {Status.CANCELLED, Status.NO_CONSENT, Status.NO_RESERVATION}
    | {Status.NO_FILES_FOUND, Status.WAITING_FOR_END}
)
"""Statuses in which no record can be built, or may be."""

LOOKING_FOR_FILES = "looking for files"
"""How the phase begins while the files of a session are not found yet."""

WITHDRAWING = "withdrawing"
"""How the phase begins while destinations still hold a record that is to be withdrawn."""

NOT_WITHDRAWN = "not withdrawn"
"""The phase in which a destination refuses to give a record back."""


IMPORTED = "imported"
"""The phase of a session that an earlier system dealt with."""

STUCK = "stuck"
"""The phase in which a service gave up on an event of the session, until a retry."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A status, a finer phase inside it, a reason where there is one; and who has to act next.

    Parameters
    ----------
    status, phase, reason
        For people.
    waits_for
        Service whose work is due; empty where none is, or nobody can tell.
    not_before
        From when that work is due; None for at once.
    """

    status: Status
    phase: str
    reason: str = ""
    waits_for: str = ""
    not_before: datetime | None = None


def ended(state: SessionState) -> SessionEnded | SessionRevised | None:
    """Return the event that says when the session ended, if it has ended."""
    event = state.schedule.event if state.schedule else None
    if isinstance(event, SessionEnded) or (isinstance(event, SessionRevised) and event.end):
        return event
    return None


def cancelled(state: SessionState) -> SessionCancelled | None:
    """Return the calendar's cancellation, if nothing newer replaced it."""
    event = state.schedule.event if state.schedule else None
    return event if isinstance(event, SessionCancelled) else None


def left_as_imported(state: SessionState) -> SessionImported | None:
    """Return what an earlier system made of a session, unless it was opened here since."""
    return state.imported.event if state.imported and state.started is None else None


def unhandled(state: SessionState) -> list[HandlingFailed]:
    """Return what services could not handle, have not handled since, and nobody asks to retry."""
    retried = state.retry.sequence if state.retry else 0
    return [
        failure.event
        for _, failure in sorted(state.unhandled.items())
        if not failure.event.resolved and failure.sequence > retried
    ]


def files_complete(state: SessionState) -> bool:
    """Tell whether all files that the manifest counts are known and settled."""
    if state.manifest is None:
        return False
    gone = state.superseded
    if not gone:
        expected = state.manifest.event.count
        return state.indexed_count >= expected and state.settled_count >= state.indexed_count
    current = state.current_files()
    return len(current) >= state.manifest.event.count and all(map(state.settled, current.values()))


def file_notes(state: SessionState) -> tuple[str, ...]:
    """Return what an operator should know of the session's files, the missing ones first."""
    manifest = state.manifest.event if state.manifest else None
    if manifest is None:
        return ()
    count = manifest.missing
    missing = counted(count, "file is missing", "files are missing")
    return (missing, *manifest.notes) if count else manifest.notes


def looks_until(state: SessionState) -> datetime | None:
    """Return until when late files of the session are looked for often, None if not yet known."""
    scan = state.scan.event if state.scan else None
    if isinstance(scan, FilesAwaited):
        return scan.until
    if isinstance(scan, FilesNotFound):
        return scan.waited_until
    return scan.look_until if scan else None


def is_stale(state: SessionState) -> bool:
    """Tell whether something the record is made of came after the record."""
    return state.built is None or state.last_input > state.built.event.inputs_through_seq


def standing_uploads(state: SessionState) -> dict[str, Register[Upload]]:
    """Return the outcomes of uploading the current record that still count, by destination.

    Outcomes for an earlier record do not count, nor failures from before the last retry, nor
    outcomes from before the record was withdrawn or lost there.
    """
    if state.record is None:
        return {}
    sha256 = state.record.event.record.sha256
    retried = state.retry.sequence if state.retry else 0
    return {
        name: upload
        for name, upload in state.uploads.items()
        if upload.event.record_sha256 == sha256
        and upload.sequence > _gone_at(state, name)
        and (isinstance(upload.event, RecordUploaded) or upload.sequence > retried)
    }


def held_back(state: SessionState) -> bool:
    """Tell whether the current record stays here: it was rebuilt without a request to upload it."""
    return state.record is not None and not state.record.event.upload


def holding(state: SessionState) -> dict[str, Register[RecordUploaded]]:
    """Return which destinations hold a record of the session, the current one or an earlier."""
    return {
        name: taken for name, taken in state.held.items() if taken.sequence > _gone_at(state, name)
    }


def _gone_at(state: SessionState, destination: str) -> int:
    """Return when a destination last had no record: it was withdrawn, or found to be lost.

    A later withdrawal that failed does not bring back what an earlier one took.
    """
    subject = destination_subject(state.session, destination, RecordWithdrawn.kind())
    lost = state.lost.get(destination)
    return max(state.destination_subjects.get(subject, 0), lost.sequence if lost else 0)


def withdrawn(state: SessionState) -> str:
    """Return why no record of the session may be public any more; empty if one may.

    Whatever the calendar says last that is not the user's consent withdraws a record: a refusal, a
    blank answer, a booking that is gone, a session that is gone. So does an operator, until the
    operator revokes it; and so does a look that found all of its files to be other sessions'.
    """
    called_off = cancelled(state)
    if called_off is not None:
        return called_off.reason or "cancelled"
    booking = state.booking.event if state.booking else None
    if isinstance(booking, ConsentDeclined):
        return booking.reason or "no consent"
    if isinstance(booking, ReservationMissing):
        return booking.reason or "no reservation"
    if state.withdrawal is not None and state.withdrawal.event.withdrawn:
        return state.withdrawal.event.reason or "withdrawn by an operator"
    nothing = left_without_files(state)
    return _nothing_found(nothing.event) if nothing else ""


def left_without_files(state: SessionState) -> Register[FilesNotFound] | None:
    """Return by which event a session with a record has no file any more, missing ones included.

    They are in other records, or in nobody's: its time was corrected, or the clock of the PC.
    """
    scan = state.scan
    if scan is None or state.record is None or state.indexed_count:
        return None
    return Register(scan.sequence, scan.event) if isinstance(scan.event, FilesNotFound) else None


def _nothing_found(event: FilesNotFound) -> str:
    return "; ".join([f"nothing in {event.searched}", *event.notes])


def exported(state: SessionState, plan: UploadPlan | None = None) -> bool | None:
    """Tell whether the current record is where it should be: yes, no, or not decided yet.

    Parameters
    ----------
    state
        The session.
    plan
        Where it should be; by default as in the uploader's last event.
    """
    standing = standing_uploads(state)
    if not standing:
        return None
    plan = plan or max(standing.values(), key=lambda upload: upload.sequence).event.plan
    stated = [standing[name].event for name in plan.destinations if name in standing]
    arrived = [isinstance(event, RecordUploaded) for event in stated]
    if plan.strategy == "first_success" and any(arrived):
        return True
    if plan.strategy == "all" and not all(arrived):
        return False
    if len(stated) < len(plan.destinations):
        return None
    return all(arrived) if plan.strategy == "all" else any(arrived)


def progress(state: SessionState) -> Progress:
    """Return status and phase of a session."""
    if stuck := unhandled(state):
        reasons = [f"{one.service}: {one.reason}" for one in stuck]
        return Progress(Status.ERROR, STUCK, "; ".join(reasons))
    reason = withdrawn(state)
    if reason and (ended(state) or cancelled(state) or holding(state)):
        return _after_withdrawal(state, reason)
    if before := left_as_imported(state):
        return Progress(Status(before.status), IMPORTED, f"as {before.system} left it")
    if ended(state) is None:
        return Progress(Status.WAITING_FOR_END, "in use")
    return _after_booking(state)


def _after_withdrawal(state: SessionState, reason: str) -> Progress:
    status, phase = _withdrawn_status(state)
    still = sorted(holding(state))
    failures = [
        f"{name}: {outcome.event.reason}"
        for name in still
        if (outcome := state.withdrawals.get(name)) and isinstance(outcome.event, WithdrawalFailed)
    ]
    if failures:
        return Progress(Status.ERROR, NOT_WITHDRAWN, "; ".join(failures))
    if still:
        phase = f"{WITHDRAWING} from {', '.join(still)}"
        return Progress(status, phase, reason, waits_for="uploader")
    return Progress(status, phase, reason)


def _withdrawn_status(state: SessionState) -> tuple[Status, str]:
    """Return the status and the phase of a session of which no record may be shown."""
    if cancelled(state):
        return Status.CANCELLED, "cancelled"
    match state.booking.event if state.booking else None:
        case ConsentDeclined():
            return Status.NO_CONSENT, "no consent"
        case ReservationMissing():
            return Status.NO_RESERVATION, "no reservation"
        case _ if state.withdrawal is not None and state.withdrawal.event.withdrawn:
            return Status.NO_CONSENT, "withdrawn"
        case _:
            return Status.NO_FILES_FOUND, "no files"


def _after_booking(state: SessionState) -> Progress:
    if state.scan is None:
        service = "indexer" if state.booking else "harvester"
        return Progress(Status.TO_BE_BUILT, LOOKING_FOR_FILES, waits_for=service)
    if state.manifest is None or not state.indexed_count:
        return _without_files(state, state.scan)
    if not files_complete(state):
        done, total = state.settled_count, max(state.indexed_count, 1)
        phase = f"extracting {done} of {total}"
        service = "extractor" if state.settled_count < state.indexed_count else "indexer"
        return Progress(Status.TO_BE_BUILT, phase, waits_for=service)
    if state.built is None or is_stale(state):
        return Progress(Status.TO_BE_BUILT, "building", waits_for="builder")
    if isinstance(state.built.event, RecordRejected):
        return Progress(Status.ERROR, "rejected", state.built.event.reason)
    return _after_build(state)


def _without_files(state: SessionState, scan: Register[Scan]) -> Progress:
    """Say how a session stands for which nothing was found yet."""
    looking = Progress(Status.TO_BE_BUILT, LOOKING_FOR_FILES, waits_for="indexer")
    match scan.event:
        case FilesNotFound() as nothing:
            if state.retry is not None and state.retry.sequence > scan.sequence:
                return replace(looking, phase=f"{LOOKING_FOR_FILES} again")
            return Progress(Status.NO_FILES_FOUND, "no files", _nothing_found(nothing))
        case FilesAwaited(until=until, notes=notes):
            reason = "; ".join([f"until {until:%Y-%m-%d %H:%M %Z}", *notes])
            return replace(looking, reason=reason, not_before=until)
        case _:
            return looking


def _after_build(state: SessionState) -> Progress:
    if held_back(state):
        return Progress(Status.COMPLETED, "rebuilt, not uploaded")
    match exported(state):
        case True:
            return Progress(Status.COMPLETED, "done", "; ".join(file_notes(state)))
        case False:
            failures = [
                f"{name}: {upload.event.reason}"
                for name, upload in sorted(standing_uploads(state).items())
                if isinstance(upload.event, UploadFailed)
            ]
            return Progress(Status.BUILT_NOT_EXPORTED, "not exported", "; ".join(failures))
        case None:
            return Progress(Status.TO_BE_BUILT, "uploading", waits_for="uploader")
