"""The event store on NATS JetStream: a stream for each period of the log."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import TYPE_CHECKING, Final, cast

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Envelope
from nexuslims_contracts.periods import Period, PeriodLength
from nexuslims_shared.errors import PeriodAwayError
from nexuslims_shared.log_identity import read_identity
from nexuslims_shared.store.acks import AckInbox
from nexuslims_shared.store.broker_errors import retrying
from nexuslims_shared.store.direct import Stored
from nexuslims_shared.store.period_directory import LOOK_S, OpenPeriod, PeriodDirectory
from nexuslims_shared.store.period_stream import PeriodStream
from nexuslims_shared.store.port import EVERYTHING, Appended, Item
from nexuslims_shared.store.positions import START, After, Positions, within
from nexuslims_shared.tasks import end as cancel

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from nexuslims_shared.broker_client import BrokerClient

_LATEST: Final = 2
"""Periods in which most happens; the others are asked less often for what is new."""
_PAUSE_S: Final = 0.25
_PAUSE_OF_OLD_S: Final = 2.0


class JetStreamEventStore:
    """Events in the JetStream streams of events, of which at least one must exist.

    Parameters
    ----------
    jetstream
        A context on a live connection that :func:`nexuslims_shared.broker.connect` made.
    patience
        Seconds to go on trying while the broker does not answer.
    length
        How long the periods of new sessions are.
    open_period
        Opens a period that a new session is the first of.
    """

    def __init__(
        self,
        jetstream: "JetStreamContext",
        *,
        patience: float = 30.0,
        length: PeriodLength = "all",
        open_period: OpenPeriod | None = None,
    ) -> None:
        self._js = jetstream
        self._patience = patience
        self._acks = AckInbox(cast("BrokerClient", jetstream._nc))  # noqa: SLF001 - the context has no public way
        self._streams: dict[Period, PeriodStream] = {}
        self.periods = PeriodDirectory(jetstream, patience, length=length, open_period=open_period)

    async def append(self, envelope: Envelope, *, expect: int | None = None) -> Appended:
        """Store a fact, once; see the port."""
        if expect:
            self.periods.learn(envelope.event.session, expect)
        period = await self.periods.find_or_choose(envelope)
        return await self._stream(period).append(envelope, expect=expect)

    async def append_all(self, envelopes: Sequence[Envelope]) -> list[Appended]:
        """Store many facts, each once; see the port."""
        chosen = [(await self.periods.find_or_choose(one), one) for one in envelopes]
        answers: list[Appended] = []
        for period, run in groupby(chosen, key=lambda pair: pair[0]):
            answers += await self._stream(period).append_all([one for _, one in run])
        return answers

    async def read(
        self,
        *,
        filters: Sequence[str] = EVERYTHING,
        after: After = START,
        datasets: bool = True,
    ) -> AsyncGenerator[Item, None]:
        """Read what is stored now, each period in order; see the port."""
        for stream, some in await self._holding(filters, after):
            items = stream.read(some, within(after, stream.period), datasets=datasets)
            async with aclosing(items):
                async for item in items:
                    yield item

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
        if live:
            async with aclosing(self._live_batches(after, datasets=datasets)) as batches:
                async for items in batches:
                    yield items
            return
        for period in await self.periods.there():
            stored = self._stream(period).read_batches(within(after, period), datasets=datasets)
            async with aclosing(stored):
                async for items in stored:
                    yield items

    async def read_last(
        self,
        filters: Sequence[str],
        *,
        after: int = 0,
        through: int = 0,
        datasets: bool = True,
    ) -> list[Item] | None:
        """Read the last event on each subject; see the port."""
        found: list[Item] = []
        for stream, some in await self._holding(filters, through or after):
            items = await stream.read_last(
                some,
                after=within(after, stream.period),
                through=within(through, stream.period),
                datasets=datasets,
            )
            if items is None:
                return None
            found += items
        return found

    async def last_sequence(self, subject: str = subjects.ALL) -> int:
        """Sequence of the last event that matches; see the port."""
        streams = [stream for stream, _ in await self._holding((subject,), START)]
        for stream in reversed(streams):
            sequence = await stream.last_sequence(subject)
            if sequence > stream.period.begin:
                return sequence
        return 0

    async def positions(self) -> Positions:
        """Return the sequence of the last event of each period; see the port."""
        periods = await self.periods.there(now=True)
        ends = await asyncio.gather(*(self._stream(one).last_sequence() for one in periods))
        return Positions.of(dict(zip(periods, ends, strict=True)))

    async def identity(self) -> str:
        """Return what tells this log from any other one; see the port."""
        async for attempt in retrying(self._patience):
            with attempt:
                found = await read_identity(self._js)
        return found.log if found else ""

    async def get(self, sequence: int) -> Item | None:
        """One event by its sequence."""
        period = Period.of(sequence)
        if period in await self.periods.away():
            raise PeriodAwayError(f"of event {sequence}", period.name)
        return await self._stream(period).get(sequence)

    # --- where to look ---

    def _stream(self, period: Period) -> PeriodStream:
        if period not in self._streams:
            stream = PeriodStream(self._js, self._acks, period, self._patience)
            self._streams[period] = stream
        return self._streams[period]

    async def _holding(
        self, filters: Sequence[str], hint: After
    ) -> list[tuple[PeriodStream, Sequence[str]]]:
        """Return the streams that hold what filters match, in order, and what to ask each for."""
        sessions = {subjects.session_of(one) for one in filters}
        if sessions & {"*", ">"}:
            return [(self._stream(one), filters) for one in await self.periods.there()]
        if isinstance(hint, int) and len(sessions) == 1:
            self.periods.learn(next(iter(sessions)), hint)
        where: dict[Period, list[str]] = {}
        for subject in filters:
            try:
                period = await self.periods.find(subjects.session_of(subject))
            except PeriodAwayError:
                if len(sessions) == 1:
                    raise
                continue  # of the others there is something to read
            if period is not None:
                where.setdefault(period, []).append(subject)
        there = await self.periods.there()
        if not where.keys() <= set(there):
            there = await self.periods.there(now=True)
        return [(self._stream(one), where[one]) for one in sorted(where) if one in there]

    # --- following ---

    async def _live_batches(
        self, after: After, *, datasets: bool
    ) -> AsyncGenerator[list[Item], None]:
        """Read all periods side by side, those that come as well."""
        fetching: dict[Period, asyncio.Task[list[Stored]]] = {}
        try:
            while True:
                there = await self.periods.there()
                for period in there:
                    if period not in fetching:
                        fetching[period] = self._fetch(within(after, period), there)
                await cancel(*(fetching.pop(one) for one in fetching.keys() - set(there)))
                await asyncio.wait(
                    fetching.values(), timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED
                )
                for period in [one for one, task in fetching.items() if task.done()]:
                    messages = await self._fetched(period, fetching.pop(period))
                    if messages:
                        reached = period.sequence(messages[-1].sequence)
                        after = _beside(after, there).including(reached)
                        fetching[period] = self._fetch(reached, there)
                        yield self._stream(period).decode(messages, datasets=datasets)
        finally:
            await cancel(*fetching.values())

    def _fetch(self, after: int, there: Sequence[Period]) -> "asyncio.Task[list[Stored]]":
        period = Period.of(after)
        pause = _PAUSE_S if period in there[-_LATEST:] else _PAUSE_OF_OLD_S
        return asyncio.create_task(self._stream(period).next_batch(after, longest_pause=pause))

    async def _fetched(self, period: Period, task: "asyncio.Task[list[Stored]]") -> list[Stored]:
        """Return what a task fetched; nothing if the period is gone meanwhile."""
        if task.exception() is not None and period not in await self.periods.there(now=True):
            return []
        return task.result()


def _beside(after: After, there: Iterable[Period]) -> Positions:
    """Return positions that mean the same as where to read from."""
    if isinstance(after, Positions):
        return after
    return Positions.of({period: within(after, period) for period in there})
