"""Requests to the services, which are events: rebuild, retry, withdraw."""

from collections.abc import Sequence
from uuid import uuid4

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import RebuildRequested, RetryRequested, WithdrawalRequested
from nexuslims_shared.facility import services_run_here
from nexuslims_shared.session.importing import reopening
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.status import left_as_imported
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.port import EventStore


async def request_rebuild(
    store: EventStore, sessions: Sequence[str], *, re_extract: bool, extractor: str = ""
) -> dict[str, int]:
    """Request new records; return the sequence of each request, by session.

    Parameters
    ----------
    store
        The event store.
    sessions
        Those whose record is made again.
    re_extract
        Whether the microscope files are read again too.
    extractor
        Only the files that this extractor read last; all if empty.
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


async def reopen_imported(store: EventStore, sessions: Sequence[str]) -> None:
    """Open those sessions here that an earlier system dealt with: their files are looked for.

    Parameters
    ----------
    store
        The event store.
    sessions
        Whose records are to be made here.
    """
    repository = SessionRepository(store)
    for session in sessions:
        if before := left_as_imported(await repository.open(session)):
            for event in reopening(before):
                await store.append(envelop(event, source="nexuslims/console"))


async def request_retry(store: EventStore, session: str, *, overwrite: bool = False) -> None:
    """Request that what failed for a session is tried again.

    Parameters
    ----------
    store
        Where to store the request.
    session
        The session.
    overwrite
        Whether to overwrite what people changed in the record at a destination.
    """
    request = RetryRequested(session=session, request=uuid4().hex, overwrite=overwrite)
    await _publish(store, [request])


async def request_withdrawal(
    store: EventStore, session: str, *, withdrawn: bool, reason: str
) -> int:
    """Request that a session's record is withdrawn, or uploaded again; return the sequence.

    Parameters
    ----------
    store
        The event store.
    session
        Whose record.
    withdrawn
        True to withdraw it from all destinations, False to allow it there again.
    reason
        Why; it is kept in the session's history.
    """
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


def by_whom(settings: Settings) -> str:
    """Say who works on what was requested, where no service runs all the time."""
    if settings.nats_url or services_run_here(settings.state_path):
        return "; `nexuslims session ID` shows how it goes"
    return " by the next `nexuslims build-records`, or `nexuslims up`"
