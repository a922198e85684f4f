"""What an operator approves is what waits, once."""

import pytest

from nexuslims_console.actions.approve import EVERYTHING, approve_held, describe_waiting
from nexuslims_console.errors import ConsoleError
from nexuslims_shared.bucket import MemoryBucket
from nexuslims_shared.calendar_notes import CalendarNotes


async def test_what_waits_is_approved_and_nothing_else() -> None:
    notes = CalendarNotes(MemoryBucket())
    await notes.hold("nemo-1", {"nemo-1-usage-1": "gone"})
    await notes.hold("nemo-2", {"nemo-2-usage-1": "gone"})
    assert await approve_held(notes, "nemo-1") == {"nemo-1": {"nemo-1-usage-1": "gone"}}
    assert await notes.approved("nemo-1") == {"nemo-1-usage-1"}
    assert await notes.approved("nemo-2") == frozenset()


async def test_a_calendar_of_which_nothing_waits_is_an_error() -> None:
    with pytest.raises(ConsoleError, match="nothing of 'nemo' waits"):
        await approve_held(CalendarNotes(MemoryBucket()), "nemo")


async def test_one_session_is_approved_or_all() -> None:
    notes = CalendarNotes(MemoryBucket())
    await notes.hold("nemo-1", {f"nemo-1-usage-{number}": "gone" for number in range(3)})
    await notes.hold("book", {"book-7": "gone"})
    assert describe_waiting(await notes.held()).startswith(
        "sessions would lose their record or most of it, and wait: 1 of book, 3 of nemo-1"
    )
    assert await approve_held(notes, "book-7") == {"book": {"book-7": "gone"}}
    assert await notes.approved("nemo-1") == frozenset()
    assert (await approve_held(notes, EVERYTHING)).keys() == {"book", "nemo-1"}
    assert len(await notes.approved("nemo-1")) == 3
    assert describe_waiting({}) == ""
