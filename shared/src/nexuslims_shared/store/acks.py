"""Publishing without waiting for each acknowledgement.

nats-py 2.16's ``publish_async`` never resolves the future of a refused message (its reply handler
raises the error instead of setting it), and conflicts are everyday answers here.
"""

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any, TypeAlias

import nats.js.errors
from nats.js import api

from nexuslims_shared.errors import MissingRightError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nats.aio.msg import Msg

    from nexuslims_shared.broker_client import BrokerClient

Ack: TypeAlias = api.PubAck | nats.js.errors.Error | MissingRightError


class AckInbox:
    """One inbox that receives the acknowledgements of many messages in flight."""

    def __init__(self, client: "BrokerClient") -> None:
        self._client = client
        self._prefix = ""
        self._numbers = itertools.count()
        self._waiting: dict[str, asyncio.Future[Ack]] = {}

    async def publish(
        self, subject: str, payload: bytes, headers: "Mapping[str, str]"
    ) -> "asyncio.Future[Ack]":
        """Send a message; the future holds the acknowledgement, or the error, as a value.

        Parameters
        ----------
        subject
            A subject of a stream.
        payload
            The message's body.
        headers
            Its headers.
        """
        if not self._prefix:
            await self._open()
        token = str(next(self._numbers))
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._waiting[token] = future
        await self._client.publish(
            subject, payload, reply=f"{self._prefix}.{token}", headers=dict(headers)
        )
        return future

    def forget(self, futures: "Iterable[asyncio.Future[Ack]]") -> None:
        """Stop waiting for those of some messages that are still in flight."""
        late = {future for future in futures if not future.done()}
        if not late:
            return
        for token in [token for token, future in self._waiting.items() if future in late]:
            del self._waiting[token]

    async def _open(self) -> None:
        prefix = self._client.new_inbox()
        await self._client.subscribe(f"{prefix}.*", cb=self._receive)
        self._client.report_refusals(prefix, self._settle)
        self._prefix = prefix

    async def _receive(self, message: "Msg") -> None:
        self._settle(message.subject, _read(message))

    def _settle(self, reply: str, ack: Ack) -> None:
        future = self._waiting.pop(reply.rpartition(".")[2], None)
        if future is not None and not future.done():
            future.set_result(ack)


def _read(message: "Msg") -> Ack:
    if message.headers and message.headers.get(api.Header.STATUS) == "503":
        return nats.js.errors.NoStreamResponseError()
    answer = json.loads(message.data)
    if "error" not in answer:
        return api.PubAck.from_response(answer)
    return _error(answer["error"])


def _error(answer: dict[str, Any]) -> nats.js.errors.APIError:
    """Return the error that nats-py makes of an answer; it can only raise it."""
    try:
        nats.js.errors.APIError.from_error(answer)
    except nats.js.errors.APIError as error:
        return error
    raise AssertionError("nats-py always raises here")
