"""The event store on NATS JetStream.

Each append expects its subject to end where we think it ends, so "only once" holds with no time
window; ``Nats-Msg-Id`` makes a retry within the window cheap. Facts about the server are in
``docs/broker.md``.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, cast

import nats.errors
import nats.js.errors
from nats.js import api
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Envelope, Recorded, decode, encode
from nexuslims_contracts.errors import UndecodableError
from nexuslims_contracts.topology import EVENTS
from nexuslims_shared.errors import (
    BrokerUnavailableError,
    ConflictError,
    IncompleteAnswerError,
    StoreError,
    TopologyError,
)
from nexuslims_shared.store.acks import Ack, AckInbox
from nexuslims_shared.store.direct import DirectReader, Stored
from nexuslims_shared.store.port import EVERYTHING, Appended, Unreadable
from nexuslims_shared.tasks import end as cancel
from nexuslims_shared.telemetry.tracing import sending

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from nexuslims_shared.broker import BrokerClient

_EXPECTED: Final = api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value
_CONFLICTS: Final = frozenset({10071, 10164})
"""Wrong last sequence, settled and still in flight elsewhere in a cluster."""
_PASSING: Final = frozenset({10158, 10163})
"""The same id is being stored; the check is not possible for the moment."""
_WINDOW: Final = 256
_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.25
"""How long a reader who has everything waits before it asks again: growing, while nothing comes."""
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


class JetStreamEventStore:
    """Events in the JetStream stream of events, which must exist.

    Parameters
    ----------
    jetstream
        A context on a live connection that :func:`nexuslims_shared.broker.connect` made.
    patience
        Seconds to go on trying while the broker does not answer.
    """

    def __init__(
        self,
        jetstream: "JetStreamContext",
        *,
        patience: float = 30.0,
    ) -> None:
        self._js = jetstream
        self._stream = EVENTS.name
        self._patience = patience
        client = cast("BrokerClient", jetstream._nc)  # noqa: SLF001 - the context has no public way
        self._acks = AckInbox(client)
        self._reader = DirectReader(client, EVENTS.name)

    async def append(self, envelope: Envelope, *, expect: int | None = None) -> Appended:
        """Store a fact, once; see the port."""
        with sending([envelope]) as (traced,):
            return await self._append(traced, expect)

    async def _append(self, envelope: Envelope, expect: int | None) -> Appended:
        headers, payload = encode(envelope)
        subject = envelope.subject
        expected = expect or 0
        while True:
            try:
                return await self._publish(subject, headers, payload, expected)
            except nats.js.errors.APIError as error:
                if not is_conflict(error):
                    raise StoreError(f"{subject}: the broker refused the event: {error}") from error
            known, last = await self._find(subject, envelope.id)
            if known:
                return Appended(known, duplicate=True)
            if expect is not None and last != expect:
                raise ConflictError(f"{subject}: the last event is {last}, not {expect}")
            expected = last

    async def append_all(self, envelopes: Sequence[Envelope]) -> list[Appended]:
        """Store many facts, each once, a window of them in flight at a time."""
        answers: list[Appended] = []
        for start in range(0, len(envelopes), _WINDOW):
            with sending(envelopes[start : start + _WINDOW]) as window:
                answers += await self._append_window(window)
        return answers

    async def read(
        self,
        *,
        filters: Sequence[str] = EVERYTHING,
        after: int = 0,
        datasets: bool = True,
    ) -> AsyncGenerator[Recorded | Unreadable, None]:
        """Read what is stored now, in order; see the port."""
        subject = subjects.common_filter(filters)
        end = await self.last_sequence(subject)
        while after < end:
            for message in await self._next(after, subject, required=True):
                after = message.sequence
                if after <= end and _is_wanted(message, filters):
                    yield _decode(message, datasets=datasets)

    async def follow(
        self, *, filters: Sequence[str] = EVERYTHING, after: int = 0
    ) -> AsyncGenerator[Recorded | Unreadable, None]:
        """Read what is stored, and then what comes; see the port."""
        subject = subjects.common_filter(filters)
        while True:
            for message in await self._wait_for_next(after, subject):
                after = message.sequence
                if _is_wanted(message, filters):
                    yield _decode(message)

    async def read_batches(
        self, *, after: int = 0, live: bool = False, datasets: bool = True
    ) -> AsyncGenerator[list[Recorded | Unreadable], None]:
        """Read everything that is stored, in batches; see the port."""
        end = await self.last_sequence()
        fetching = asyncio.create_task(self._upcoming(after, end, live=live))
        try:
            while messages := await fetching:
                after = messages[-1].sequence
                fetching = asyncio.create_task(self._upcoming(after, end, live=live))
                yield [
                    _decode(message, datasets=datasets)
                    for message in messages
                    if live or message.sequence <= end
                ]
        finally:
            await cancel(fetching)

    async def read_last(
        self,
        filters: Sequence[str],
        *,
        after: int = 0,
        through: int = 0,
        datasets: bool = True,
    ) -> list[Recorded | Unreadable] | None:
        """Read the last event on each subject; see the port."""
        async for attempt in self._retrying():
            with attempt:
                messages, complete = await self._reader.last(filters, after, through)
        if not complete:
            return None
        return [_decode(message, datasets=datasets) for message in messages]

    async def last_sequence(self, subject: str = subjects.ALL) -> int:
        """Sequence of the last event that matches, as the stream's leader knows it."""
        try:
            async for attempt in self._retrying():
                with attempt:
                    message = await self._js.get_last_msg(self._stream, subject)
        except nats.js.errors.NotFoundError as error:
            self._require_stream(error)
            return 0
        return message.seq or 0

    async def get(self, sequence: int) -> Recorded | Unreadable | None:
        """One event by its sequence."""
        try:
            message = await self._js.get_msg(self._stream, sequence)
        except nats.js.errors.NotFoundError:
            return None
        return _decode_parts(
            sequence,
            message.subject or "",
            message.headers or {},
            message.data or b"",
            message.time or datetime.now(UTC),
        )

    # --- publishing ---

    async def _publish(
        self, subject: str, headers: Mapping[str, str], payload: bytes, expected: int
    ) -> Appended:
        async for attempt in self._retrying():
            with attempt:
                ack = await self._js.publish(
                    subject, payload, timeout=5.0, headers={**headers, _EXPECTED: str(expected)}
                )
        return Appended(ack.seq, duplicate=bool(ack.duplicate))

    async def _append_window(self, envelopes: Sequence[Envelope]) -> list[Appended]:
        """Send all, then wait for all; what was not simply stored goes the careful way."""
        pending: list[asyncio.Future[Ack]] = []
        try:
            for envelope in envelopes:
                headers, payload = encode(envelope)
                headers[_EXPECTED] = "0"
                pending.append(await self._acks.publish(envelope.subject, payload, headers))
        except nats.errors.Error as error:
            if not is_passing(error):
                raise
        if pending:
            await asyncio.wait(pending, timeout=5.0)
            self._acks.forget()
        return [
            _answer(future) or await self._append(envelope, None)
            for envelope, future in zip_longest(envelopes, pending)
        ]

    async def _find(self, subject: str, event_id: str) -> tuple[int, int]:
        """Look for an id on one subject: its sequence, or 0, and the last sequence there."""
        last = await self.last_sequence(subject)
        position = 0
        while position < last:
            async for attempt in self._retrying():
                with attempt:
                    message = await self._js.get_msg(
                        self._stream, position + 1, subject=subject, next=True
                    )
            position = message.seq or last
            if (message.headers or {}).get("ce-id") == event_id:
                return position, last
        return 0, last

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception(is_passing),
            wait=wait_exponential_jitter(multiplier=0.1, max=2.0),
            stop=stop_after_delay(self._patience),
            retry_error_callback=_unavailable,
        )

    # --- reading ---

    async def _upcoming(self, after: int, end: int, *, live: bool) -> list[Stored]:
        """Return the next messages of the whole log; none at its end, unless it is read live."""
        if live:
            return await self._wait_for_next(after, subjects.ALL)
        return await self._next(after, subjects.ALL, required=True) if after < end else []

    async def _wait_for_next(self, after: int, subject: str) -> list[Stored]:
        """Return the next messages after a position, as soon as there are some."""
        pause = _FIRST_PAUSE_S
        while not (messages := await self._next(after, subject)):
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return messages

    async def _next(self, after: int, subject: str, *, required: bool = False) -> list[Stored]:
        """Return the next messages after a position; ``required`` if there are some."""
        async for attempt in self._retrying():
            with attempt:
                messages = await self._reader.after(after, subject)
                if required and not messages:
                    raise IncompleteAnswerError("a replica of the broker is behind")
        return messages

    def _require_stream(self, error: nats.js.errors.NotFoundError) -> None:
        if error.err_code == 10059:  # noqa: PLR2004 - "stream not found"
            raise TopologyError(
                f"the broker has no stream {self._stream}: run `nexuslims provision`"
            ) from error


