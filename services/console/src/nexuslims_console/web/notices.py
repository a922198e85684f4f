"""What an operator is to know of a session first: why it has no record, or what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nexuslims_console.views import SessionRow
from nexuslims_contracts.text import counted
from nexuslims_shared.session.status import Status


@dataclass(frozen=True, slots=True)
class Notice:
    """A headline, what is behind it, and what can be done; ``tone`` is how bad it is."""

    title: str
    text: str
    remedy: str = ""
    tone: str = "quiet"


_WITHOUT_RECORD: Final[Mapping[str, tuple[str, str]]] = {
    Status.NO_CONSENT: (
        "No record: no consent",
        "A record is made as soon as the calendar holds the user's consent.",
    ),
    Status.NO_RESERVATION: (
        "No record: no reservation",
        "A record is made as soon as the calendar says what the session was for.",
    ),
    Status.NO_FILES_FOUND: (
        "No record: no files were found",
        "A record is made if files appear; {retry} looks at once.",
    ),
    Status.CANCELLED: ("No record: the calendar withdrew the session", ""),
}
"""Headline and outlook of sessions that have no record, and are not at fault."""


def notice_of(row: SessionRow, *, may_change: bool) -> Notice | None:
    """Return what is to be known of a session; None if all is well.

    Parameters
    ----------
    row
        The session.
    may_change
        Whether the page has buttons; else the remedy is a command.
    """
    retry = "“Try what failed again”" if may_change else f"`nexuslims retry {row.session}`"
    if row.status in _WITHOUT_RECORD:
        title, outlook = _WITHOUT_RECORD[row.status]
        return Notice(title, row.reason, outlook.format(retry=retry))
    match row.status:
        case Status.ERROR:
            at_fault = "Something is wrong with the record"
            title = at_fault if row.record_path else "No record: something is wrong"
            return Notice(title, row.reason, f"Repair the cause; then {retry}.", "bad")
        case Status.BUILT_NOT_EXPORTED:
            title = "The record is not at every destination"
            remedy = f"Repair the cause; then {retry}."
            return Notice(title, row.reason, remedy, "bad")
        case Status.WAITING_FOR_END:
            return Notice("No record yet: the session is not over", "", tone="active")
        case Status.TO_BE_BUILT:
            return _in_progress(row)
        case Status.COMPLETED if row.failures or row.reason:
            files = counted(row.failures, "file")
            unread = f"{files} could not be read. " if row.failures else ""
            return Notice("The record has gaps", f"{unread}{row.reason}".strip(), tone="active")
        case _:
            return None


def _in_progress(row: SessionRow) -> Notice:
    title = "The record is being made anew" if row.record_path else "No record yet"
    if row.phase == "uploading":
        title = "The record is on its way to the destinations"
    waits = f"It waits for the {row.waits_for}" if row.waits_for else "Nothing is due yet"
    return Notice(title, f"{waits}: {row.phase}. {row.reason}".strip(), tone="active")
