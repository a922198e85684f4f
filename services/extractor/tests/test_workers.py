"""Plugins that kill, hang or gorge their worker, installed for real through an entry point."""

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from multiprocessing import forkserver
from pathlib import Path

import pytest

from nexuslims_extractor import workers
from nexuslims_extractor.cage.reading import Job
from nexuslims_extractor.errors import NoWorkerError
from nexuslims_extractor.workers import MEBIBYTE, Limits, WorkerPool
from nexuslims_formats import registry

PLUGIN = """
import ctypes, faulthandler, mmap, os, signal, time, urllib.request
from nexuslims_formats.model import ParsedFile, Signal

def die():
    os.kill(os.getpid(), signal.SIGSEGV)

class Dangerous:
    name, version, priority, extensions = "dangerous", "1", 900, ("danger",)

    def supports(self, path, head):
        return path.suffix == ".danger"

    def open(self, path):
        faulthandler.disable()
        if path.stem.startswith("crash"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if path.stem.startswith("exit"):
            os._exit(3)
        if path.stem.startswith("hang"):
            time.sleep(600)
        if path.stem.startswith("gorge"):
            return [bytearray(1 << 28) for _ in range(64)]
        if path.stem.startswith("draw"):
            signal_ = Signal(name="s", dataset_type="Image", data_type="SEM_Imaging", pixels=die)
            return ParsedFile(signals=[signal_], problems=("half is missing",))
        if path.stem.startswith("shrink"):
            libc, page = ctypes.CDLL(None), mmap.PAGESIZE
            libc.mmap.restype = ctypes.c_void_p
            with path.open("rb") as file:  # mapped as when it was longer
                length, start = ctypes.c_size_t(2 * page), ctypes.c_long(0)
                at = libc.mmap(None, length, 1, 1, file.fileno(), start)
            return ctypes.string_at(at + page, 1)
        if path.stem.startswith("print"):
            os.write(1, b"look at me")
        if path.stem.startswith("fetch"):
            urllib.request.urlopen("http://127.0.0.1:9/").read()
        if path.stem.startswith("peek"):
            (path.parent.parent / "secret").read_text()
        if path.stem.startswith("token"):
            raise ValueError(os.environ.get("NX_CDCS_TOKEN", "no token"))
        if path.stem.startswith("spy"):
            open(f"/proc/{path.stem[4:].replace('parent', str(os.getppid()))}/environ").read()
        raise ValueError(str(os.getppid()))
"""
POINTS = "[nexuslims.extractors]\ndangerous = dangerous_plugin:Dangerous\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the dangerous plugin installed, and a server that knows it."""
    site = tmp_path_factory.mktemp("site")
    info = site / "dangerous-1.dist-info"
    info.mkdir()
    (site / "dangerous_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dangerous\nVersion: 1\n")
    (info / "entry_points.txt").write_text(POINTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", str(site))
        patch.setattr("nexuslims_formats.registry.installed", registry.installed.__wrapped__)
        forkserver._forkserver._stop()  # it imported the plugins of another test
        yield site
    forkserver._forkserver._stop()


@pytest.fixture(params=["forkserver", "fork"])
async def run(request, tmp_path, site):
    """Extract files of the given names with the dangerous plugin installed."""
    pools = []

    async def extract(*names, seconds=20.0, files=200, at_once=2, **options):
        limits = Limits(seconds=seconds, memory=1024 * MEBIBYTE, files_per_worker=files)
        pool = WorkerPool(at_once, limits, start=request.param)
        pools.append(pool)
        for name in names:
            (tmp_path / name).write_bytes(b"content")
        return await asyncio.gather(
            *(pool.extract(Job(path=tmp_path / n, **options)) for n in names)
        )

    extract.pools = pools
    yield extract
    for pool in pools:
        await pool.close()


async def test_a_crash_costs_one_file_and_tells_the_signal(run):
    crash, good = await run("crash.danger", "good.txt")
    assert (crash.outcome, crash.failure) == ("failed", "crashed")
    assert crash.reason.startswith(
        "crash.danger: dangerous 1: the worker was killed by SIGSEGV (the file is damaged"
    )
    assert crash.extractor.name == "dangerous"
    assert crash.file.bytes == 7
    assert good.outcome == "extracted"


async def test_a_preview_that_kills_its_worker_costs_the_preview(run, tmp_path):
    (done,) = await run("draw.danger", previews=True, artifacts_root=tmp_path / "data")
    assert (done.outcome, done.failure) == ("partial", None)
    assert done.reason.startswith(
        "draw.danger: half is missing; no preview: draw.danger: dangerous"
    )
    assert "SIGSEGV" in done.reason
    assert len(done.datasets) == len(done.metadata_artifacts) == 1


async def test_a_file_that_shrinks_under_its_reader_is_reported(run):
    (done,) = await run("shrink.danger")
    assert done.failure == "crashed"
    assert "SIGBUS (the file was cut short while it was read" in done.reason


async def test_a_reader_finds_no_secret_in_the_environment(run, monkeypatch):
    monkeypatch.setenv("NX_CDCS_TOKEN", "hunter2")
    (done,) = await run("token.danger")
    assert "no token" in done.reason


async def test_a_reader_reaches_no_further_than_the_folder(run):
    fetch, *others = await run(
        "fetch.danger", "peek.danger", "spy-self.danger", "spy-parent.danger", "spy-1.danger"
    )
    assert "would use the network" in fetch.reason
    for done in others:
        assert done.outcome == "failed"
        assert "outside its folder" in done.reason


@pytest.mark.parametrize("run", ["fork"], indirect=True)
async def test_what_a_reader_prints_does_not_mix_with_results(run, capfd):
    await run("print.danger")
    out, err = capfd.readouterr()
    assert "look at me" not in out
    assert "look at me" in err


async def test_an_exit_is_a_crash_too(run):
    (done,) = await run("exit.danger")
    assert done.failure == "crashed"
    assert "status 3" in done.reason


async def test_nothing_waits_behind_a_stuck_file(run):
    start = time.monotonic()
    hang, *good = await run("hang.danger", *(f"good{n}.txt" for n in range(6)), seconds=3.0)
    assert (hang.outcome, hang.failure) == ("failed", "timeout")
    assert "longer than 3 s" in hang.reason
    assert {done.outcome for done in good} == {"extracted"}
    assert time.monotonic() - start < 20


async def test_gorging_is_stopped_with_a_reason(run):
    (done,) = await run("gorge.danger")
    assert (done.outcome, done.failure) == ("failed", "memory")
    assert "memory" in done.reason


async def test_workers_are_replaced_after_some_files(run):
    done = await run(*(f"file{n}.danger" for n in range(6)), files=2, at_once=1)
    pids = {extraction.reason.rpartition(" ")[2].rstrip(")") for extraction in done}
    assert len(pids) >= 3


async def test_a_pool_whose_workers_all_died_begins_anew(run):
    (first,) = await run("file.danger", at_once=1)
    pool = run.pools[-1]
    os.kill(int(first.reason.rpartition(" ")[2].rstrip(")")), signal.SIGKILL)
    done = await pool.extract(Job(path=Path(first.file.path)))
    assert "ValueError" in done.reason


async def test_a_large_file_is_hashed_apart_from_its_reading(run, monkeypatch):
    monkeypatch.setattr(workers, "_HASHED_AT_ONCE", 3)
    good, crash, unknown = await run("good.txt", "crash.danger", "odd.xyz")
    digest = hashlib.sha256(b"content").hexdigest()
    assert (good.outcome, good.file.sha256) == ("extracted", digest)
    assert (unknown.outcome, unknown.file.sha256) == ("unsupported", digest)
    # what killed a worker is not read again
    assert (crash.failure, crash.file.sha256) == ("crashed", "")


def test_workers_start_where_the_temporary_folder_has_a_long_path(tmp_path: Path) -> None:
    """The server's socket lies in it, and the path of a socket has 107 bytes at most."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    code = (
        "from nexuslims_extractor.workers import start_clean_server\n"
        "from multiprocessing import forkserver\n"
        "import tempfile\n"
        "if __name__ == '__main__':\n"
        "    start_clean_server()\n"
        "    print(forkserver._forkserver._forkserver_pid, tempfile.gettempdir())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    pid, place = done.stdout.split()
    assert int(pid) > 0
    assert place == str(folder)


async def test_workers_start_again_whose_servers_socket_was_cleaned_away(tmp_path):
    """As by a cleaner of temporary files: the files are read, and none is called a crash."""
    (tmp_path / "good.txt").write_bytes(b"content")
    async with WorkerPool(1, Limits(files_per_worker=1)) as pool:
        for _ in range(2):
            assert (await pool.extract(Job(path=tmp_path / "good.txt"))).outcome == "extracted"
            shutil.rmtree(Path(forkserver._forkserver._forkserver_address).parent)


async def test_a_file_is_not_blamed_where_no_worker_can_be_started(tmp_path, monkeypatch):
    async def breaks(job):
        raise BrokenExecutor("no more processes")

    async with WorkerPool(1) as pool:
        monkeypatch.setattr(pool, "_attempt", breaks)
        with pytest.raises(NoWorkerError, match=r"a.txt: no worker could be started.*no more"):
            await pool._read(Job(path=tmp_path / "a.txt"))
