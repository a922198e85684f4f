"""The uploader service: takes records to the destinations that lack them, and withdraws them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from nexuslims_contracts.topology import UPLOADER
from nexuslims_shared.consume import Handler, by_session
from nexuslims_shared.leases import BucketLeases
from nexuslims_shared.service import Mount, Service, ServiceContext
from nexuslims_shared.settings import Settings
from nexuslims_shared.tasks import end
from nexuslims_uploader.destination import Destination, load_destinations
from nexuslims_uploader.guarded_calls import GuardedCalls
from nexuslims_uploader.look import keep_looking
from nexuslims_uploader.uploader import Uploader
from nexuslims_uploader.verify import Verifier
from nexuslims_uploader.verify_files import FileVerifier
from nexuslims_uploader.verify_links import LinkVerifier, links_are_known
from nexuslims_uploader.verifying import keep_verifying


def create(settings: Settings) -> Service:
    """Make the service."""
    destinations = load_destinations(settings)
    calls = GuardedCalls(destination.name for destination in destinations)
    return Service(
        name="uploader",
        work=lambda context: _work(context, destinations, calls),
        consumer=UPLOADER,
        key=by_session,
        concurrency=settings.upload_concurrency,
        mounts=[Mount(settings.data_path, "NX_DATA_PATH", writable=True)],
        notes=calls.notes,
    )


@asynccontextmanager
async def _work(
    context: ServiceContext, destinations: tuple[Destination, ...], calls: GuardedCalls
) -> AsyncIterator[Handler]:
    async with AsyncExitStack() as stack:
        for destination in destinations:
            stack.push_async_callback(destination.close)
        leases = BucketLeases(context.jetstream)
        uploader = Uploader(context, destinations, calls, leases)
        files = FileVerifier(context, hashing=False, repair=False)
        links = LinkVerifier(context.settings) if links_are_known(context.settings) else None
        verifier = Verifier(context, destinations, leases, repair=False, files=files, links=links)
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(keep_looking(context, uploader, leases))
            verifying = tasks.create_task(keep_verifying(context, verifier, leases))
            yield uploader.handle
            await end(looking)
            await end(verifying)
