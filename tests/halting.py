"""The command line, in a process that stands still once it has run a method for the first time.

``python -P halting.py MODULE:CLASS.METHOD ARGUMENTS``: whoever waits for it to stand still can
break something while its work is half done, however slow the machine is.
"""

import importlib
import inspect
import os
import signal
import subprocess
import sys
from typing import Any

from nexuslims_shared.cli.shell import main


def halting(place: str) -> tuple[str, ...]:
    """Return what runs this as a program, instead of ``-m nexuslims_shared``.

    Parameters
    ----------
    place
        After which method, as ``MODULE:CLASS.METHOD``.
    """
    return ("-P", __file__, place)


def wait_until_halted(process: "subprocess.Popen[Any]") -> None:
    """Wait until a process stands still, and not merely ended."""
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert process.poll() is None, "it ended before it came to stand still"


def halt_after(place: str) -> None:
    """Have this process stand still after the first call of a method."""
    module, _, path = place.partition(":")
    owner, _, method = path.partition(".")
    kind = getattr(importlib.import_module(module), owner)
    original = getattr(kind, method)

    def halt() -> None:
        setattr(kind, method, original)
        os.kill(os.getpid(), signal.SIGSTOP)

    async def awaited(*arguments: Any, **named: Any) -> Any:
        result = await original(*arguments, **named)
        halt()
        return result

    def called(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        halt()
        return result

    setattr(kind, method, awaited if inspect.iscoroutinefunction(original) else called)


if __name__ == "__main__":
    halt_after(sys.argv.pop(1))
    main()
