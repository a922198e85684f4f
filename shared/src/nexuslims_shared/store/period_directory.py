"""Which periods the log has, and which one a session belongs to.

What the streams hold decides. A period is there if its stream is; a session is where its events
are. The bucket of sessions says so without asking every stream, and beyond the life of a stream:
who states the first event of a session writes there first, which only one can do, so no session
ever begins in two periods. A facility with one period for all needs, reads and writes none of it.
"""

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import nats.js.errors

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Envelope
from nexuslims_contracts.events import SessionEnded, SessionRevised, SessionStarted
from nexuslims_contracts.periods import ALL, Period, PeriodLength
from nexuslims_contracts.topology import PERIODS, SESSIONS
from nexuslims_shared.bucket import BrokerBucket
from nexuslims_shared.errors import PeriodAwayError, TopologyError
from nexuslims_shared.store.broker_errors import is_silence, retrying

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = logging.getLogger(__name__)

OpenPeriod: TypeAlias = Callable[[Period], Awaitable[None]]
"""Creates the stream of a period, with its consumers; running it again changes nothing."""

LOOK_S: Final = 5.0
"""How often a process looks whether there are new periods, while it reads or writes."""

_GLANCE_S: Final = 0.5

T = TypeVar("T")

_REMEMBERED: Final = 100_000
_WITH_START: Final = (SessionStarted, SessionEnded, SessionRevised)


