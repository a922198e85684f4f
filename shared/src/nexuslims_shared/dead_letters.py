"""Dead letters: what a service could not use, where it is, and why."""

from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Final, Protocol, cast

import nats.js.errors
from nats.js import api
from pydantic import ValidationError

from nexuslims_contracts.dead_letters import DeadLetter
from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import HandlingFailed
from nexuslims_contracts.identifiers import digest, is_token
from nexuslims_contracts.subjects import session_of
from nexuslims_contracts.topology import DEAD_LETTER_PREFIX, DEAD_LETTERS
from nexuslims_shared.store.broker_errors import one_error_for_silence
from nexuslims_shared.store.direct import DirectReader, Stored
from nexuslims_shared.store.port import EventStore

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from nexuslims_shared.broker_client import BrokerClient

_NO_SUCH_SEQUENCE: Final = 10043
_LONGEST_REASON: Final = 4000
"""Characters of a reason in an event; the letter has all of it."""


class DeadLetters(Protocol):
    """Where services report what they cannot use.

    An adapter must pass :class:`nexuslims_shared.testing.dead_letters.DeadLettersBehaviour`.
    """

    async def write(self, consumer: str, sequence: int, subject: str, reason: str) -> None:
        """Report something that cannot be used; the same report twice within minutes is one.

        Parameters
        ----------
        consumer
            Name of the consumer that cannot use it.
        sequence
            Sequence of the event in the log; 0 for something that never became one.
        subject
            Subject of the event, or the name of the calendar entry.
        reason
            What is wrong, and the remedy.

        Raises
        ------
        BrokerUnavailableError
            If the broker does not answer.
        """
        ...

    def read(self) -> AsyncIterator[DeadLetter]:
        """Read all dead letters, oldest first."""
        ...

    async def remove(self, number: int) -> None:
        """Drop the dead letter of that number, which was dealt with."""
        ...

    async def close(
        self, consumer: str, session: str, sequences: Collection[int] | None = None
    ) -> tuple[DeadLetter, ...]:
        """Drop the dead letters of a session that its consumer can handle now; return them.

        Parameters
        ----------
        consumer
            Name of the consumer.
        session
            Token of the session.
        sequences
            Only the letters about these events; all by default.
        """
        closed = [
            letter
            async for letter in self.read()
            if _is_about(letter, consumer, session)
            and (sequences is None or letter.sequence in sequences)
        ]
        for letter in closed:
            await self.remove(letter.number)
        return tuple(closed)

    async def write_once(self, consumer: str, sequence: int, subject: str, reason: str) -> None:
        """Report something, unless the same report is there; parameters as for :meth:`write`."""
        async for letter in self.read():
            if (letter.consumer, letter.sequence, letter.subject, letter.reason) == (
                consumer,
                sequence,
                subject,
                reason,
            ):
                return
        await self.write(consumer, sequence, subject, reason)


class SessionDeadLetters(DeadLetters):
    """Dead letters that are part of the story of the session they are about.

    A session with one is stuck, until an operator requests a retry or the letter is closed.

    Parameters
    ----------
    letters
        Where they are kept.
    store
        Where the events are.
    """

    def __init__(self, letters: DeadLetters, store: EventStore) -> None:
        self._letters, self._store = letters, store

    async def write(self, consumer: str, sequence: int, subject: str, reason: str) -> None:
        """Report something, at first in the session: where a letter lies, the event is."""
        session = session_of(subject)
        if sequence and is_token(session):
            await self._state(session, consumer, sequence, reason)
        await self._letters.write(consumer, sequence, subject, reason)

    def read(self) -> AsyncIterator[DeadLetter]:
        """Read all dead letters; see the port."""
        return self._letters.read()

    async def remove(self, number: int) -> None:
        """Drop a dead letter; see the port."""
        await self._letters.remove(number)

    async def close(
        self, consumer: str, session: str, sequences: Collection[int] | None = None
    ) -> tuple[DeadLetter, ...]:
        """Drop what can be handled now; see the port."""
        closed = await self._letters.close(consumer, session, sequences)
        left = [one async for one in self.read() if _is_about(one, consumer, session)]
        if closed and not left:
            last = closed[-1]
            await self._state(session, consumer, last.sequence, last.reason, resolved=True)
        return closed

    async def _state(
        self, session: str, consumer: str, sequence: int, reason: str, *, resolved: bool = False
    ) -> None:
        event = HandlingFailed(
            session=session,
            service=consumer,
            sequence=sequence,
            reason=reason[:_LONGEST_REASON],
            resolved=resolved,
        )
        await self._store.append(envelop(event, source=f"nexuslims/{consumer}"))


