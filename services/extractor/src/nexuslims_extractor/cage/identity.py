"""A user of its own for who reads a file, where the service is root: it may read, and that is all.

Without root there is no user to become. A user namespace would give the reader capabilities over
what it makes in it, and more of the kernel to attack, but no more distance from the service: files
and signals go by the user outside (user_namespaces(7)). So what a reader of the service's own user
could do is left to Landlock and seccomp.
"""

import ctypes
import os
import stat
import sys
from pathlib import Path
from typing import Final

NOBODY: Final = 65534
"""User and group of nobody, on every Linux."""
_SET_PARENT_SIGNAL, _GET_PARENT_SIGNAL = 1, 2
_KEEP_CAPABILITIES: Final = 8
_VERSION_3: Final = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH, _SETGID, _SETUID = 1, 2, 6, 7

_libc: Final = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def is_available() -> bool:
    """Tell whether this process may become another user, and keep the right to read."""
    return sys.platform == "linux" and os.geteuid() == 0 and bool(_reading()) and _may_change()


def become_nobody(file: Path) -> None:
    """Give up the user and all capabilities but that to read files of others; for good.

    Not where nobody could then read the file: a share goes by the user, whatever capabilities
    this host gives. What the process is sent when its parent ends stays as it was: with the user
    the kernel forgets it.

    Parameters
    ----------
    file
        What is read.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    keep, signal = _reading(), ctypes.c_int()
    _libc.prctl(_GET_PARENT_SIGNAL, ctypes.byref(signal), 0, 0, 0)
    if _could_read(file, keep):
        if _libc.prctl(_KEEP_CAPABILITIES, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_KEEPCAPS)")
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        _set_capabilities(1 << keep, 1 << keep)
    _libc.prctl(_SET_PARENT_SIGNAL, signal.value, 0, 0, 0)


def _could_read(file: Path, capability: int) -> bool:
    """Try as nobody, from which there is a way back as long as only the effective user is one."""
    os.seteuid(NOBODY)
    try:
        _set_capabilities(1 << capability, _permitted())
        status = file.stat()
        if stat.S_ISREG(status.st_mode):  # nothing else is opened, ever
            os.close(os.open(file, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    finally:
        os.seteuid(0)
    return True


def _may_change() -> bool:
    permitted = _permitted()
    return all(permitted >> one & 1 for one in (_SETGID, _SETUID))


def _reading() -> int:
    """Return the least capability with which files of others can be read; 0 without any.

    Containers seldom have the one to read alone; writing is refused by Landlock in any case.
    """
    permitted = _permitted()
    held = (one for one in (_DAC_READ_SEARCH, _DAC_OVERRIDE) if permitted >> one & 1)
    return next(held, 0)


def _permitted() -> int:
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    if _libc.capget(ctypes.byref(header), sets):
        return 0
    return int(sets[0].permitted)


def _set_capabilities(effective: int, permitted: int) -> None:
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    sets[0].effective, sets[0].permitted = effective, permitted
    if _libc.capset(ctypes.byref(header), sets):
        raise OSError(ctypes.get_errno(), "capset")
