"""Child processes that do not outlive the one that started them, whatever ends it."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


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