def _answer(future: "asyncio.Future[Ack] | None") -> Appended | None:
    """What an acknowledgement says, or None where the careful way must be gone."""
    if future is None or not future.done():
        return None
    ack = future.result()
    if isinstance(ack, api.PubAck):
        return Appended(ack.seq, duplicate=bool(ack.duplicate))
    if is_conflict(ack) or is_passing(ack):
        return None
    raise StoreError(f"the broker refused the event: {ack}") from ack


def _unavailable(state: object) -> None:
    outcome = getattr(state, "outcome", None)
    error = outcome.exception() if outcome is not None else None
    raise BrokerUnavailableError(_SILENT.format(error)) from error


def _is_wanted(message: Stored, filters: Sequence[str]) -> bool:
    """Tell whether one of several filters matches; a single one was applied by the broker."""
    if len(filters) == 1:
        return True
    return any(subjects.matches(pattern, message.subject) for pattern in filters)


def _decode(message: Stored, *, datasets: bool = True) -> Recorded | Unreadable:
    return _decode_parts(
        message.sequence,
        message.subject,
        message.headers,
        message.payload,
        message.stored_at,
        datasets=datasets,
    )


def _decode_parts(
    sequence: int,
    subject: str,
    headers: Mapping[str, str],
    payload: bytes,
    stored_at: datetime,
    *,
    datasets: bool = True,
) -> Recorded | Unreadable:
    try:
        return Recorded(
            decode(headers, payload, subject=subject, datasets=datasets), sequence, stored_at
        )
    except UndecodableError as error:
        return Unreadable.because(error, sequence, subject)
