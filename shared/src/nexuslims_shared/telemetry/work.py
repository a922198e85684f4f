"""Observing the handling of events: a span, and a duration by what came of it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from nexuslims_contracts.envelope import Recorded
from nexuslims_shared.telemetry import tracing
from nexuslims_shared.telemetry.metrics import DEAD_LETTERS_WRITTEN, HANDLED, IN_FLIGHT, NOT_DONE

NOT_DONE_OUTCOMES: Final = ("later", "left", "unavailable", "failed", "cancelled")
SEVERAL: Final = "several"
"""Label of events of several kinds that are handled together."""


class Work:
    """What comes of the handling of events; without a word it is done."""

    def __init__(self) -> None:
        self.outcome = "done"
        self.error = ""

    def ends(self, outcome: str, error: Exception | None = None) -> None:
        """Note what came of it.

        Parameters
        ----------
        outcome
            One of a few words.
        error
            What went wrong, if something did.
        """
        self.outcome = outcome
        self.error = type(error).__name__ if error is not None else ""


def expect(consumer: str) -> None:
    """Begin to count at zero what a consumer may come to."""
    DEAD_LETTERS_WRITTEN.labels(consumer)
    IN_FLIGHT.labels(consumer)
    for outcome in NOT_DONE_OUTCOMES:
        NOT_DONE.labels(consumer, outcome)


@contextmanager
def handling(consumer: str, batch: Sequence[Recorded], attempt: int) -> Iterator[Work]:
    """Observe the handling of events that were delivered together.

    Parameters
    ----------
    consumer
        Who handles them.
    batch
        The events.
    attempt
        How often the first of them was delivered, from 1.
    """
    work = Work()
    kinds = {recorded.event.kind() for recorded in batch}
    kind = kinds.pop() if len(kinds) == 1 else SEVERAL
    begin = time.perf_counter()
    IN_FLIGHT.labels(consumer).inc()
    with tracing.process(consumer, batch, attempt=attempt) as span:
        try:
            yield work
        finally:
            IN_FLIGHT.labels(consumer).dec()
            span.set({tracing.OUTCOME: work.outcome})
            if work.error:
                span.fail(work.error)
            if work.outcome != "done":
                NOT_DONE.labels(consumer, work.outcome).inc()
            HANDLED.observe(time.perf_counter() - begin, consumer, kind, work.outcome)
