"""Worker processes: a file that hangs, crashes or eats memory costs itself, never the service.

Workers are forked from a server that has everything imported (so a new one costs milliseconds),
run one file at a time, and are replaced after a number of files. The limits:

- time: a file whose reading takes longer is given up and its worker killed; the hash of a large
  file is calculated apart, and given time by the file's size;
- memory: ``RLIMIT_DATA``, which counts what a process allocates but not the files it maps, so a
  map of a 50 GB file is free; beyond it Python raises MemoryError and the file fails with a reason;
- reach: the file and its companions, see :mod:`nexuslims_extractor.cage`. A worker reads each
  file in a process of its own, forked for it: what is behind the walls stays there.
"""

import asyncio
import multiprocessing
import os
import resource
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import forkserver
from multiprocessing.util import get_temp_dir
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

from nexuslims_contracts.datasets import ExtractorVersion
from nexuslims_contracts.events import FailureKind
from nexuslims_contracts.text import printable
from nexuslims_extractor.cage.reading import (
    Job,
    Lost,
    Masked,
    hash_behind_walls,
    read_behind_walls,
    unmasked,
)
from nexuslims_extractor.cage.walls import Cage
from nexuslims_extractor.errors import NoWorkerError
from nexuslims_extractor.extraction import Extraction, FileFacts
from nexuslims_formats.errors import ExtractorError
from nexuslims_formats.model import NOBODY
from nexuslims_formats.reading import cause_of
from nexuslims_formats.sandbox import Sandbox, forget_environment
from nexuslims_formats.times import from_mtime

if TYPE_CHECKING:
    from pebble import ProcessPool

