"""Asking the services to do something again: by events, as everything."""

from collections.abc import Sequence
from uuid import uuid4

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import RebuildRequested, RetryRequested, WithdrawalRequested
from nexuslims_shared.store.port import EventStore


async def request_rebuild(
    store: EventStore, sessions: Sequence[str], *, re_extract: bool, extractor: str = ""
) -> dict[str, int]:
    """Ask for new records; gives the sequence of each request, by session.

    Parameters
    ----------
    store
        Where to.
    sessions
        Which.
    re_extract
        Whether files are read again.
    extractor
        Only those that it read last; all if empty.
    """
    request = uuid4().hex
    return await _publish(
        store,
        [
            RebuildRequested(
                session=session, request=request, re_extract=re_extract, extractor=extractor
            )
            for session in sessions
        ],
    )


async def request_retry(store: EventStore, session: str) -> None:
    """Ask to try again what failed for a session."""
    await _publish(store, [RetryRequested(session=session, request=uuid4().hex)])


async def request_withdrawal(
    store: EventStore, session: str, *, withdrawn: bool, reason: str
) -> int:
    """Ask that no record of a session is shown, or that records may be; gives the sequence."""
    request = WithdrawalRequested(
        session=session, request=uuid4().hex, withdrawn=withdrawn, reason=reason
    )
    return (await _publish(store, [request]))[session]


async def _publish(
    store: EventStore, events: Sequence[RebuildRequested | RetryRequested | WithdrawalRequested]
) -> dict[str, int]:
    stored = await store.append_all([envelop(one, source="nexuslims/console") for one in events])
    return {
        event.session: appended.sequence for event, appended in zip(events, stored, strict=True)
    }