class PeriodDirectory:
    """The periods of a log.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    patience
        Seconds to go on trying while the broker does not answer.
    length
        How long the periods of new sessions are.
    open_period
        Opens a period that a new session is the first of; without it, that is an error.
    """

    def __init__(
        self,
        jetstream: "JetStreamContext",
        patience: float,
        *,
        length: PeriodLength = "all",
        open_period: OpenPeriod | None = None,
    ) -> None:
        self._js = jetstream
        self._patience = patience
        self._length = length
        self._open_period = open_period
        self._sessions = BrokerBucket(jetstream, SESSIONS)
        self._known: OrderedDict[str, Period] = OrderedDict()
        self._periods: tuple[tuple[Period, ...], frozenset[Period]] = ((), frozenset())
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def there(self, *, now: bool = False) -> tuple[Period, ...]:
        """Return the periods whose streams are there, in order.

        Parameters
        ----------
        now
            Ask the broker, however short ago that was.

        Raises
        ------
        TopologyError
            If there is none.
        BrokerUnavailableError
            If the broker does not answer.
        """
        return (await self._look(now=now))[0]

    async def away(self, *, now: bool = False) -> frozenset[Period]:
        """Return the periods that were removed, and not restored; parameter as of :meth:`there`."""
        return (await self._look(now=now))[1]

    async def find(self, session: str) -> Period | None:
        """Return the period of a session; None if it has none yet.

        Raises
        ------
        PeriodAwayError
            If the stream of its period was removed.
        """
        there, away = await self._look()
        if self._length == "all" and there == (ALL,) and not away:
            return ALL
        period = self._known.get(session)
        if period is None:
            if kept := await self._persist(lambda: self._sessions.get(session)):
                period = _period_of(kept)
            if period is None:
                period = await self._search(session, there)
            if period is not None:
                self._remember(session, period)
        if period in away:
            raise PeriodAwayError(session, period.name)
        return period

    async def find_or_choose(self, envelope: Envelope) -> Period:
        """Return the period that an event is to be stored in; its stream is there.

        Raises
        ------
        PeriodAwayError
            If the stream of the period was removed.
        TopologyError
            If the stream is not there, and cannot be created.
        """
        session = envelope.event.session
        period = await self.find(session)
        if period is None:
            period = await self._choose(envelope)
        there, away = await self._look()
        if period in there:
            return period
        there, away = await self._look(now=True)
        if period in away:
            raise PeriodAwayError(session, period.name)
        if period not in there:
            await self._open(period)
        return period

    def learn(self, session: str, sequence: int) -> None:
        """Remember that a session has an event of some sequence.

        Parameters
        ----------
        session
            The session.
        sequence
            The event's.
        """
        period = Period.of(sequence)
        if not sequence:
            return
        if period not in self._periods[0]:
            self._looked_at = float("-inf")  # it came since the last look
        if self._periods[0] != (ALL,) or period != ALL:
            self._remember(session, period)

    async def _choose(self, envelope: Envelope) -> Period:
        """Decide the period of a new session, once and for ever."""
        event = envelope.event
        start = event.start if isinstance(event, _WITH_START) else envelope.time
        chosen = Period.holding(start, self._length)
        if chosen != ALL:
            name = chosen.name.encode()
            kept = await self._persist(lambda: self._sessions.create(event.session, name))
            chosen = _period_of(kept) or chosen
        self._remember(event.session, chosen)
        return chosen

    async def _open(self, period: Period) -> None:
        if self._open_period is None:
            raise TopologyError(
                f"the broker has no stream {period.stream}: run `nexuslims provision`"
            )
        await self._open_period(period)
        log.info("period %s is open: a session begins in it", period.name)
        await self._look(now=True)

    async def _search(self, session: str, there: tuple[Period, ...]) -> Period | None:
        """Ask the streams for a session that the bucket does not name.

        Those that are there have begun in the stream of before there were periods, so that one is
        asked first; the others are, side by side, for one that is new, or that the bucket lost.
        """
        first, others = there[:1], there[1:]
        for some in (first, others):
            held = await asyncio.gather(*(self._holds(one, session) for one in some))
            if found := next((one for one, holds in zip(some, held, strict=True) if holds), None):
                return found
        return None

    async def _holds(self, period: Period, session: str) -> bool:
        subject = period.subject(subjects.of_session(session))
        try:
            await self._persist(lambda: self._js.get_last_msg(period.stream, subject))
        except nats.js.errors.NotFoundError:
            return False
        return True

    async def _look(self, *, now: bool = False) -> tuple[tuple[Period, ...], frozenset[Period]]:
        if not now and time.monotonic() - self._looked_at < LOOK_S:
            return self._periods
        async with self._looking:
            asked_at = time.monotonic()
            if now or asked_at - self._looked_at >= LOOK_S:
                found = await (self._ask() if now or not self._periods[0] else self._glance())
                if found is not None:
                    there, away = found
                    if not there:
                        raise TopologyError(
                            "the broker has no stream of events: run `nexuslims provision`"
                        )
                    self._periods = (there, away - set(there))
                self._looked_at = asked_at
        return self._periods

    async def _ask(self) -> tuple[tuple[Period, ...], frozenset[Period]]:
        there = await self._persist(lambda: periods_there(self._js))
        return there, await self._persist(lambda: periods_away(self._js))

    async def _glance(self) -> tuple[tuple[Period, ...], frozenset[Period]] | None:
        """Ask once, and not for long; None where the broker does not answer.

        Only the leader of a whole cluster lists streams. Until there is a new one, what is known is
        as good, and the leader of a stream takes events seconds earlier.
        """
        try:
            async with asyncio.timeout(_GLANCE_S):
                return await periods_there(self._js), await periods_away(self._js)
        except Exception as error:
            if is_silence(error):
                return None
            raise

    async def _persist(self, ask: Callable[[], Awaitable[T]]) -> T:
        async for attempt in retrying(self._patience):
            with attempt:
                answer = await ask()
        return answer

    def _remember(self, session: str, period: Period) -> None:
        self._known[session] = period
        self._known.move_to_end(session)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


async def periods_there(jetstream: "JetStreamContext") -> tuple[Period, ...]:
    """Return the periods whose streams the broker has, in order."""
    names: list[str] = []
    while True:
        request = json.dumps({"offset": len(names)}).encode()
        client = jetstream._nc  # noqa: SLF001 - nats-py itself lists whole descriptions only
        answer = await client.request("$JS.API.STREAM.NAMES", request, timeout=5.0)
        page = json.loads(answer.data)
        if "error" in page:
            nats.js.errors.APIError.from_error(page["error"])
        names += page.get("streams") or ()
        if len(names) >= page.get("total", 0):
            return tuple(sorted(filter(None, map(Period.of_stream, names))))


async def periods_away(jetstream: "JetStreamContext") -> frozenset[Period]:
    """Return the periods whose streams were removed, and not restored."""
    try:
        keys = await BrokerBucket(jetstream, PERIODS).keys()
    except nats.js.errors.NotFoundError:
        return frozenset()  # the broker was provisioned by a release without periods
    return frozenset(filter(None, (_period_of(key.encode()) for key in keys)))


def _period_of(written: bytes) -> Period | None:
    """Return a period that a bucket names; None for a name that no release of ours wrote."""
    try:
        return Period.named(written.decode())
    except ValueError:
        log.debug("a bucket names %r, which is no period: it is left out", written[:80])
        return None
