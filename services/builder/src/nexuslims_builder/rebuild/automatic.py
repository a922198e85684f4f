"""Records of an earlier release, rebuilt by the service without anybody asking.

Which they are, the log says: so a job that was stopped goes on with what is left, and one that is
done costs a look at the last records when a service starts. One of several builders does it, and
rests between records, so that live work keeps its share of the machine. A record of a later
release is left as it is: while a facility is updated, both are at work.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from packaging.version import InvalidVersion, Version

from nexuslims_builder.build import builder_version
from nexuslims_builder.rebuild.rebuilder import Job, Kind, Rebuilder
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import RecordBuilt, RecordRejected
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.errors import ArtifactError, LeaseError, LeaseHeldError, StoreError
from nexuslims_shared.leases import BucketLeases, Leases
from nexuslims_shared.logs import about
from nexuslims_shared.store.port import EventStore

log = logging.getLogger(__name__)

LEASE: Final = "builder.earlier-records"
_AGAIN_S: Final = 60.0
_REPORT_EVERY: Final = 500


async def keep_up_to_date(context: ServiceContext, leases: Leases | None = None) -> None:
    """Rebuild what earlier releases built, once, at the pace that the settings allow.

    Parameters
    ----------
    context
        The builder's.
    leases
        Where the one builder that does it says so; the broker's by default.
    """
    if context.settings.earlier_records == "off":
        return
    leases = leases or BucketLeases(context.jetstream)
    while True:
        try:
            async with leases.hold(LEASE):
                await rebuild_earlier(context)
                return
        except LeaseHeldError:
            log.debug("another builder rebuilds earlier records")
        except (LeaseError, StoreError, ArtifactError) as error:
            log.warning("earlier records are rebuilt later: %s", error)
        await asyncio.sleep(_AGAIN_S)


async def rebuild_earlier(context: ServiceContext) -> Counter[str]:
    """Rebuild all records of earlier releases; return how many came to what.

    Raises
    ------
    DiskError
        If the disk does not take a record.
    BrokerUnavailableError
        If the broker does not answer.
    """
    settings, kinds = context.settings, Counter[str]()
    sessions = await earlier_sessions(context.store, builder_version())
    if not sessions:
        return kinds
    share = settings.earlier_records_share
    log.info("%d records of an earlier release are rebuilt, in %.0f %% of the time",
             len(sessions), 100 * share)  # fmt: skip
    rebuilder = Rebuilder(context, Job(stale=True, upload=settings.earlier_records == "upload"))
    for number, session in enumerate(sessions, start=1):
        begin = time.monotonic()
        with about(session):
            outcome = await rebuilder.rebuild(session)
            if outcome.kind in (Kind.FAILED, Kind.REJECTED):
                log.warning("the record stays as it is: %s", outcome.detail)
        kinds[outcome.kind] += 1
        if number % _REPORT_EVERY == 0:
            log.info("%d of %d earlier records are done", number, len(sessions))
        await asyncio.sleep(rest_after(time.monotonic() - begin, share))
    log.info("earlier records: %s", ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    return kinds


def rest_after(worked: float, share: float) -> float:
    """Return how many seconds to rest after work, so that it has its share of the time.

    Parameters
    ----------
    worked
        Seconds of work.
    share
        Of all time, at most 1.
    """
    return worked * (1 / share - 1)


async def earlier_sessions(store: EventStore, release: str) -> Sequence[str]:
    """Return the sessions whose last record, or refusal, is of an earlier release.

    Parameters
    ----------
    store
        The log.
    release
        The builder's version.
    """
    found: dict[str, None] = {}
    for kind in (RecordBuilt, RecordRejected):
        of_kind: dict[str, None] = {}
        async for item in store.read(filters=(kind.filter(),)):
            if not isinstance(item, Recorded) or not isinstance(item.event, kind):
                continue
            if is_earlier(item.event.builder, release):
                of_kind[item.event.session] = None
            else:
                of_kind.pop(item.event.session, None)
        found |= of_kind
    return tuple(found)


def is_earlier(built_by: str, release: str) -> bool:
    """Tell whether a release came before another; False for what is no release.

    Parameters
    ----------
    built_by
        The version that a record names.
    release
        The builder's.
    """
    try:
        return Version(built_by) < Version(release)
    except InvalidVersion:
        return False
