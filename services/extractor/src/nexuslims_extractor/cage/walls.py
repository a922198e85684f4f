"""Which walls this host has, and putting them up around a process."""

import os
import re
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from nexuslims_extractor.cage import identity, landlock, seccomp
from nexuslims_formats.errors import UnsafeFileError
from nexuslims_formats.rosettasciio.kinds import companion_of_log
from nexuslims_formats.sandbox import places_of_python

_SYSTEM_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
_FAMILY_ENDS: Final = "_-. "
"""What ends the part of a name that files of one acquisition share."""
_MOST_RELATIVES: Final = 64
"""More files than these are a series, of which none belongs to another."""
_LINKING: Final = (".h5", ".hdf5", ".nxs", ".emd", ".hspy")
"""Files that may be in parts, any number of them."""

Place: TypeAlias = tuple[int, int]
"""A descriptor of something that may be used, and the rights to it."""


@dataclass(frozen=True, slots=True)
class Walls:
    """The walls of the kernel that this host has.

    Parameters
    ----------
    landlock
        The version of Landlock; 0 if there is none.
    seccomp
        Whether system calls can be filtered.
    own_user
        Whether the reader can become a user of its own.
    namespaces
        Whether it can have namespaces of its own; not asked where it becomes another user.
    """

    landlock: int
    seccomp: bool
    own_user: bool = False
    namespaces: bool = False

    @classmethod
    def of_host(cls) -> "Walls":
        """Look what this host has."""
        version = landlock.abi()
        # without Landlock, the right to read would be one to read everything
        own_user = version > 0 and identity.is_available()
        namespaces = sys.platform == "linux" and os.geteuid() != 0 and identity.has_namespaces()
        return cls(version, seccomp.is_available(), own_user, namespaces)

    def present(self) -> list[str]:
        """Say what there is."""
        found = [f"Landlock {self.landlock}"] if self.landlock else []
        found += ["seccomp"] if self.seccomp else []
        found += ["a user of its own"] if self.own_user else []
        found += ["namespaces of its own"] if self.namespaces else []
        return [*found, "audit hook"]

    def lacking(self) -> list[str]:
        """Say what there is not, and what a reader that was taken over could do therefore."""
        found = []
        if not self.landlock:
            found.append("no Landlock (Linux 5.13): it could read what the service may read")
        if not self.seccomp:
            network = "" if self.namespaces else ", and use the network"
            found.append(f"no seccomp: it could start programs{network}")
        if not self.own_user and not self.seccomp:
            found.append("no user of its own (the service is not root): it could end the service")
        if not self.own_user and not self.namespaces:
            found.append(
                "no user and no namespaces of its own (the host or a container forbids these): it"
                " could start as many threads as the service may"
            )
        return found


_NAMING: Final = (".asw", ".spd", ".xml")
"""Files that name others of any name, of folders below theirs too (JEOL, EDAX, EMPAD)."""
_MOST_NAMES: Final = 16 << 20
"""Bytes of such a file in which names are looked for."""
_BETWEEN_NAMES: Final = re.compile(rb"[\x00-\x1f\"'<>:|*?/\\=]+")


@dataclass(slots=True)
class Cage:
    """What a reader may see whatever its file is; prepared once, and put up for each file."""

    walls: Walls = field(default_factory=Walls.of_host)
    _always: list[Place] = field(default_factory=list)

    def prepare(self) -> None:
        """Open what Python needs; a rule is for what was opened, not for a name."""
        if self.walls.landlock:
            self._always = open_places([*places_of_python(), *_SYSTEM_LIBRARIES])

    def close_around(self, file: Path, more: Iterable[Path], within: Iterable[Path]) -> None:
        """Put this process behind the walls: for good, so it must be one of its own.

        Parameters
        ----------
        file
            What is read.
        more
            Files and folders that may be read besides.
        within
            Folders of which the file must be in one, by where it really is; none: wherever.

        Raises
        ------
        UnsafeFileError
            If the file is not in one of the folders.
        OSError
            If a wall cannot be put up.
        """
        own = open_places([file])
        _require_within(own, [os.path.realpath(folder) for folder in within])
        if self.walls.landlock:
            beside = [(descriptor, landlock.LIST) for descriptor, _ in open_places([file.parent])]
            seen = open_places([*companions(file), *more, *_of_process()])
            self._become_stranger(file)
            landlock.restrict([*self._always, *own, *beside, *seen])
        else:
            self._become_stranger(file)
        if self.walls.seccomp:
            seccomp.restrict()

    def _become_stranger(self, file: Path) -> None:
        if self.walls.own_user:
            identity.become_nobody(file)
        elif self.walls.namespaces:
            identity.enter_namespaces()