MEBIBYTE = 1 << 20
_PRELOAD = ["nexuslims_extractor.preload"]
_HASHED_AT_ONCE = 256 * MEBIBYTE
"""Bytes that are read in a second or two."""
_SPARE_S = 30.0
"""A worker ends its reader in time; it is ended itself only if it cannot."""
_PROBE_S = 2.0
"""Less than a readiness check may take."""
_SLOWEST_READ = 8 * MEBIBYTE
"""Bytes a second that a share gives at least."""
_NOT_READ_AGAIN = ("crashed", "timeout", "missing", "unreadable", "changed")
_sandbox = Sandbox()
_cage = Cage()
_USUAL_CAUSES = {
    "SIGBUS": " (the file was cut short while it was read, or its storage failed)",
    "SIGKILL": " (by the system, when memory runs out)",
    "SIGSEGV": " (the file is damaged in a way that the reader does not survive)",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may take, and how long a worker lives."""

    seconds: float = 300.0
    memory: int = 1024 * MEBIBYTE
    files_per_worker: int = 200


class WorkerPool:
    """Runs extractions in processes of their own.

    Parameters
    ----------
    workers
        How many files are read at once.
    limits
        Time, memory, and files per worker.
    start
        ``forkserver``, for a service: workers are forked from a server with everything imported.
        ``fork``, for the command line: from this process, which must have imported what it will
        ever need, and which saves the second interpreter.

    Examples
    --------
    >>> async with WorkerPool(workers=2) as pool:  # doctest: +SKIP
    ...     extraction = await pool.extract(Job(path=Path("image.dm3")))
    """

    def __init__(
        self,
        workers: int = 2,
        limits: Limits | None = None,
        *,
        start: Literal["forkserver", "fork"] = "forkserver",
    ) -> None:
        self.limits = limits or Limits()
        # several threads of linear algebra in each worker would only fight for the same cores
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        self._workers = workers
        self._closed = False
        self._busy = 0
        self._context = multiprocessing.get_context(start)
        if start == "forkserver":
            self._context.set_forkserver_preload(_PRELOAD)
            start_clean_server()
        self._pool = self._new_pool()

    def _new_pool(self) -> "ProcessPool":
        from pebble import ProcessPool  # noqa: PLC0415 - workers only

        return ProcessPool(
            max_workers=self._workers,
            max_tasks=self.limits.files_per_worker,
            initializer=_begin,
            initargs=(self.limits.memory,),
            context=self._context,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def extract(self, job: Job) -> Extraction:
        """Extract a file; whatever happens to its worker becomes an outcome with a reason.

        A file whose headers were read, but whose preview took its worker down, is read once more
        without one: its metadata is worth having.

        Raises
        ------
        NoWorkerError
            If no worker can be started.
        """
        size = (await asyncio.to_thread(_plain_facts, job.path)).bytes
        if size <= _HASHED_AT_ONCE:
            return await self._read(job)
        found = await self._read(replace(job, hashed=False))
        if found.failure in _NOT_READ_AGAIN:
            return found
        return await self._with_hash(found, job)

    async def trouble(self) -> str:
        """Have a worker do nothing, unless all are busy; return what is wrong, if anything is."""
        if self._busy >= self._workers:
            return ""
        pool = self._pool
        try:
            future = pool.schedule(_do_nothing, timeout=_PROBE_S)
            await asyncio.wrap_future(future)
        except (TimeoutError, FutureTimeoutError):
            return f"a worker process did nothing for {_PROBE_S:g} s and was replaced"
        except (RuntimeError, BrokenExecutor) as error:
            self._begin_anew(pool)
            return f"the worker processes had ended, and new ones are started: {error}"
        return ""

    async def _read(self, job: Job) -> Extraction:
        found, finishing = await self._persistent(job)
        if not (finishing and job.previews):
            return found
        again, _ = await self._persistent(replace(job, previews=False))
        if again.failed:
            return found
        reason = "; ".join(filter(None, (again.reason, f"no preview: {found.reason}")))
        return replace(again, outcome="partial", reason=reason)

    async def _with_hash(self, found: Extraction, job: Job) -> Extraction:
        """Return an extraction with the hash of its file, which has time by the file's size."""
        limit = self.limits.seconds + found.file.bytes / _SLOWEST_READ
        try:
            facts = await asyncio.wrap_future(
                self._pool.schedule(_hash, args=(job.for_reader(), limit), timeout=limit + _SPARE_S)
            )
        except (TimeoutError, FutureTimeoutError):
            facts = Lost("timeout")
        except BrokenExecutor as error:
            raise NoWorkerError(f"{printable(job.path.name)}: no worker for its hash") from error
        except (OSError, ExtractorError, RuntimeError) as error:
            return _unhashed(found, job, "unreadable", f"no hash: {cause_of(error)}")
        if isinstance(facts, Lost):
            if facts.failure == "timeout":
                return _unhashed(found, job, "timeout", f"its hash took longer than {limit:g} s")
            return _unhashed(found, job, "unreadable", f"no hash: {self._fate_of(facts)}")
        if (facts.bytes, facts.mtime) != (found.file.bytes, found.file.mtime):
            return _unhashed(found, job, "changed", "the file changed while it was read")
        return replace(found, file=facts)

    async def _persistent(self, job: Job) -> tuple[Extraction, bool]:
        """Extract a file, with new workers should the old ones have died of something else."""
        pool = self._pool
        try:
            return await self._attempt(job)
        except BrokenExecutor:
            # every worker died between files (the kernel reclaims memory so): begin anew, once
            self._begin_anew(pool)
        pool = self._pool
        try:
            return await self._attempt(job)
        except BrokenExecutor as error:
            self._begin_anew(pool)
            name = printable(job.path.name)
            raise NoWorkerError(f"{name}: no worker could be started for it: {error}") from error

    def _begin_anew(self, broken: "ProcessPool") -> None:
        """Have other workers, unless somebody else has seen to it, and another server of theirs.

        The server may have lost its socket, as to a cleaner of temporary files: nobody can ask it
        for workers then, and it lives on.
        """
        if self._pool is not broken or self._closed:
            return
        if self._context.get_start_method() == "forkserver":
            stop_server()
            start_clean_server()
        self._pool = self._new_pool()

    async def _attempt(self, job: Job) -> tuple[Extraction, bool]:
        """Extract a file; tell also whether a worker was lost after the headers were read."""
        from pebble import ProcessExpired  # noqa: PLC0415 - workers only

        self._busy += 1
        try:
            found = await asyncio.wrap_future(self._schedule(job.for_reader()))
        except (TimeoutError, FutureTimeoutError):
            found = Lost("timeout")
        except ProcessExpired as error:
            found = Lost("crashed", error.exitcode)
        except MemoryError:
            found = Lost("memory")
        finally:
            self._busy -= 1
        if isinstance(found, Masked):
            found = await asyncio.to_thread(unmasked, found, job)
        if isinstance(found, Extraction):
            return found, False
        fate = self._fate_of(found)
        return _lost(job, found.extractor, found.failure, fate), found.step == "finishing"

    def _fate_of(self, lost: Lost) -> str:
        """Say what happened to a worker, or why it could not read."""
        match lost.failure:
            case "timeout":
                return f"took longer than {self.limits.seconds:g} s"
            case "memory":
                return "needs more memory than allowed"
            case "crashed":
                return _fate(lost.exitcode)
            case _:
                return lost.reason

    def _schedule(self, job: Job) -> "Future[Extraction | Masked | Lost]":
        seconds = self.limits.seconds
        try:
            future: Future[Extraction | Masked | Lost] = self._pool.schedule(
                _work, args=(job, seconds), timeout=seconds + _SPARE_S
            )
        except RuntimeError as error:  # how a pool that broke while idle says so
            raise BrokenExecutor(str(error)) from error
        return future

    async def close(self) -> None:
        """Stop the workers and what they are doing."""
        self._closed = True
        self._pool.stop()  # type: ignore[no-untyped-call]
        await asyncio.to_thread(self._pool.join)


def _unhashed(found: Extraction, job: Job, failure: FailureKind, problem: str) -> Extraction:
    """Return the outcome of a file that was read, but whose hash cannot be had."""
    reason = f"{printable(job.path.name)}: {problem}"
    return replace(found, outcome="failed", reason=reason, failure=failure, datasets=())


def not_read(path: Path, problem: str) -> Extraction:
    """Return the outcome of a file whose reading failed for a reason that is not the file's.

    Parameters
    ----------
    path
        The file.
    problem
        What went wrong, in words.
    """
    return _lost(Job(path=path), NOBODY, "failed", problem)


def _lost(job: Job, extractor: ExtractorVersion, failure: FailureKind, fate: str) -> Extraction:
    """Return the outcome of a file whose worker cannot tell it any more."""
    who = f"{extractor.name} {extractor.version}: " if extractor.version else ""
    return Extraction(
        file=_plain_facts(job.path),
        outcome="failed",
        reason=f"{printable(job.path.name)}: {who}{fate}",
        failure=failure,
        extractor=extractor,
    )


def _fate(exitcode: int) -> str:
    if exitcode >= 0:
        return f"the worker exited with status {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    return f"the worker was killed by {name}{_USUAL_CAUSES.get(name, '')}"


def _plain_facts(path: Path) -> FileFacts:
    """Return what the file system tells; the content that killed a worker is not read again."""
    try:
        status = path.stat()
    except OSError:
        return FileFacts(str(path), 0, "", "")
    return FileFacts(str(path), status.st_size, from_mtime(status.st_mtime).isoformat(), "")


_LONGEST_FOLDER: Final = 70
"""Bytes; multiprocessing adds the name of a folder and of a socket to it."""
_SHORT_FOLDER: Final = "/tmp"  # noqa: S108 - a folder of its own is made in it


def _begin(memory: int) -> None:
    """Set a worker's limits; Ctrl-C is the parent's business, and so is standard output."""
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _sandbox.install()
    _cage.prepare()


def _do_nothing() -> None:
    """Show that a worker takes work."""


def _hash(job: Job, seconds: float) -> FileFacts | Lost:
    return hash_behind_walls(_cage, _sandbox, job, seconds)


def _work(job: Job, seconds: float) -> Extraction | Masked | Lost:
    return read_behind_walls(_cage, _sandbox, job, seconds)


def stop_server() -> None:
    """End the server that workers are forked from, whatever is left of its socket."""
    with suppress(FileNotFoundError):
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way


def start_clean_server() -> None:
    """Start the server that workers are forked from, with an environment without secrets.

    What a process was started with stays in ``/proc/PID/environ``, whatever it deletes later; so
    it is started without. It does not look for modules in the working folder, either.
    """
    kept = dict(os.environ)
    try:
        forget_environment()
        os.environ["PYTHONSAFEPATH"] = "1"
        with _room_for_a_socket():
            Path(get_temp_dir()).mkdir(mode=0o700, parents=True, exist_ok=True)
            forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def _room_for_a_socket() -> Iterator[None]:
    """Have the server's socket in a folder whose path is short enough for one.

    The path of a socket has 107 bytes (``sun_path`` of unix(7)); that of ``TMPDIR`` may be longer.
    """
    folder = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_FOLDER:
        tempfile.tempdir = _SHORT_FOLDER
    try:
        yield
    finally:
        tempfile.tempdir = folder
