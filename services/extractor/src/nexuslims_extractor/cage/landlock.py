"""Landlock: rules for files that a process gives itself for good, without being root.

See landlock(7) and https://docs.kernel.org/userspace-api/landlock.html; Linux 5.13 and newer. A
rule holds for a file, or a folder and all below it, wherever links lead and whatever they are
called: what is opened counts.
"""

import ctypes
import os
from collections.abc import Iterable
from typing import Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_NO_NEW_PRIVILEGES: Final = 38

READ: Final = 1 << 2
"""The right to read a file, or the files below a folder."""
LIST: Final = 1 << 3
"""The right to list a folder, and those below it."""
_OF_FILES: Final = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""ABI -> rights that it adds: 13 to execute, write, read, remove, make; refer; truncate; ioctl."""
_TCP: Final = 0b11
_SIGNALS_AND_SOCKETS: Final = 0b11
_WITH_TCP: Final = 4
_WITH_SCOPE: Final = 6

_libc: Final = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """Return the version of Landlock that this kernel has; 0 if there is none, or it is off."""
    version: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return max(version, 0)


def restrict(places: Iterable[tuple[int, int]]) -> None:
    """Let this process use some files and folders, and no other; there is no way back.

    It can start no program, write to no file that it has not open, and, by newer kernels, signal
    and connect to nobody outside.

    Parameters
    ----------
    places
        Open descriptors of files and folders, each with the rights to it; of a file, to read it.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    version = abi()
    handled = sum(rights for since, rights in _OF_FILES.items() if since <= version)
    attributes = _Ruleset(
        handled,
        _TCP if version >= _WITH_TCP else 0,
        _SIGNALS_AND_SOCKETS if version >= _WITH_SCOPE else 0,
    )
    size = 24 if version >= _WITH_SCOPE else 16 if version >= _WITH_TCP else 8
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
    try:
        for descriptor, rights in places:
            rule = _PathBeneath(rights, descriptor)
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        give_up_privileges()
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def give_up_privileges() -> None:
    """Have no program that this process starts gain rights; both walls demand it.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    if _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result
