"""What the broker's answers mean, where the client has many words for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import nats.errors
import nats.js.errors
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from nexuslims_shared.errors import BrokerUnavailableError, IncompleteAnswerError

_CONFLICTS: Final = frozenset({10071, 10164})
"""Wrong last sequence, settled and still in flight elsewhere in a cluster."""
_PASSING: Final = frozenset({10158, 10163})
"""The same id is being stored; the check is not possible for the moment."""
_SILENT: Final = "the broker does not answer ({!r}): check that it runs and can be reached"


def is_conflict(error: BaseException) -> bool:
    """Tell whether an answer of the server means that somebody else wrote first."""
    return isinstance(error, nats.js.errors.APIError) and error.err_code in _CONFLICTS


def is_passing(error: BaseException) -> bool:
    """Tell whether the same request may succeed a little later."""
    if isinstance(error, nats.js.errors.APIError):
        code = getattr(error, "err_code", None)  # the key-value errors have none
        return code in _PASSING or isinstance(error, nats.js.errors.ServiceUnavailableError)
    return isinstance(
        error,
        (
            TimeoutError,
            nats.errors.TimeoutError,
            nats.errors.ConnectionClosedError,
            nats.errors.ConnectionReconnectingError,
            nats.errors.NoRespondersError,
            nats.errors.OutboundBufferLimitError,
            nats.js.errors.NoStreamResponseError,
            IncompleteAnswerError,
            ConnectionError,
        ),
    )


def retrying(patience: float) -> AsyncRetrying:
    """Return attempts at a request, for as long as the broker may be silent.

    The last one raises :class:`~nexuslims_shared.errors.BrokerUnavailableError`.

    Parameters
    ----------
    patience
        Seconds.
    """
    return AsyncRetrying(
        retry=retry_if_exception(is_silence),
        wait=wait_exponential_jitter(multiplier=0.1, max=0.5),
        stop=stop_after_delay(patience),
        retry_error_callback=_give_up,
    )


def is_silence(error: BaseException) -> bool:
    """Tell whether the broker did not answer, in the client's words or in ours."""
    return is_passing(error) or type(error) is BrokerUnavailableError


def _give_up(state: object) -> None:
    outcome = getattr(state, "outcome", None)
    error = outcome.exception() if outcome is not None else None
    if isinstance(error, BrokerUnavailableError):
        raise error
    raise BrokerUnavailableError(_SILENT.format(error)) from error


@contextmanager
def one_error_for_silence() -> Iterator[None]:
    """Turn the client's many ways of saying that the broker does not answer into one.

    Raises
    ------
    BrokerUnavailableError
        If the broker does not answer; the same call may succeed a little later.
    """
    try:
        yield
    except Exception as error:
        if is_passing(error):
            raise BrokerUnavailableError(_SILENT.format(error)) from error
        raise
