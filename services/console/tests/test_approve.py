"""What an operator approves is what waits, once."""

import pytest

from nexuslims_console.actions.approve import approve_held
from nexuslims_console.errors import ConsoleError
from nexuslims_shared.bucket import MemoryBucket
from nexuslims_shared.calendar_notes import CalendarNotes


async def test_what_waits_is_approved_and_nothing_else() -> None:
    notes = CalendarNotes(MemoryBucket())
    await notes.hold("nemo-1", {"nemo-1-usage-1": "gone"})
    await notes.hold("nemo-2", {"nemo-2-usage-1": "gone"})
    assert await approve_held(notes, "nemo-1") == {"nemo-1-usage-1": "gone"}
    assert await notes.approved("nemo-1") == {"nemo-1-usage-1"}
    assert await notes.approved("nemo-2") == frozenset()


async def test_a_calendar_of_which_nothing_waits_is_an_error() -> None:
    with pytest.raises(ConsoleError, match="nothing of calendar 'nemo' waits"):
        await approve_held(CalendarNotes(MemoryBucket()), "nemo")