def companions(file: Path) -> list[Path]:
    """Return what lies beside a file and may belong to it: its name begins in the same way.

    Parameters
    ----------
    file
        The file. ``scan_master.h5`` has ``scan_data_1.h5``, ``map.emi`` has ``map_1.ser``. In a
        long series a file has those of its own name and of the series' name: ``map_1.ser`` has
        ``map.emi``. The log of a holder has that of its experiment: ``heating_Heat raw.csv`` has
        ``heating_Metadata.log``.
    """
    if file.suffix.lower() == ".csv":
        return [companion_of_log(file)]
    if file.name.lower().endswith(_NAMING):
        return _named_in(file)
    stem = file.name.lower().rpartition(".")[0] or file.name.lower()
    family = _family(stem)
    with os.scandir(file.parent) as entries:
        found = [entry.name for entry in entries if entry.name.lower().startswith(family)]
    if len(found) > _MOST_RELATIVES:
        if file.name.lower().endswith(_LINKING):
            return [file.parent]
        found = [name for name in found if _is_close(name.lower(), stem, family)]
    return [file.with_name(name) for name in found]


def _named_in(file: Path) -> list[Path]:
    """Return what lies beside a file and is named in it, whatever its ending; folders whole.

    A map of EDAX names the picture ``image.bmp``, and ``image.ipr`` is read.
    """
    with file.open("rb") as content:
        words = content.read(_MOST_NAMES)
    plain = words.decode("utf-16", "ignore").encode() if _is_utf16(words) else words
    named = {_stem_of(word.strip()) for word in _BETWEEN_NAMES.split(plain)}
    own = _stem_of(os.fsencode(file.name))
    with os.scandir(file.parent) as entries:
        names = [entry.name for entry in entries]
    return [
        file.with_name(name)
        for name in names
        if any(one in named or one == own for one in _stems(name))
    ]


def _is_utf16(content: bytes) -> bool:
    """Tell by the byte order mark."""
    return content.startswith((b"\xff\xfe", b"\xfe\xff"))


def _stems(name: str) -> set[bytes]:
    """Return a name without its ending, in the encodings of the programs that name others."""
    encodings = ("utf-8", "cp932", "cp1252")
    raw = [os.fsencode(name), *(name.encode(one, "ignore") for one in encodings)]
    return {_stem_of(one) for one in raw} - {b""}


def _stem_of(name: bytes) -> bytes:
    return (name.rpartition(b".")[0] or name).lower()


def _is_close(name: str, stem: str, family: str) -> bool:
    return name.startswith(stem) or name.rpartition(".")[0] == family


def _family(stem: str) -> str:
    for at in range(len(stem) - 1, 0, -1):
        if stem[at] in _FAMILY_ENDS:
            return stem[:at]
    return stem


def open_places(places: Iterable[str | Path]) -> list[Place]:
    """Open files and folders for rules about them; what is not there is left out.

    Parameters
    ----------
    places
        Their paths; links are followed.

    Returns
    -------
    list of tuple
        Descriptors, which are not for reading, each with the rights to read all of it.
    """
    found = []
    for place in dict.fromkeys(map(os.fsdecode, places)):
        try:
            descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # no rule for it, so nobody reads it
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        found.append((descriptor, landlock.READ | landlock.LIST if is_folder else landlock.READ))
    return found


def _require_within(opened: Iterable[Place], folders: list[str]) -> None:
    """Refuse a file that is not where it was: a link may have been put in its place."""
    for descriptor, _ in opened:
        real = Path(f"/proc/self/fd/{descriptor}").readlink()
        inside = any(real.is_relative_to(folder) for folder in folders)
        if folders and not inside:
            raise UnsafeFileError(f"it leads out of its folder, to {str(real)!r}")


def _of_process() -> list[str]:
    """Return what a process may read about itself; not its environment."""
    names = ("stat", "statm", "status", "cgroup", "maps", "mountinfo")
    return [f"/proc/self/{name}" for name in names] if sys.platform == "linux" else []
