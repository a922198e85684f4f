"""What a worker may open while it reads a file: its folder, and what Python needs.

Vendors' files name other files, and readers open them. A file must not make a worker read what lies
elsewhere or speak to the network. Python reports either before it happens
(https://docs.python.org/3/library/audit_events.html), to a hook that can refuse but never be
removed: so it is for worker processes only. Libraries that open files by themselves are not seen
(:mod:`nexuslims_formats.hdf5.links` looks at what HDF5 would follow).
"""

import os
import platform
import sys
import sysconfig
import zoneinfo
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nexuslims_formats.errors import UnsafeFileError
from nexuslims_formats.registry import installed

_NETWORK = frozenset(
    ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "urllib.Request")
)
_CHANGES = frozenset(
    (
        *("os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir"),
        *("os.symlink", "os.truncate", "os.utime", "os.setxattr", "os.removexattr"),
        *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"),
    )
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# what the system tells of processors, memory and this process; not /proc whole: the environment of
# processes is in it, and in that the secrets
_SYSTEM = (
    *("/dev/null", "/dev/urandom", "/sys/devices/system/cpu", "/etc/localtime", "/proc/sys"),
    *(f"/proc/{name}" for name in ("cpuinfo", "meminfo", "stat", "uptime", "loadavg", "version")),
    *(f"/proc/self/{name}" for name in ("stat", "statm", "status", "cgroup", "maps", "mountinfo")),
)
# what Python and numerical libraries read; everything else may be a secret
_ENVIRONMENT = frozenset(("PATH", "HOME", "LANG", "TZ", "TMPDIR", "XDG_CACHE_HOME"))
_ENVIRONMENT_PREFIXES = ("LC_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "COVERAGE_")


class Sandbox:
    """Refuses what a file's reader has no business with, as long as a file is being read."""

    def __init__(self) -> None:
        self._allowed: tuple[str, ...] = ()
        self._always: tuple[str, ...] = ()
        self._read_only = False

    def install(self) -> None:
        """Watch this process from now on, and empty its environment of all it does not need."""
        forget_environment()
        # both happen when a library is imported: Python keeps what it compiled, and h5py asks a
        # program for the processor, once
        sys.dont_write_bytecode = True
        platform.processor()
        self._always = tuple(_real(places_of_python()))
        sys.addaudithook(self._audit)

    @contextmanager
    def only(self, *places: Path, read_only: bool = False) -> Iterator[None]:
        """Let only these files and folders, and those of Python, be opened within the block.

        Parameters
        ----------
        places
            The files and folders.
        read_only
            Whether no file may be changed, and no program started.
        """
        self._allowed = (*_real(places), *self._always)
        self._read_only = read_only
        try:
            yield
        finally:
            self._allowed = ()

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._allowed:
            return
        if event == "open":
            self._check(arguments[0])
            if self._read_only and (arguments[2] or 0) & _WRITING:
                raise UnsafeFileError("its reader would write a file")
        elif self._read_only and event in _CHANGES:
            raise UnsafeFileError(f"its reader would change something ({event})")
        elif event in _NETWORK:
            raise UnsafeFileError("its reader would use the network")

    def _check(self, opened: object) -> None:
        if not isinstance(opened, str | bytes | os.PathLike):
            return  # a descriptor: what it belongs to was opened before
        path = os.path.realpath(os.fsdecode(opened))
        own = f"/proc/{os.getpid()}/"
        if path.startswith(own):  # of this process, which may be a fork of the one that began
            path = f"/proc/self/{path.removeprefix(own)}"
        if not any(path == place or path.startswith(place + os.sep) for place in self._allowed):
            raise UnsafeFileError(f"the file refers to {path!r}, outside its folder")


def forget_environment() -> None:
    """Empty this process's environment of all that Python and numerical libraries do not read."""
    for variable in list(os.environ):
        if variable not in _ENVIRONMENT and not variable.startswith(_ENVIRONMENT_PREFIXES):
            del os.environ[variable]


def _real(places: Iterable[str | Path]) -> Iterator[str]:
    """Return places with links followed; the root itself would allow everything."""
    for place in places:
        real = str(place) if str(place).startswith("/proc/self/") else os.path.realpath(place)
        if real != os.sep:
            yield real


def places_of_python() -> Iterator[str]:
    """Yield the files and folders of Python, of what is installed, and of the system's facts.

    Not the working folder, though ``python -m`` puts it on the path: it is the facility's.
    """
    here = os.path.realpath(os.curdir)
    yield from (place for place in sys.path if place and os.path.realpath(place) != here)
    yield from sysconfig.get_paths().values()
    yield from (sys.prefix, sys.base_prefix)
    yield from zoneinfo.TZPATH
    yield from _SYSTEM
    yield from map(str, _places_of_plugins())


def _places_of_plugins() -> Iterator[Path]:
    """Yield the folders of the plugins: one installed for development may lie anywhere."""
    for plugin in installed():
        if found := getattr(sys.modules.get(type(plugin).__module__), "__file__", None):
            yield Path(found).parent
