"""Progress of long work on standard error: how much is done, how fast, how long it still takes."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from nexuslims_shared.cli.output import console, say

Update: TypeAlias = Callable[[int, int], None]
"""Takes how many are done, and how many there are in all."""

_LINE_EVERY_S: Final = 10.0


@contextmanager
def counted_progress(things: str) -> Iterator[Update]:
    """Draw a bar on a terminal; elsewhere print a line every ten seconds.

    Parameters
    ----------
    things
        What is counted, such as ``sessions``.
    """
    if not sys.stderr.isatty():
        yield _lines(things)
        return
    from rich.progress import (  # noqa: PLC0415 - only on a terminal
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console(errors=True),
        transient=True,
    ) as bars:
        task = bars.add_task(things, total=None, rate="")
        rate = _Rate()

        def update(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, rate=f"{rate.of(done):.0f} a second")

        yield update


class _Rate:
    """How many a second since the first call; those done before it do not count."""

    def __init__(self) -> None:
        self._begin: tuple[float, int] | None = None

    def of(self, done: int) -> float:
        """Return the rate now that so many are done."""
        now = time.monotonic()
        if self._begin is None:
            self._begin = now, done
        began, before = self._begin
        return (done - before) / (now - began) if now > began else 0.0


def _lines(things: str) -> Update:
    rate = _Rate()
    printed = time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal printed
        speed = rate.of(done)
        if time.monotonic() - printed >= _LINE_EVERY_S and speed:
            printed = time.monotonic()
            left = (total - done) / speed
            say(f"{done} of {total} {things}, {speed:.0f} a second, {left:.0f} s left")

    return update
