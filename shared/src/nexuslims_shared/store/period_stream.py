"""One period of the log: a JetStream stream.

Events come and go with the subjects that they have in every period, and with their sequences in
the log; the subjects and the numbers of the stream's messages are known here only.

Each append expects its subject to end where we think it ends, so "only once" holds with no time
window; ``Nats-Msg-Id`` makes a retry within the window cheap. Facts about the server are in
``docs/broker.md``.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, cast

import nats.errors
import nats.js.errors
from nats.js import api

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import MSG_ID, Envelope, Recorded, decode, encode
from nexuslims_contracts.errors import UndecodableError
from nexuslims_contracts.periods import Period, message_of
from nexuslims_shared.errors import (
    BrokerUnavailableError,
    ConflictError,
    IncompleteAnswerError,
    MissingRightError,
    StoreError,
)
from nexuslims_shared.store.acks import Ack, AckInbox
from nexuslims_shared.store.broker_errors import is_conflict, is_passing, retrying
from nexuslims_shared.store.direct import DirectReader, Stored
from nexuslims_shared.store.port import Appended, Item, Unreadable
from nexuslims_shared.tasks import end as cancel
from nexuslims_shared.telemetry.tracing import sending

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from nexuslims_shared.broker_client import BrokerClient

_EXPECTED: Final = api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value
_WINDOW: Final = 256
_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.25
"""How long a reader who has everything waits before it asks again: growing, while nothing comes."""


class PeriodStream:
    """The events of one period, in its stream, which must exist.

    Parameters
    ----------
    jetstream
        A context on a live connection that :func:`nexuslims_shared.broker.connect` made.
    acks
        Receives acknowledgements; one for all streams.
    period
        The period.
    patience
        Seconds to go on trying while the broker does not answer.
    """

    def __init__(
        self, jetstream: "JetStreamContext", acks: AckInbox, period: Period, patience: float
    ) -> None:
        self.period = period
        self._js, self._acks, self._patience = jetstream, acks, patience
        client = cast("BrokerClient", jetstream._nc)  # noqa: SLF001 - the context has no public way
        self._everything = period.subject(subjects.ALL)
        self._reader = DirectReader(client, period.stream, self._everything)

    # --- publishing ---

    async def append(self, envelope: Envelope, *, expect: int | None = None) -> Appended:
        """Store a fact, once; see the port."""
        with sending([envelope]) as (traced,):
            return await self._append(traced, expect)

    async def _append(self, envelope: Envelope, expect: int | None) -> Appended:
        headers, payload = encode(envelope)
        subject = envelope.subject
        expected = message_of(expect or 0)
        while True:
            try:
                return await self._publish(subject, headers, payload, expected)
            except nats.js.errors.APIError as error:
                if not is_conflict(error):
                    raise StoreError(f"{subject}: the broker refused the event: {error}") from error
            known, stated, last = await self._find(subject, envelope.id)
            if known:
                return Appended(self.period.sequence(known), duplicate=True)
            if expect is not None and stated != message_of(expect):
                found = self.period.sequence(stated) if stated else 0
                raise ConflictError(f"{subject}: the last event is {found}, not {expect}")
            expected = last
            headers.pop(MSG_ID, None)  # what is no event may have claimed it in the window

    async def append_all(self, envelopes: Sequence[Envelope]) -> list[Appended]:
        """Store many facts, each once, a window of them in flight at a time."""
        answers: list[Appended] = []
        for start in range(0, len(envelopes), _WINDOW):
            with sending(envelopes[start : start + _WINDOW]) as window:
                answers += await self._append_window(window)
        return answers

    async def _publish(
        self, subject: str, headers: Mapping[str, str], payload: bytes, expected: int
    ) -> Appended:
        expecting = {**headers, _EXPECTED: str(expected)}
        async for attempt in retrying(self._patience):
            with attempt:
                ack = await self._js.publish(
                    self.period.subject(subject), payload, timeout=2.0, headers=dict(expecting)
                )
        return self._appended(ack)

    async def _append_window(self, envelopes: Sequence[Envelope]) -> list[Appended]:
        """Send all, then wait for all; what was not simply stored goes the careful way."""
        pending: list[asyncio.Future[Ack]] = []
        try:
            for envelope in envelopes:
                headers, payload = encode(envelope)
                headers[_EXPECTED] = "0"
                subject = self.period.subject(envelope.subject)
                pending.append(await self._acks.publish(subject, payload, headers))
        except nats.errors.Error as error:
            if not is_passing(error):
                raise
        if pending:
            await asyncio.wait(pending, timeout=5.0)
            self._acks.forget(pending)
        return [
            self._answer(future) or await self._append(envelope, None)
            for envelope, future in zip_longest(envelopes, pending)
        ]

    def _answer(self, future: "asyncio.Future[Ack] | None") -> Appended | None:
        """What an acknowledgement says, or None where the careful way must be gone."""
        if future is None or not future.done():
            return None
        ack = future.result()
        if isinstance(ack, api.PubAck):
            return self._appended(ack)
        if is_conflict(ack) or is_passing(ack):
            return None
        if isinstance(ack, MissingRightError):
            raise ack
        raise StoreError(f"the broker refused the event: {ack}") from ack

    def _appended(self, ack: api.PubAck) -> Appended:
        return Appended(self.period.sequence(ack.seq), duplicate=bool(ack.duplicate))

    async def _find(self, subject: str, event_id: str) -> tuple[int, int, int]:
        """Look for an event on one subject: its message, or 0, the last event, the last message.

        What is no event does not count, whatever id it claims to have.
        """
        last, position, stated = message_of(await self.last_sequence(subject)), 0, 0
        stored = self.period.subject(subject)
        while position < last:
            async for attempt in retrying(self._patience):
                with attempt:
                    message = await self._js.get_msg(
                        self.period.stream, position + 1, subject=stored, next=True
                    )
            position = message.seq or last
            item = self._item(message)
            if isinstance(item, Recorded) and item.envelope.id == event_id:
                return position, position, last
            if isinstance(item, Recorded) or item.newer:
                stated = position
        return 0, stated, last

    # --- reading ---

    async def read(
        self, filters: Sequence[str], after: int, *, datasets: bool
    ) -> AsyncGenerator[Item, None]:
        """Read what is stored now, in order.

        Parameters
        ----------
        filters
            Subjects, with wildcards.
        after
            Only what has a higher sequence.
        datasets
            Whether to read the datasets of files.
        """
        subject = subjects.common_filter(filters)
        wanted = tuple(map(self.period.subject, filters))
        end = message_of(await self.last_sequence(subject))
        stored, position = self.period.subject(subject), message_of(after)
        while position < end:
            for message in await self._next(position, stored, required=True):
                position = message.sequence
                if position <= end and _is_wanted(message, wanted):
                    yield self._decode(message, datasets=datasets)

    async def read_batches(self, after: int, *, datasets: bool) -> AsyncGenerator[list[Item], None]:
        """Read everything that is stored now, in batches.

        Parameters
        ----------
        after
            Only what has a higher sequence.
        datasets
            Whether to read the datasets of files.
        """
        end, position = message_of(await self.last_sequence()), message_of(after)
        fetching = asyncio.create_task(self._upcoming(position, end))
        try:
            while messages := await fetching:
                fetching = asyncio.create_task(self._upcoming(messages[-1].sequence, end))
                await _let_send()
                yield [
                    self._decode(message, datasets=datasets)
                    for message in messages
                    if message.sequence <= end
                ]
        finally:
            await cancel(fetching)

    async def next_batch(
        self, after: int, *, longest_pause: float = _LONGEST_PAUSE_S
    ) -> list[Stored]:
        """Return the next messages after a sequence, as soon as there are some.

        Parameters
        ----------
        after
            The sequence.
        longest_pause
            Most seconds to wait before the broker is asked again: longer for an old period.
        """
        pause = _FIRST_PAUSE_S
        while not (messages := await self._next(message_of(after), self._everything)):
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest_pause)
        return messages

    def decode(self, messages: Sequence[Stored], *, datasets: bool) -> list[Item]:
        """Return the events in messages of this stream.

        Parameters
        ----------
        messages
            The messages.
        datasets
            Whether to read the datasets of files.
        """
        return [self._decode(message, datasets=datasets) for message in messages]

    async def read_last(
        self, filters: Sequence[str], *, after: int, through: int, datasets: bool
    ) -> list[Item] | None:
        """Read the last event on each subject; see the port."""
        stored = tuple(map(self.period.subject, filters))
        async for attempt in retrying(self._patience):
            with attempt:
                messages, complete = await self._reader.last(
                    stored, message_of(after), message_of(through)
                )
        return self.decode(messages, datasets=datasets) if complete else None

    async def last_sequence(self, subject: str = subjects.ALL) -> int:
        """Sequence of the last event that matches, as the stream's leader knows it.

        Where there is none, it is the one before that of the period's first event.
        """
        stored = self.period.subject(subject)
        try:
            async for attempt in retrying(self._patience):
                with attempt:
                    message = await self._js.get_last_msg(self.period.stream, stored)
        except nats.js.errors.NotFoundError as error:
            if error.err_code == 10059:  # noqa: PLR2004 - "stream not found"
                raise BrokerUnavailableError(
                    f"the broker has no stream {self.period.stream} now: it was removed"
                    " a moment ago, or run `nexuslims provision`"
                ) from error
            return self.period.begin
        return self.period.sequence(message.seq or 0)

    async def get(self, sequence: int) -> Item | None:
        """One event by its sequence."""
        try:
            message = await self._js.get_msg(self.period.stream, message_of(sequence))
        except nats.js.errors.NotFoundError:
            return None
        return self._item(message)

    def _item(self, message: api.RawStreamMsg) -> Item:
        return self._decode_parts(
            message.seq or 0,
            message.subject or "",
            message.headers or {},
            message.data or b"",
            message.time or datetime.now(UTC),
        )

    async def _upcoming(self, after: int, end: int) -> list[Stored]:
        """Return the next messages of the stream; none at its end."""
        return await self._next(after, self._everything, required=True) if after < end else []

    async def _next(self, after: int, stored: str, *, required: bool = False) -> list[Stored]:
        """Return the messages after one of a number; ``required`` if there are some."""
        async for attempt in retrying(self._patience):
            with attempt:
                messages = await self._reader.after(after, stored)
                if required and not messages:
                    raise IncompleteAnswerError("a replica of the broker is behind")
        return messages

    def _decode(self, message: Stored, *, datasets: bool = True) -> Item:
        return self._decode_parts(
            message.sequence,
            message.subject,
            message.headers,
            message.payload,
            message.stored_at,
            datasets=datasets,
        )

    def _decode_parts(
        self,
        number: int,
        stored: str,
        headers: Mapping[str, str],
        payload: bytes,
        stored_at: datetime,
        *,
        datasets: bool = True,
    ) -> Item:
        sequence, subject = self.period.sequence(number), self.period.without(stored)
        try:
            envelope = decode(headers, payload, subject=subject, datasets=datasets)
        except UndecodableError as error:
            return Unreadable.because(error, sequence, subject)
        return Recorded(envelope, sequence, stored_at)


async def _let_send() -> None:
    """Let a new task send its request, so that the broker works on it while this process does.

    The task runs in the next turn of the loop, and in the one after the client writes.
    """
    for _ in range(2):
        await asyncio.sleep(0)


def _is_wanted(message: Stored, stored: Sequence[str]) -> bool:
    """Tell whether one of several filters matches; a single one was applied by the broker."""
    if len(stored) == 1:
        return True
    return any(subjects.matches(pattern, message.subject) for pattern in stored)
