"""Pulling the messages of a consumer: many at a time, and each as soon as it is there.

nats-py's own fetch costs a round trip for each message, or waits for the last of several until its
time is over (nats.py#1034). Here one request is open at a time, for as many messages as there is
room for, and what it brings is handed on as it comes. So what was fetched is bounded in number and
bytes, and all of it is either taken or handed back.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

import nats.errors
from nats.js import api

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

_LARGEST_BATCH: Final = 4 * 1024 * 1024
"""Bytes that one request brings at most; each event is far smaller."""
_ENDED: Final = frozenset({"404", "408", "409"})
"""The broker has sent what was asked for, or has no more of it in that time."""
_PAUSE_S: Final = 1.0
"""How long nothing is asked for where nobody answers, as when a consumer is gone."""
_ON_THE_WAY_S: Final = 0.5
"""A request that the broker said nothing about so long after its end is lost."""


class Unsubscribable(Protocol):
    """Receives messages until it is unsubscribed."""

    async def unsubscribe(self) -> None:
        """Receive nothing more."""
        ...


class Pull:
    """Stands for nats-py's pull subscription in a subscriber of FastStream.

    Parameters
    ----------
    client
        A live connection.
    stream, consumer
        Names of the stream and of its durable consumer.
    room
        Returns how many messages can be taken now.
    """

    def __init__(
        self, client: "Client", stream: str, consumer: str, room: Callable[[], int]
    ) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._room = room
        self._inbox = client.new_inbox()
        self._arrived: deque[Msg] = deque()
        self._news = asyncio.Event()
        self._left = 0
        self._until = 0.0
        self._closed = False
        self._subscription: Subscription | None = None
        self._former: Unsubscribable | None = None

    async def open(self) -> None:
        """Receive from now on what is asked for."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._receive)

    def stand_for(self, subscription: Unsubscribable) -> "Pull":
        """Take the place of a subscription, which ends with this one."""
        self._former = subscription
        return self

    async def fetch(self, batch: int, timeout: float) -> list["Msg"]:  # noqa: ASYNC109 - as in nats-py
        """Return what there is as soon as there is something; nothing if that takes too long.

        Parameters
        ----------
        batch
            Most messages to return.
        timeout
            Seconds that a request stays open.
        """
        if not self._arrived:
            self._news.clear()
            if not self._is_asked_for():
                await self._ask(batch, timeout)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._until):
                    await self._news.wait()
        return [self._arrived.popleft() for _ in range(min(batch, len(self._arrived)))]

    async def close(self) -> None:
        """Ask for nothing more, and hand back what was not taken, for another one to have it."""
        self._closed = True
        with suppress(nats.errors.Error):
            await self._client.flush()  # what the broker has sent is here then
        while self._arrived:
            await _hand_back(self._arrived.popleft())

    async def unsubscribe(self) -> None:
        """Receive nothing more."""
        await self.close()
        for one in (self._subscription, self._former):
            if one is not None:
                await one.unsubscribe()
        self._subscription = self._former = None

    def _is_asked_for(self) -> bool:
        """Tell whether a request is open, or nothing is to be asked for yet."""
        return self._closed or (self._left > 0 and asyncio.get_running_loop().time() < self._until)

    async def _ask(self, batch: int, patience: float) -> None:
        self._left = max(1, min(batch, self._room()))
        self._until = asyncio.get_running_loop().time() + patience + _ON_THE_WAY_S
        request = {
            "batch": self._left,
            "expires": int(patience * 1e9),
            "max_bytes": _LARGEST_BATCH,
        }
        await self._client.publish(self._subject, json.dumps(request).encode(), reply=self._inbox)

    async def _receive(self, message: "Msg") -> None:
        if message.reply:
            self._left -= 1
            if self._closed:
                await _hand_back(message)
                return
            self._arrived.append(message)
        elif (message.headers or {}).get(api.Header.STATUS.value) in _ENDED:
            self._left = 0
        else:
            self._left, self._until = 1, asyncio.get_running_loop().time() + _PAUSE_S
        self._news.set()


async def _hand_back(message: "Msg") -> None:
    with suppress(nats.errors.Error):
        await message.nak()
