"""A user of its own for who reads a file, where the service is root; else namespaces of its own.

Root becomes nobody, who may read and do nothing else. Without root there is no user to become:
there the reader gets namespaces for users, the network and shared memory, where the host allows
(user_namespaces(7)). Files and signals still go by the user outside; but memory and environment of
the service are out of reach without Landlock, too, and the network without seccomp. Capabilities in
the namespace are given up at once.
"""

import ctypes
import os
import resource
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

NOBODY: Final = 65534
"""User and group of nobody, on every Linux."""
_SET_PARENT_SIGNAL, _GET_PARENT_SIGNAL = 1, 2
_KEEP_CAPABILITIES: Final = 8
_VERSION_3: Final = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH, _SETGID, _SETUID = 1, 2, 6, 7
_NAMESPACES: Final = 0x10000000 | 0x40000000 | 0x08000000
"""CLONE_NEWUSER, CLONE_NEWNET and CLONE_NEWIPC of unshare(2)."""
MOST_THREADS: Final = 1024
"""Of this user in all; of this reader, in a namespace of its own (Linux 5.14 and newer)."""

_SELF: Final = Path("/proc/self")

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
        _limit_threads()
    _libc.prctl(_SET_PARENT_SIGNAL, signal.value, 0, 0, 0)


@cache
def has_namespaces() -> bool:
    """Tell whether this host lets this user have namespaces, by having a process enter some.

    Too many modules of kernels and containers may forbid it to ask each of them.
    """
    attempt = f"import ctypes; raise SystemExit(ctypes.CDLL(None).unshare({_NAMESPACES}))"
    command = [sys.executable, "-I", "-S", "-c", attempt]
    done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - our own words
    return done.returncode == 0


def enter_namespaces() -> None:
    """Have nothing in common with others but files, and no capability; for good.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    if _libc.unshare(_NAMESPACES):
        raise OSError(ctypes.get_errno(), "unshare")
    _set_capabilities(0, 0)
    _limit_threads()


def _limit_threads() -> None:
    """Leave numbers for the processes of others."""
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    least = MOST_THREADS if most == resource.RLIM_INFINITY else min(most, MOST_THREADS)
    resource.setrlimit(resource.RLIMIT_NPROC, (least, least))


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
    return all(permitted >> one & 1 for one in (_SETGID, _SETUID)) and has_nobody(_SELF)


def has_nobody(process: Path) -> bool:
    """Tell whether there is a nobody to become: who is root in a container may be all it has.

    See user_namespaces(7).

    Parameters
    ----------
    process
        The folder of ``/proc`` about this process.
    """
    try:
        if (process / "setgroups").read_text().strip() != "allow":
            return False
        maps = [(process / name).read_text() for name in ("uid_map", "gid_map")]
    except FileNotFoundError:
        return True  # a kernel without such namespaces has all users
    ranges = [[list(map(int, line.split())) for line in one.splitlines()] for one in maps]
    return all(any(0 <= NOBODY - first < many for first, _, many in one) for one in ranges)


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
