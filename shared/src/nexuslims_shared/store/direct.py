"""Reading a stream by direct gets: batches that a reader asks for, and no consumer.

A batch is bounded in messages and bytes, and the next one is sent when it is asked for. So a reader
slower than the broker holds one batch at a time, loses nothing, and leaves nothing behind on the
broker. ``multi_last`` gives the last message of each subject as of one moment, in one answer
(ADR-31; nats-server 2.11 and newer). nats-py 2.16 knows single direct gets only.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import nats.js.errors
from nats.js import api

from nexuslims_shared.errors import IncompleteAnswerError, MissingRightError

if TYPE_CHECKING:
    from nexuslims_shared.broker_client import BrokerClient

_MEBIBYTE: Final = 1024 * 1024
_BATCH: Final = {"batch": 1_000, "max_bytes": 4 * _MEBIBYTE}
_BROAD: Final = {"batch": 50_000, "max_bytes": 16 * _MEBIBYTE}
"""For each batch the server counts what is left of a filter, which takes it 0.4 s for one over all
sessions of a million events. So these are longer."""
_PATIENCE_S: Final = 5.0
_LONG_PATIENCE_S: Final = 30.0
"""How long the broker may be silent inside an answer; longer where it has to search the stream."""
_DONE: Final = "204"
_NOTHING: Final = "404"
_TOO_MANY: Final = "413"
_SEQUENCE: Final = "Nats-Sequence"
_BEFORE: Final = "Nats-Last-Sequence"
_PENDING: Final = "Nats-Num-Pending"
_AS_OF: Final = "Nats-UpTo-Sequence"


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of a stream."""

    sequence: int
    subject: str
    headers: dict[str, str]
    payload: bytes

    @property
    def stored_at(self) -> datetime:
        """When the broker stored it."""
        return datetime.fromisoformat(self.headers["Nats-Time-Stamp"])


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one request brought: messages without a gap, and the headers that ended it."""

    messages: list[Stored]
    status: str
    end: dict[str, str]
    whole: bool

    @property
    def pending(self) -> int:
        """How many more messages match, and were left out of this answer."""
        return int(self.end.get(_PENDING, "0"))


class DirectReader:
    """Reads one stream of the broker.

    Parameters
    ----------
    client
        A live connection.
    stream
        Name of a stream that allows direct gets. In a cluster any replica answers, which may be
        behind the leader for a moment.
    everything
        The subject that all its messages match, such as ``nexus.events.>``.
    """

    def __init__(self, client: "BrokerClient", stream: str, everything: str) -> None:
        self._client = client
        self._subject = f"$JS.API.DIRECT.GET.{stream}"
        self._everything = everything
        self._any_session = f"{everything.removesuffix('>')}*."

    async def after(self, sequence: int, subject: str) -> list[Stored]:
        """Return the next messages, none if there are none.

        Parameters
        ----------
        sequence
            Only messages with a higher sequence.
        subject
            Only messages that match, with wildcards.

        Raises
        ------
        TimeoutError, nats.errors.Error, nats.js.errors.Error
            If the broker does not answer; the same request may succeed a little later.
        """
        request: dict[str, Any] = {"seq": sequence + 1, **_BATCH}
        patience = _PATIENCE_S
        if subject != self._everything:
            request["next_by_subj"] = subject
        if subject.startswith(self._any_session):
            request.update(_BROAD)
            patience = _LONG_PATIENCE_S
        return (await self._ask(request, patience)).messages

    async def last(
        self, filters: Sequence[str], after: int, through: int
    ) -> tuple[list[Stored], bool]:
        """Return the last message of each subject, in order, and False if they are too many.

        Parameters
        ----------
        filters
            Subjects, with wildcards.
        after
            Only messages with a higher sequence.
        through
            Sequence of a message that matches, which the replica that answers must hold; 0 for
            whatever it holds.

        Raises
        ------
        IncompleteAnswerError
            If messages were lost on the way, or the replica is behind; ask again.
        TimeoutError, nats.errors.Error, nats.js.errors.Error
            If the broker does not answer; the same request may succeed a little later.
        """
        request: dict[str, Any] = {"multi_last": list(filters), "max_bytes": 4 * _MEBIBYTE}
        messages: list[Stored] = []
        while True:
            answer = await self._ask({**request, "seq": after + 1})
            if answer.status == _TOO_MANY:
                return [], False
            as_of = int(answer.end.get(_AS_OF, "0"))
            if not answer.whole or as_of < through:
                raise IncompleteAnswerError("the broker's answer is incomplete, or of the past")
            messages += answer.messages
            if not answer.pending:
                return messages, True
            after, request["up_to_seq"] = messages[-1].sequence, as_of
            through = 0

    async def _ask(self, request: dict[str, Any], patience: float = _PATIENCE_S) -> _Answer:
        """Send a request and collect all that is sent back."""
        received: list[tuple[dict[str, str], bytes]] = []
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[dict[str, str]] = loop.create_future()
        silent_since = loop.time()

        def receive(headers: dict[str, str], payload: bytes) -> None:
            nonlocal silent_since
            silent_since = loop.time()
            if api.Header.STATUS not in headers:
                received.append((headers, payload))
            elif not ended.done():
                ended.set_result(headers)

        def refuse(_: str, error: MissingRightError) -> None:
            if not ended.done():
                ended.set_exception(error)

        inbox = self._client.new_inbox()
        async with self._client.receive_directly(inbox, receive, refuse):
            await self._client.publish(self._subject, json.dumps(request).encode(), reply=inbox)
            while not ended.done():
                left = silent_since + patience - loop.time()
                if left <= 0:
                    raise TimeoutError
                await asyncio.wait([ended], timeout=left)
            end = ended.result()
        return _read(received, end)


def _read(received: Sequence[tuple[dict[str, str], bytes]], end: dict[str, str]) -> _Answer:
    status = end[api.Header.STATUS]
    if status not in (_DONE, _NOTHING, _TOO_MANY):
        raise nats.js.errors.NoStreamResponseError
    messages: list[Stored] = []
    before = 0
    for headers, payload in received:
        if int(headers[_BEFORE]) != before:
            return _Answer(messages, status, end, whole=False)
        before = int(headers[_SEQUENCE])
        messages.append(Stored(before, headers["Nats-Subject"], headers, payload))
    whole = int(end.get(_BEFORE, "0")) == before or status != _DONE
    return _Answer(messages, status, end, whole=whole)
