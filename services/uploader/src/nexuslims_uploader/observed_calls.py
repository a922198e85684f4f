"""Observing calls of destinations: a span each, and how long they took by what came of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nexuslims_shared.telemetry import tracing
from nexuslims_shared.telemetry.metrics import DESTINATION_CALLS
from nexuslims_uploader.errors import PermanentUploadError
from nexuslims_uploader.guarded_calls import Deferred
from nexuslims_uploader.outcomes import AdditionsOutcome, UploadOutcome, WithdrawalOutcome


@contextmanager
def observed(
    operation: str, destination: str
) -> Iterator[Callable[[UploadOutcome | WithdrawalOutcome | AdditionsOutcome], None]]:
    """Observe one call; what it yields is called with the outcome.

    Parameters
    ----------
    operation
        ``upload``, ``withdraw`` or ``look``.
    destination
        Its name.
    """
    with (
        tracing.span(operation, {tracing.DESTINATION: destination}) as span,
        DESTINATION_CALLS.timing(operation, destination) as ends,
    ):

        def note(outcome: UploadOutcome | WithdrawalOutcome | AdditionsOutcome) -> None:
            result = result_of(outcome)
            ends(result)
            span.set({tracing.OUTCOME: result})

        yield note


def result_of(outcome: UploadOutcome | WithdrawalOutcome | AdditionsOutcome) -> str:
    """Return in one word what a destination answered."""
    match outcome:
        case PermanentUploadError():
            return "refused"
        case Deferred():
            return "deferred"
        case _:
            return "accepted"
