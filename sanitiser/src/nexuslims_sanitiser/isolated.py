"""Sanitising in a process of its own: a file that breaks a reader costs itself alone."""

import logging
import resource
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from nexuslims_contracts.text import clean_text
from nexuslims_formats.errors import ExtractorError
from nexuslims_formats.sandbox import Sandbox
from nexuslims_sanitiser.job import sanitise

_LONGEST_REASON = 500
_MEMORY = 4 << 30
_sandbox = Sandbox()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: ``written``, or the reason why not."""

    source: Path
    written: tuple[Path, ...] = ()
    scrubbed: Mapping[str, int] = field(default_factory=dict)
    reason: str | None = None


def outcomes(
    files: Sequence[Path], out: Path, scrub: Sequence[str], *, archive: bool, seconds: float
) -> Iterator[Outcome]:
    """Sanitise files one after the other, whatever becomes of any of them.

    Parameters
    ----------
    files, out, scrub, archive
        As for :func:`nexuslims_sanitiser.job.sanitise`.
    seconds
        How long one file may take.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=out, prefix=".sanitise-") as workplace,
        ProcessPool(max_workers=1, initializer=_begin) as pool,
    ):
        for file in files:
            job = (file, out, tuple(scrub), archive, Path(workplace))
            future = pool.schedule(_attempt, args=job, timeout=seconds)
            try:
                yield future.result()
            except (TimeoutError, FutureTimeoutError):
                yield Outcome(file, reason=f"it takes longer than {seconds:g} s")
            except ProcessExpired as error:
                yield Outcome(file, reason=f"a reader crashed on it: {_fate(error.exitcode)}")


def _begin() -> None:
    """Set the worker's limits; Ctrl-C is the parent's business, what readers log nobody's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    logging.disable()
    _sandbox.install()


def _attempt(
    file: Path, out: Path, scrub: Sequence[str], archive: bool, workplace: Path
) -> Outcome:
    try:
        with _sandbox.only(file, file.parent, out, workplace):
            done = sanitise(file, out, scrub_fields=scrub, archive=archive, workplace=workplace)
    except ExtractorError as error:
        return Outcome(file, reason=_words(str(error)))
    except OSError as error:
        return Outcome(file, reason=_words(error.strerror or str(error)))
    except Exception as error:  # noqa: BLE001 - a foreign file may break any reader
        return Outcome(file, reason=_words(f"{type(error).__name__}: {error}"))
    return Outcome(file, done.written, done.scrubbed)


def _fate(exitcode: int) -> str:
    name = signal.strsignal(-exitcode) if exitcode < 0 else None
    return name or f"exit status {exitcode}"


def _words(reason: str) -> str:
    return clean_text(reason)[:_LONGEST_REASON]
