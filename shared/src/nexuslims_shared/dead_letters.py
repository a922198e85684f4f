"""Dead letters: what a service could not use, where it is, and why."""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import nats.js.errors
from nats.js import api

from nexuslims_contracts.dead_letters import DeadLetter
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.topology import DEAD_LETTER_PREFIX, DEAD_LETTERS
from nexuslims_shared.store.jetstream import one_error_for_silence

if TYPE_CHECKING:
    from nats.js import JetStreamContext


class DeadLetters:
    """The dead letters' stream."""

    def __init__(self, jetstream: "JetStreamContext") -> None:
        self._js = jetstream

    async def write(self, consumer: str, sequence: int, subject: str, reason: str) -> None:
        """Report something that cannot be used; the same report twice within minutes is one.

        Parameters
        ----------
        consumer
            Who cannot use it.
        sequence
            Of the event in the log; 0 for something that never became one.
        subject
            Of the event, or the name of the calendar entry.
        reason
            What is wrong, and the remedy.
        """
        letter = DeadLetter(consumer=consumer, sequence=sequence, subject=subject, reason=reason)
        msg_id = digest([consumer, str(sequence), subject, reason])
        with one_error_for_silence():
            await self._js.publish(
                f"{DEAD_LETTER_PREFIX}.{consumer}",
                letter.model_dump_json(exclude={"number"}).encode(),
                headers={api.Header.MSG_ID.value: msg_id},
            )

    async def write_once(self, consumer: str, sequence: int, subject: str, reason: str) -> None:
        """Report something, unless the same report lies there; see :meth:`write`."""
        async for letter in self.read():
            if (letter.consumer, letter.sequence, letter.reason) == (consumer, sequence, reason):
                return
        await self.write(consumer, sequence, subject, reason)

    async def read(self) -> AsyncIterator[DeadLetter]:
        """Read all dead letters, oldest first."""
        number = 0
        while True:
            try:
                with one_error_for_silence():
                    message = await self._js.get_msg(
                        DEAD_LETTERS.name, number + 1, subject=f"{DEAD_LETTER_PREFIX}.>", next=True
                    )
            except nats.js.errors.NotFoundError:
                return
            number = message.seq or 0
            content = json.loads(message.data or b"{}")
            yield DeadLetter(**{**content, "number": number})

    async def remove(self, number: int) -> None:
        """Drop a dead letter that was dealt with."""
        await self._js.delete_msg(DEAD_LETTERS.name, number)