def _is_about(letter: DeadLetter, consumer: str, session: str) -> bool:
    return (
        letter.consumer == consumer
        and letter.sequence > 0
        and session_of(letter.subject) == session
    )


class MemoryDeadLetters(DeadLetters):
    """Dead letters in memory, for tests."""

    def __init__(self) -> None:
        self._letters: dict[int, DeadLetter] = {}
        self._number = 0

    async def write(self, consumer: str, sequence: int, subject: str, reason: str) -> None:
        """Report something; see the port."""
        letter = DeadLetter(consumer=consumer, sequence=sequence, subject=subject, reason=reason)
        known = (one.model_copy(update={"number": 0}) for one in self._letters.values())
        if letter not in known:
            self._number += 1
            self._letters[self._number] = letter.model_copy(update={"number": self._number})

    async def read(self) -> AsyncIterator[DeadLetter]:
        """Read all dead letters; see the port."""
        for letter in list(self._letters.values()):
            yield letter

    async def remove(self, number: int) -> None:
        """Drop a dead letter; see the port."""
        self._letters.pop(number, None)


class StreamDeadLetters(DeadLetters):
    """Dead letters in a stream of the broker.

    Parameters
    ----------
    jetstream
        A context on a live connection that :func:`nexuslims_shared.broker.connect` made.
    """

    def __init__(self, jetstream: "JetStreamContext") -> None:
        self._js = jetstream
        client = cast("BrokerClient", jetstream._nc)  # noqa: SLF001 - the context has no public way
        self._reader = DirectReader(client, DEAD_LETTERS.name, f"{DEAD_LETTER_PREFIX}.>")

    async def write(self, consumer: str, sequence: int, subject: str, reason: str) -> None:
        """Report something; see the port."""
        letter = DeadLetter(consumer=consumer, sequence=sequence, subject=subject, reason=reason)
        msg_id = digest([consumer, str(sequence), subject, reason])
        with one_error_for_silence():
            await self._js.publish(
                f"{DEAD_LETTER_PREFIX}.{consumer}",
                letter.model_dump_json(exclude={"number"}).encode(),
                headers={api.Header.MSG_ID.value: msg_id},
            )

    async def read(self) -> AsyncIterator[DeadLetter]:
        """Read all dead letters; see the port."""
        try:
            with one_error_for_silence():
                await self._js.stream_info(DEAD_LETTERS.name)
        except nats.js.errors.NotFoundError:
            return  # nothing was provisioned, so nothing was written
        number = 0
        while True:
            with one_error_for_silence():
                messages = await self._reader.after(number, f"{DEAD_LETTER_PREFIX}.>")
            if not messages:
                return
            for message in messages:
                number = message.sequence
                yield _letter_of(message)

    async def count(self, consumer: str = "*") -> int:
        """Return how many dead letters there are, of one consumer or of all."""
        subject = f"{DEAD_LETTER_PREFIX}.{consumer}"
        with one_error_for_silence():
            info = await self._js.stream_info(DEAD_LETTERS.name, subjects_filter=subject)
        return sum((info.state.subjects or {}).values())

    async def remove(self, number: int) -> None:
        """Drop a dead letter; see the port."""
        try:
            with one_error_for_silence():
                await self._js.delete_msg(DEAD_LETTERS.name, number)
        except nats.js.errors.APIError as error:
            if error.err_code != _NO_SUCH_SEQUENCE:
                raise


def _letter_of(message: Stored) -> DeadLetter:
    """Read a letter; one that no service wrote is a letter too, so that an operator sees it."""
    try:
        letter = DeadLetter.model_validate_json(message.payload, extra="ignore")
    except ValidationError:
        letter = DeadLetter(
            consumer=message.subject.removeprefix(f"{DEAD_LETTER_PREFIX}."),
            sequence=0,
            subject=message.subject,
            reason="this dead letter cannot be read: no service of this release wrote it",
        )
    return letter.model_copy(update={"number": message.sequence})
