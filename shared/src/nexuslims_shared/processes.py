"""Child processes that do not outlive the one that started them, whatever ends it."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.05


def die_with_parent(parent: int | None = None) -> Callable[[], None] | None:
    """Return what a child runs between fork and exec (``preexec_fn``) to end with this process.

    The kernel then sends it SIGTERM even where this process was killed and could do nothing more
    (prctl(2), Linux). It speaks of the *thread* that forks: start children from the main thread.
    Elsewhere there is no such means, and None is returned.

    Parameters
    ----------
    parent
        Id of the process to end with; this one by default.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = parent or os.getpid()

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return arrange


def end_process(pid: int, *, patience: float) -> str:
    """End a process that is no child of this one; say how it ended. Blocks.

    Parameters
    ----------
    pid
        Its id.
    patience
        Seconds until it is killed; one that is stopped does not hear a signal.

    Raises
    ------
    PermissionError
        If it is somebody else's.
    """
    begin = time.monotonic()
    try:
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() - begin < patience and not is_zombie(pid):
            os.kill(pid, 0)
            time.sleep(_POLL_S)
        if is_zombie(pid):
            return "ended"
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return "ended"
    return f"did not end within {patience:g} s and was killed"


def is_zombie(pid: int) -> bool:
    """Tell whether a process has ended and its parent has not asked for that yet (Linux)."""
    return _state(pid) == "Z"


def stands_still(pid: int) -> bool:
    """Tell whether somebody stopped a process, which may go on at any time (Linux)."""
    return _state(pid) in ("T", "t")


def _state(pid: int) -> str:
    """Return the letter of proc_pid_stat(5); none if there is no such process, or no Linux."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]
