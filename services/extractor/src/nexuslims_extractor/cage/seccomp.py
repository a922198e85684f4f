"""seccomp: a filter of system calls that a process gives itself for good, without being root.

See seccomp(2). The filter is a program for the kernel's classic BPF machine: it goes through the
calls that are refused one by one, and lets all others pass. Refused calls fail with EPERM, so a
library that tries one goes on.
"""

import ctypes
import errno
import fcntl
import os
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from nexuslims_extractor.cage import syscalls
from nexuslims_extractor.cage.landlock import give_up_privileges

Instruction: TypeAlias = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""

_LOAD: Final = 0x20
_IF_EQUAL: Final = 0x15
_IF_AT_LEAST: Final = 0x35
_IF_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

_NUMBER: Final = 0
_ARCHITECTURE: Final = 4
_FIRST_ARGUMENT: Final = 16

_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_REFUSE: Final = 0x00050000 | errno.EPERM
_ABSENT: Final = 0x00050000 | errno.ENOSYS

_X32: Final = 0x40000000
"""Calls of the x32 ABI have this bit; nobody here uses it."""
_ARCHITECTURES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""Machine -> the kernel's name for it, and the column in the tables."""
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_THREAD: Final = 0x00010000
_ASKED_OF_DEVICES: Final = (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONCLEX and FIOCLEX: what Python and the C library need of ioctl.

All others are refused: TIOCSTI types into a terminal, FS_IOC_SETFLAGS marks files.
"""
_SET_OF_DESCRIPTORS: Final = (8, 10, 15, 1024, 1026)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE and F_NOTIFY: signals to others, files held back."""
_SHARED, _ANONYMOUS = 0x01, 0x20
"""Together they are memory that RLIMIT_DATA does not count."""
_EXCLUSIVE: Final = fcntl.LOCK_EX
"""A lock on a file that keeps all others from locking it."""
_SET_FILTER: Final = 1
_KEEP_SPECULATION: Final = 4
"""Do not slow the process down against attacks on its own memory; newer kernels never do."""
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}

_libc: Final = ctypes.CDLL(None, use_errno=True)


class _Filter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filters", ctypes.POINTER(_Filter)))


def is_available() -> bool:
    """Tell whether this kernel filters, and this machine's calls are known."""
    return platform.machine() in _ARCHITECTURES and Path("/proc/sys/kernel/seccomp").exists()


def restrict() -> None:
    """Refuse this process programs, processes, the network, writing, and what is the machine's.

    It can go on with threads of its own, and signal itself. There is no way back.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    program = compile_filter(platform.machine(), os.getpid())
    filters = (_Filter * len(program))(*(_Filter(*one) for one in program))
    handed = _Program(len(program), filters)
    give_up_privileges()
    number = _SECCOMP[platform.machine()]
    if _libc.syscall(number, _SET_FILTER, _KEEP_SPECULATION, ctypes.byref(handed)):
        error = ctypes.get_errno()
        raise OSError(error, f"seccomp: {os.strerror(error)}")


def compile_filter(machine: str, pid: int) -> list[Instruction]:
    """Return the filter's program.

    Parameters
    ----------
    machine
        ``x86_64`` or ``aarch64``.
    pid
        The process, which may signal itself.
    """
    architecture, column = _ARCHITECTURES[machine]
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for name, numbers in syscalls.CONDITIONAL.items():
        if (number := numbers[column]) is not None:
            program += _guarded(number, _condition(name, pid))
    for number in _refused(column):
        program += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _refused(column: int) -> Iterator[int]:
    tables: Iterable[syscalls.Numbers] = (
        syscalls.PROGRAMS,
        syscalls.NETWORK,
        syscalls.PROCESSES,
        syscalls.FILES,
        syscalls.SYSTEM,
    )
    for table in tables:
        for numbers in table.values():
            if (number := numbers[column]) is not None:
                yield number


def _guarded(number: int, condition: list[Instruction]) -> list[Instruction]:
    """Return what decides on one call by its arguments."""
    return [(_IF_EQUAL, 0, len(condition), number), *condition]


def _condition(name: str, pid: int) -> list[Instruction]:
    """Return what decides on a call, once it is known to be that one."""
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)
    match name:
        case "open" | "openat":
            flags = 1 if name == "open" else 2
            return [_argument(flags), (_IF_ANY_BIT, 0, 1, _WRITING), refuse, allow]
        case "clone":
            return [_argument(0), (_IF_ANY_BIT, 1, 0, _THREAD), refuse, allow]
        case "clone3":  # its flags are out of a filter's sight; the C library then uses clone
            return [(_RETURN, 0, 0, _ABSENT)]
        case "kill" | "tgkill":
            return [_argument(0), (_IF_EQUAL, 1, 0, pid), refuse, allow]
        case "prlimit64":  # with new limits, wherever they are: half an address may be zero
            lower, upper = _argument(2), _argument(2, upper=True)
            return [lower, (_IF_EQUAL, 0, 2, 0), upper, (_IF_EQUAL, 1, 0, 0), refuse, allow]
        case "ioctl":
            return [_argument(1), *_if_among(_ASKED_OF_DEVICES), refuse, allow]
        case "fcntl":
            return [_argument(1), *_if_among(_SET_OF_DESCRIPTORS), allow, refuse]
        case "mmap":
            shared = (_IF_ANY_BIT, 0, 1, _SHARED)
            return [_argument(3), (_IF_ANY_BIT, 0, 2, _ANONYMOUS), shared, refuse, allow]
        case "flock":  # HDF5 shares its files with other readers
            return [_argument(1), (_IF_ANY_BIT, 0, 1, _EXCLUSIVE), refuse, allow]
        case _:
            raise AssertionError(name)


def _if_among(values: tuple[int, ...]) -> Iterator[Instruction]:
    """Return what passes over the instruction that follows, if the argument is one of these."""
    for left in range(len(values), 0, -1):
        yield (_IF_EQUAL, left, 0, values[-left])


def _argument(index: int, *, upper: bool = False) -> Instruction:
    """Return what loads half of an argument; both machines have the lower one first."""
    return (_LOAD, 0, 0, _FIRST_ARGUMENT + 8 * index + 4 * upper)
