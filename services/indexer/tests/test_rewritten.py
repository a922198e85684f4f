"""A file that is written again under its name, in a folder that says nothing of it."""

import os
from datetime import UTC, datetime, timedelta

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.events import (
    ExtractionFailed,
    FailureKind,
    FileIndexed,
    FileSuperseded,
)
from nexuslims_indexer.app import indexing
from nexuslims_shared.bucket import MemoryBucket
from nexuslims_shared.dead_letters import MemoryDeadLetters
from nexuslims_shared.people import MemoryPeople
from nexuslims_shared.published_kinds import PublishedKinds
from nexuslims_shared.service import ServiceContext
from nexuslims_shared.store.memory import MemoryEventStore
from nexuslims_shared.store.port import read_session


async def test_it_is_found_while_its_session_is_looked_for(settings, share, facts) -> None:
    now = datetime.now(UTC)
    session = type(facts)(start=now - timedelta(hours=9), end=now - timedelta(hours=5))
    at_once = settings.model_copy(update={"file_settle_seconds": 0.0})
    store, kinds = MemoryEventStore(), PublishedKinds(MemoryBucket())
    context = ServiceContext(at_once, store, MemoryPeople(), MemoryDeadLetters(), None)  # type: ignore[arg-type]
    for event in session.over():
        await store.append(envelop(event, source="test"))
    for content in (b"x", b"longer"):
        path = share.write("series/a.dm3", session.end - timedelta(hours=1), content)
        os.utime(path.parent, (session.start.timestamp(),) * 2)
        async with indexing(context, kinds) as indexer:
            for instrument in indexer.instruments.values():
                await instrument.once()
    events = [item.event for item in await read_session(store, session.session)]
    assert [event.size for event in events if isinstance(event, FileIndexed)] == [1, 6]
    gone = [event.reason for event in events if isinstance(event, FileSuperseded)]
    assert gone == ["rewritten"]


async def test_one_that_changed_before_it_was_read_is_looked_for_again(
    settings, share, facts
) -> None:
    now = datetime.now(UTC)
    session = type(facts)(start=now - timedelta(days=9), end=now - timedelta(days=8))
    quiet = settings.model_copy(update={"file_settle_seconds": 0.0, "file_watch": "off"})
    store, kinds = MemoryEventStore(), PublishedKinds(MemoryBucket())
    context = ServiceContext(quiet, store, MemoryPeople(), MemoryDeadLetters(), None)  # type: ignore[arg-type]
    for event in session.over():
        await store.append(envelop(event, source="test"))
    when = session.end - timedelta(hours=1)
    path = share.write("series/a.dm3", when, b"x")
    folder = path.parent.stat()

    async def sizes() -> list[int]:
        events = [item.event for item in await read_session(store, session.session)]
        return [event.size for event in events if isinstance(event, FileIndexed)]

    async def fail(failure: FailureKind) -> None:
        (file,) = {
            item.event.file
            for item in await read_session(store, session.session)
            if isinstance(item.event, FileIndexed)
        }
        failed = ExtractionFailed(
            session=session.session, file=file, failure=failure, reason="why", request=failure
        )
        await store.append(envelop(failed, source="test"))
        (*_, last) = await read_session(store, session.session)
        await indexer.handle((last,))

    async with indexing(context, kinds) as indexer:
        for instrument in indexer.instruments.values():
            await instrument.once()
        assert await sizes() == [1]
        share.write("series/a.dm3", when, b"longer")
        os.utime(path.parent, ns=(folder.st_atime_ns, folder.st_mtime_ns))
        await fail("crashed")
        assert await sizes() == [1]
        await fail("changed")
        assert await sizes() == [1, 6]
