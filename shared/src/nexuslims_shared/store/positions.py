"""How far each period of the log was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from immutables import Map

from nexuslims_contracts.periods import Period, message_of


@dataclass(frozen=True, slots=True)
class Positions:
    """The sequence up to which each period was read; a period that is not in it was not begun.

    One sequence is not enough: an old period grows as long as its sessions do.
    """

    ends: Map[Period, int] = field(default_factory=Map)

    @classmethod
    def of(cls, sequences: Mapping[Period, int]) -> "Positions":
        """Return the positions that a mapping says."""
        return cls(Map(sequences))

    def __str__(self) -> str:
        """The number of the last message of each period that was begun."""
        begun = sorted(self.ends.items())
        named = [
            f"message {message_of(end)} of period {one.name}"
            for one, end in begun
            if end > one.begin
        ]
        return ", ".join(named) or "none"

    @property
    def messages(self) -> int:
        """How many events that is, of all periods."""
        return sum(map(message_of, self.ends.values()))

    def within(self, period: Period) -> int:
        """Return the sequence up to which a period was read."""
        return self.ends.get(period, period.begin)

    def hold(self, sequence: int) -> bool:
        """Tell whether an event was read."""
        return sequence <= self.within(Period.of(sequence))

    def including(self, sequence: int) -> "Positions":
        """Return the positions after an event was read, too, and all before it in its period."""
        return (
            self if self.hold(sequence) else Positions(self.ends.set(Period.of(sequence), sequence))
        )

    def reach(self, others: "Positions") -> bool:
        """Tell whether every event that others hold was read."""
        return all(map(self.hold, others.ends.values()))

    def behind(self, ends: "Positions") -> int:
        """Return how many events others hold that were not read."""
        return sum(max(0, end - self.within(period)) for period, end in ends.ends.items())

    def beyond(self, ends: "Positions") -> list[Period]:
        """Return the periods that are there but end before what was read: they are others."""
        return sorted(period for period, end in ends.ends.items() if end < self.within(period))


START = Positions()
"""Nothing was read."""

After: TypeAlias = int | Positions
"""From where to read: positions, or a sequence, which concerns its own period only."""


def within(after: After, period: Period) -> int:
    """Return the sequence after which to read a period.

    Parameters
    ----------
    after
        From where to read the log.
    period
        The period.
    """
    if isinstance(after, Positions):
        return after.within(period)
    return after if Period.of(after) == period else period.begin
