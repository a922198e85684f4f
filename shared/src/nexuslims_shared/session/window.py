"""Periods of time that select sessions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final


@dataclass(frozen=True, slots=True)
class Window:
    """A period of time, open where a side is None; sessions that overlap it are in it."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, start: datetime | None, end: datetime | None) -> bool:
        """Tell whether a session overlaps the period.

        Parameters
        ----------
        start, end
            When the session was; None for what is not known.
        """
        begins_in_time = self.end is None or start is None or start < self.end
        ends_in_time = self.start is None or end is None or end > self.start
        return begins_in_time and ends_in_time


ALWAYS: Final = Window()
