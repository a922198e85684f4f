"""What an event store does, whatever it is made of."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from nexuslims_contracts import subjects
from nexuslims_contracts.envelope import Envelope, Recorded
from nexuslims_contracts.errors import UndecodableError, UnknownEventError
from nexuslims_shared.store.positions import START, After, Positions

EVERYTHING = (subjects.ALL,)

MOST_SUBJECTS = 1024
"""Most subjects that one answer of :meth:`EventStore.read_last` covers: the broker's own limit."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a fact is in the stream; ``duplicate`` if it was there already."""

    sequence: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stored message that this release cannot read: damaged, or from a newer one.

    ``newer`` is whether another release can be expected to read it.
    """

    sequence: int
    subject: str
    reason: str
    newer: bool = False

    @classmethod
    def because(cls, error: UndecodableError, sequence: int, subject: str) -> "Unreadable":
        """Return what stands for a message that could not be decoded.

        Parameters
        ----------
        error
            What decoding raised.
        sequence
            Sequence of the message in the log.
        subject
            Its subject.
        """
        return cls(sequence, subject, str(error), newer=isinstance(error, UnknownEventError))

    def error(self, session: str) -> UndecodableError:
        """Return the error for who needs all events of a session."""
        kind = UnknownEventError if self.newer else UndecodableError
        return kind(f"session {session}: event {self.sequence} on {self.subject}: {self.reason}")


Item: TypeAlias = Recorded | Unreadable
"""A message of the log."""


class EventStore(Protocol):
    """An append-only log of events, in one or more periods.

    A session is in one period, so its events have one order. Periods are read one after the other,
    and followed side by side.

    The id of an event decides whether it is the same fact: appending a fact that is on its subject
    already changes nothing, however long ago it was stored. An adapter must pass
    :class:`nexuslims_shared.testing.event_store.EventStoreBehaviour`.
    """

    async def append(self, envelope: Envelope, *, expect: int | None = None) -> Appended:
        """Store a fact, once.

        Parameters
        ----------
        envelope
            The fact.
        expect
            Sequence that the last event on the fact's subject must have, 0 for none. Without it
            the fact is stored after whatever is there.

        Raises
        ------
        ConflictError
            If another fact came first where ``expect`` was given.
        BrokerUnavailableError
            If the broker does not answer; appending again is safe.
        """
        ...

    async def append_all(self, envelopes: Sequence[Envelope]) -> list[Appended]:
        """Store many facts, each once, in any order of arrival; answers in the order given."""
        ...

    def read(
        self,
        *,
        filters: Sequence[str] = EVERYTHING,
        after: After = START,
        datasets: bool = True,
    ) -> AsyncGenerator[Item, None]:
        """Read what is stored now, each period in order, then stop.

        Parameters
        ----------
        filters
            Subjects, with wildcards.
        after
            Only what has a higher sequence in its period.
        datasets
            Whether to read the datasets of files; see :func:`~nexuslims_contracts.envelope.decode`.
        """
        ...

    def follow(self, *, after: After = START) -> AsyncGenerator[Item, None]:
        """Read what is stored, and then what comes, without end; each period in order.

        Parameters
        ----------
        after
            Only what has a higher sequence in its period.
        """
        ...

    def read_batches(
        self, *, after: After = START, live: bool = False, datasets: bool = True
    ) -> AsyncGenerator[list[Item], None]:
        """Read everything that is stored, in batches that a reader can hold.

        A batch is of one period, and is all that this period holds after the one before. The next
        batch is fetched while the reader works on one, and none of its period beyond that.

        Parameters
        ----------
        after
            Only what has a higher sequence in its period.
        live
            Whether to go on with what comes, without end; a batch is then what came meanwhile.
        datasets
            Whether to read the datasets of files; see :func:`~nexuslims_contracts.envelope.decode`.
        """
        ...

    async def read_last(
        self,
        filters: Sequence[str],
        *,
        after: int = 0,
        through: int = 0,
        datasets: bool = True,
    ) -> list[Item] | None:
        """Read the last event on each subject, in order, as of one moment of each period.

        Parameters
        ----------
        filters
            Subjects, with wildcards; all of named sessions, or none.
        after
            Only what has a higher sequence.
        through
            Sequence of an event that matches and must be taken into account; in a cluster an
            answer may otherwise be a moment behind.
        datasets
            Whether to read the datasets of files; see :func:`~nexuslims_contracts.envelope.decode`.

        Returns
        -------
        list or None
            None if more than :data:`MOST_SUBJECTS` subjects match: use :meth:`read`.
        """
        ...

    async def last_sequence(self, subject: str = subjects.ALL) -> int:
        """Sequence of the last event that matches a subject, 0 if there is none.

        Where events of several periods match, it is that of the latest period.
        """
        ...

    async def positions(self) -> Positions:
        """Return the sequence of the last event of each period that is there."""
        ...

    async def identity(self) -> str:
        """Return what tells this log from any other one; nothing where it is not known."""
        ...

    async def get(self, sequence: int) -> Item | None:
        """One event by its sequence."""
        ...


async def read_session(
    store: EventStore, session: str, after: int = 0, *, files: bool = True
) -> list[Recorded]:
    """Read the events of one session, in order.

    Parameters
    ----------
    store
        Where to read.
    session
        The session.
    after
        Only what has a higher sequence.
    files
        Also what concerns its files; without them a session of fifty thousand is read at once.

    Raises
    ------
    UnknownEventError
        If one of them is of a newer release: nobody may decide on half a story.
    """
    recorded: list[Recorded] = []
    filters = (subjects.of_session(session),) if files else subjects.beside_files(session)
    async for item in store.read(filters=filters, after=after):
        if isinstance(item, Recorded):
            recorded.append(item)
        elif item.newer:
            raise item.error(session)
    return recorded
