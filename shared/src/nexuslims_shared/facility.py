"""The facility of a state folder on this machine: whether it runs, and its broker for a command."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from nexuslims_shared.context import provision_broker
from nexuslims_shared.embedded import running_broker, start_embedded
from nexuslims_shared.errors import AlreadyRunningError
from nexuslims_shared.settings import Settings, make_folder

_LOCK_FILE: Final = "up.lock"


def runs_here(state: Path) -> bool:
    """Tell whether a process of this machine runs the facility of a state folder."""
    try:
        with lock_facility(state):
            return False
    except AlreadyRunningError:
        return True


@contextmanager
def lock_facility(state: Path) -> Iterator[None]:
    """Be the one process of this machine that runs the facility of a state folder.

    Raises
    ------
    AlreadyRunningError
        If another one does.
    SettingsError
        If the folder cannot be made.
    """
    path = make_folder(state, "NX_STATE_PATH") / _LOCK_FILE
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise AlreadyRunningError(
                f"the services of this facility run already (process {file.read().strip()},"
                f" {path}): stop them first, or use another folder"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@asynccontextmanager
async def broker_at_hand(settings: Settings) -> AsyncIterator[None]:
    """Use the broker that is configured or runs; else run the embedded one for the duration.

    Raises
    ------
    TopologyError
        If the embedded broker does not start.
    """
    if settings.nats_url or running_broker(settings.state_path):
        yield
        return
    with lock_facility(settings.state_path):
        broker = start_embedded(settings.state_path)  # from the main thread: it ends with it
        try:
            await provision_broker(settings)
            yield
        finally:
            await asyncio.to_thread(broker.stop)
