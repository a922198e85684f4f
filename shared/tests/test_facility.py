"""A broker for the commands of a facility where nothing runs, and one facility for the services."""

import asyncio
import errno
import fcntl
import os
from pathlib import Path

import pytest

from nexuslims_shared.broker_address import running_broker
from nexuslims_shared.errors import AlreadyRunningError, SettingsError
from nexuslims_shared.facility import (
    broker_at_hand,
    command_context,
    lock_facility,
    locked_for_services,
    provision_at_hand,
    runs_here,
    services_run_here,
)
from nexuslims_shared.settings import read_settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.delenv("NATS_URL", raising=False)
    (tmp_path / "files").mkdir()
    (tmp_path / "data").mkdir()
    return read_settings(
        instrument_data_path=tmp_path / "files",
        data_path=tmp_path / "data",
        state_path=tmp_path / "state",
    )


async def use(settings, ready, until):
    async with command_context(settings, "test") as context:
        ready.set()
        await until.wait()
        assert await context.store.last_sequence() == 0


async def test_a_command_has_a_broker_where_nothing_runs(settings):
    async with command_context(settings, "test") as context:
        assert await context.store.last_sequence() == 0
        assert runs_here(settings.state_path)
        assert not services_run_here(settings.state_path)
    assert running_broker(settings.state_path) is None
    assert not runs_here(settings.state_path)


async def test_the_command_that_started_the_broker_leaves_it_to_the_others(settings):
    first_ready, second_ready = asyncio.Event(), asyncio.Event()
    first_ends, second_ends = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(use(settings, first_ready, first_ends))
        await first_ready.wait()
        second = group.create_task(use(settings, second_ready, second_ends))
        await second_ready.wait()
        url = running_broker(settings.state_path)
        first_ends.set()
        async with command_context(settings, "third"):  # by its exit, the first has come to its own
            assert running_broker(settings.state_path) == url
        assert not first.done()
        second_ends.set()
        await second
        await first
    assert running_broker(settings.state_path) is None


async def test_two_commands_at_once_start_one_broker(settings):
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(provision_at_hand(settings))
    assert running_broker(settings.state_path) is None


async def test_services_wait_for_a_command_and_then_are_alone(settings):
    messages = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        async with broker_at_hand(settings):
            served, leave = asyncio.Event(), asyncio.Event()

            async def serve():
                async with locked_for_services(settings.state_path, messages.put_nowait):
                    served.set()
                    await leave.wait()

            group.create_task(serve())
            assert "another command" in await messages.get()
            assert not served.is_set()
        await served.wait()
        assert services_run_here(settings.state_path)
        with pytest.raises(AlreadyRunningError):
            async with locked_for_services(settings.state_path):
                pass
        leave.set()


async def test_services_do_not_take_who_looks_for_others(settings):
    state = settings.state_path
    messages = asyncio.Queue()
    assert not runs_here(state)

    async def serve():
        async with locked_for_services(state, messages.put_nowait):
            pass

    with (state / "up.lock").open("a") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not runs_here(state), "two look at once"
        async with asyncio.TaskGroup() as group:
            group.create_task(serve())
            await messages.get()
            fcntl.flock(looking, fcntl.LOCK_UN)


async def test_who_has_the_lock_and_has_not_written_yet_is_no_service(settings):
    state = settings.state_path
    with lock_facility(state):
        (state / "up.lock").write_text("")
        assert runs_here(state)
        assert not services_run_here(state)


def test_the_lock_names_the_process_that_has_it(settings):
    state = settings.state_path
    refused = pytest.raises(AlreadyRunningError, match="process")
    with lock_facility(state), refused, lock_facility(state):
        pass


@pytest.fixture
def read_only(monkeypatch):
    """Have the host open no file for writing, as on a disk that it has mounted read-only."""
    real = Path.open

    def refuses(path, mode="r", *more, **others):
        if mode != "r":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, mode, *more, **others)

    return lambda: monkeypatch.setattr(Path, "open", refuses)


async def test_on_a_disk_that_is_read_only_it_is_seen_what_runs(settings, read_only):
    state = settings.state_path
    async with broker_at_hand(settings):
        read_only()
        assert runs_here(state)
        async with command_context(settings, "test") as context:
            assert await context.store.last_sequence() == 0


def test_on_a_disk_that_is_read_only_nothing_runs_and_the_folder_is_named(settings, read_only):
    read_only()
    named = pytest.raises(SettingsError, match=r"NX_STATE_PATH=.*Read-only file system.*check")
    with named, lock_facility(settings.state_path):
        pass
    with pytest.raises(SettingsError, match="Read-only"):
        runs_here(settings.state_path)
