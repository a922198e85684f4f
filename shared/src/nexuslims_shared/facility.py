"""The facility of a state folder on this machine: whether it runs, and its broker for a command."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Final

from nexuslims_shared.broker_address import running_broker
from nexuslims_shared.context import ServiceContext, provision_broker, service_context
from nexuslims_shared.embedded import EmbeddedBroker, start_embedded
from nexuslims_shared.errors import AlreadyRunningError, SettingsError
from nexuslims_shared.settings import Settings, make_state_folder

_LOCK_FILE: Final = "up.lock"
_USERS_FILE: Final = "broker-users.lock"
_COMMAND: Final = " for a command"
"""Behind the process in the lock file, where it holds the broker only and runs no services."""
_POLL_S: Final = 0.1
_PATIENCE_S: Final = 60.0


def runs_here(state: Path) -> bool:
    """Tell whether a process of this machine runs the facility of a state folder."""
    with _open_to_look(make_state_folder(state) / _LOCK_FILE) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # who else looks is not in the way
        except OSError:
            return True
        return False


def services_run_here(state: Path) -> bool:
    """Tell whether a process of this machine runs the services of a state folder."""
    if not runs_here(state):
        return False
    written = (state / _LOCK_FILE).read_text()
    return bool(written) and not written.endswith(_COMMAND)  # empty: who has it writes that next


def process_of_services(state: Path) -> int:
    """Return the process that runs the services of a state folder; 0 if none does."""
    if not services_run_here(state):
        return 0
    written = (state / _LOCK_FILE).read_text().split()
    return int(written[0]) if written else 0


@contextmanager
def lock_facility(state: Path, *, role: str = "") -> Iterator[None]:
    """Be the one process of this machine that runs the facility of a state folder.

    Parameters
    ----------
    state
        The folder.
    role
        What is written behind the process, for those who find the lock taken.

    Raises
    ------
    AlreadyRunningError
        If another one does.
    SettingsError
        If the folder cannot be made.
    """
    path = make_state_folder(state) / _LOCK_FILE
    with _open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise AlreadyRunningError(
                f"the services of this facility run already (process {file.read().strip()},"
                f" {path}): stop them first, or use another folder"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}{role}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


@asynccontextmanager
async def locked_for_services(
    state: Path, waiting: Callable[[str], None] = lambda _: None
) -> AsyncIterator[None]:
    """Be the one process that runs the services, once a command that has the broker has ended.

    Parameters
    ----------
    state
        The state folder.
    waiting
        Takes a message when there is something to wait for.

    Raises
    ------
    AlreadyRunningError
        If the services run already.
    """
    async with AsyncExitStack() as stack:
        announced = False
        while True:
            try:
                stack.enter_context(lock_facility(state))
                break
            except AlreadyRunningError:
                if services_run_here(state):
                    raise
            if not announced:
                waiting("waits until another command of this facility has ended")
                announced = True
            await asyncio.sleep(_POLL_S)
        yield


@asynccontextmanager
async def command_context(
    settings: Settings, name: str, *, lasting: bool = False
) -> AsyncIterator[ServiceContext]:
    """Connect a command to the broker; run the embedded one for the duration, if none runs.

    Parameters
    ----------
    settings
        The facility's.
    name, lasting
        As for :func:`~nexuslims_shared.context.service_context`.

    Raises
    ------
    TopologyError
        If the broker does not answer, or does not start.
    """
    async with (
        broker_at_hand(settings),
        service_context(settings, name, lasting=lasting) as context,
    ):
        yield context


async def provision_at_hand(settings: Settings, *, wait: bool = False) -> None:
    """Provision the broker; the embedded one is run for it, if none runs.

    Parameters
    ----------
    settings, wait
        As for :func:`~nexuslims_shared.context.provision_broker`.
    """
    async with broker_at_hand(settings):
        await provision_broker(settings, wait=wait)


@asynccontextmanager
async def broker_at_hand(settings: Settings) -> AsyncIterator[None]:
    """Use the broker that is configured or runs; else run the embedded one for the duration.

    One that was started for a command stays until the last command that uses it has ended.

    Raises
    ------
    TopologyError
        If the embedded broker does not start.
    SettingsError
        If the state folder cannot be used.
    AlreadyRunningError
        If the services run, but their broker has been away for a minute.
    """
    if settings.nats_url:
        yield
        return
    state = make_state_folder(settings.state_path)
    with _open_to_look(state / _USERS_FILE) as users:
        await _flock(users, fcntl.LOCK_SH)
        async with AsyncExitStack() as stack:
            if not running_broker(state):
                await _start(settings, stack, users)
            yield


async def _start(settings: Settings, stack: AsyncExitStack, users: IO[str]) -> None:
    """Start the broker for commands, or wait for whoever is starting it."""
    state = settings.state_path
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while not running_broker(state):
        try:
            stack.enter_context(lock_facility(state, role=_COMMAND))
        except AlreadyRunningError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_POLL_S)
            continue
        # from the main thread: it ends with it
        broker = start_embedded(state, periods=settings.has_periods)
        stack.push_async_callback(_stop_after_all, broker, users)
        await provision_broker(settings)


async def _stop_after_all(broker: EmbeddedBroker, users: IO[str]) -> None:
    """Stop the broker when no other command uses it."""
    try:
        await _flock(users, fcntl.LOCK_EX)
    finally:
        await asyncio.to_thread(broker.stop)


def _open_to_look(path: Path) -> IO[str]:
    """Open a file of locks; one that may only be read can be locked, too."""
    try:
        return _open(path, "a+")
    except SettingsError:
        if path.exists():
            return _open(path, "r")
        raise


def _open(path: Path, mode: str) -> IO[str]:
    try:
        return path.open(mode)
    except OSError as error:
        raise SettingsError(
            f"NX_STATE_PATH={path.parent}: {path.name} cannot be opened"
            f" ({error.strerror or error}): check space and permissions"
        ) from error


async def _flock(file: IO[str], kind: int) -> None:
    """Lock a file, and let other tasks go on while others have it."""
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_POLL_S)
        else:
            return
