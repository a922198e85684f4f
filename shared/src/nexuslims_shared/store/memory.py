"""An event store in memory, for tests of decisions and for trying things out."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Envelope, Recorded, decode, encode
from nexuslims_contracts.errors import UndecodableError, UnknownEventError
from nexuslims_contracts.periods import ALL
from nexuslims_shared.errors import ConflictError
from nexuslims_shared.store.port import EVERYTHING, MOST_SUBJECTS, Appended, Item, Unreadable
from nexuslims_shared.store.positions import START, After, Positions, within

_BATCH: Final = 500


class MemoryEventStore:
    """Keeps encoded messages in a list, all in one period; the sequence is the place, from 1."""

    def __init__(self) -> None:
        self._messages: list[tuple[str, dict[str, str], bytes, datetime]] = []
        self._grown = asyncio.Condition()
        self._identity = uuid4().hex

    async def append(self, envelope: Envelope, *, expect: int | None = None) -> Appended:
        """Store a fact, once; see the port."""
        headers, payload = encode(envelope)
        subject = envelope.subject
        last = 0
        for sequence, (other, others_headers, others, _) in enumerate(self._messages, start=1):
            if other == subject and _is_event(others_headers, others, subject):
                if others_headers.get("ce-id") == envelope.id:
                    return Appended(sequence, duplicate=True)
                last = sequence
        if expect is not None and expect != last:
            raise ConflictError(f"{subject}: the last event is {last}, not {expect}")
        return await self.append_raw(subject, headers, payload)

    async def append_raw(self, subject: str, headers: dict[str, str], payload: bytes) -> Appended:
        """Store a message as it is; tests use it to damage the log.

        Parameters
        ----------
        subject
            The message's subject.
        headers
            Its headers.
        payload
            Its body.
        """
        async with self._grown:
            self._messages.append((subject, headers, payload, datetime.now(UTC)))
            self._grown.notify_all()
            return Appended(len(self._messages))

    async def append_all(self, envelopes: Sequence[Envelope]) -> list[Appended]:
        """Store many facts, each once."""
        return [await self.append(envelope) for envelope in envelopes]

    async def read(
        self,
        *,
        filters: Sequence[str] = EVERYTHING,
        after: After = START,
        datasets: bool = True,
    ) -> AsyncGenerator[Item, None]:
        """Read what is stored now, in order; see the port."""
        for sequence in range(within(after, ALL) + 1, len(self._messages) + 1):
            if any(
                subjects.matches(pattern, self._messages[sequence - 1][0]) for pattern in filters
            ):
                yield self._item(sequence, datasets=datasets)

    async def follow(self, *, after: After = START) -> AsyncGenerator[Item, None]:
        """Read what is stored, and then what comes; see the port."""
        async with aclosing(self.read_batches(after=after, live=True)) as batches:
            async for items in batches:
                for item in items:
                    yield item

    async def read_batches(
        self, *, after: After = START, live: bool = False, datasets: bool = True
    ) -> AsyncGenerator[list[Item], None]:
        """Read everything that is stored, in batches; see the port."""
        position = within(after, ALL)
        while True:
            end = min(len(self._messages), position + _BATCH)
            if end > position:
                yield [
                    self._item(sequence, datasets=datasets)
                    for sequence in range(position + 1, end + 1)
                ]
                position = end
            elif not live:
                return
            else:
                await self._wait_until_beyond(position)

    async def read_last(
        self,
        filters: Sequence[str],
        *,
        after: int = 0,
        through: int = 0,
        datasets: bool = True,
    ) -> list[Item] | None:
        """Read the last event on each subject; see the port."""
        del through  # there is nothing behind
        last: dict[str, int] = {}
        for sequence, (subject, *_) in enumerate(self._messages, start=1):
            if any(subjects.matches(pattern, subject) for pattern in filters):
                last[subject] = sequence
        if len(last) > MOST_SUBJECTS:
            return None
        return [
            self._item(sequence, datasets=datasets)
            for sequence in sorted(last.values())
            if sequence > after
        ]

    async def last_sequence(self, subject: str = subjects.ALL) -> int:
        """Sequence of the last event that matches, 0 if there is none."""
        for sequence in range(len(self._messages), 0, -1):
            if subjects.matches(subject, self._messages[sequence - 1][0]):
                return sequence
        return 0

    async def positions(self) -> Positions:
        """Return the sequence of the last event; see the port."""
        return Positions.of({ALL: len(self._messages)})

    async def identity(self) -> str:
        """Return what tells this log from any other one; see the port."""
        return self._identity

    async def get(self, sequence: int) -> Item | None:
        """One event by its sequence."""
        return self._item(sequence) if 1 <= sequence <= len(self._messages) else None

    async def _wait_until_beyond(self, position: int) -> None:
        async with self._grown:
            await self._grown.wait_for(lambda: len(self._messages) > position)

    def _item(self, sequence: int, *, datasets: bool = True) -> Item:
        subject, headers, payload, stored_at = self._messages[sequence - 1]
        try:
            return Recorded(
                decode(headers, payload, subject=subject, datasets=datasets), sequence, stored_at
            )
        except UndecodableError as error:
            return Unreadable.because(error, sequence, subject)


def _is_event(headers: dict[str, str], payload: bytes, subject: str) -> bool:
    """Tell whether a message counts: an event, or one of a newer release."""
    try:
        decode(headers, payload, subject=subject, datasets=False)
    except UnknownEventError:
        return True
    except UndecodableError:
        return False
    return True
