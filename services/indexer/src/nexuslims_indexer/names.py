"""Which names in a folder are files of sessions: by strategy, ignored patterns, kinds read."""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from itertools import chain
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from nexuslims_contracts.file_kinds import STORE_ENDINGS, STORE_HEAD, Companion, FileKinds

Strategy: TypeAlias = Literal["exclusive", "inclusive"]


DEFAULT_KINDS: Final = FileKinds(
    endings=(
        *("ali", "ang", "app5", "asw", "bcf", "blo", "bmp", "ctf", "de5", "dens", "dm3", "dm4"),
        *("dm5", "ebsp", "edaxh5", "eds", "eer", "elid", "emd", "ems", "emsa", "h5", "h5oina"),
        *("hdf5", "hspy", "img", "jpeg", "jpg", "map", "mas", "mdoc", "mib", "mrc", "mrcs", "msa"),
        *("ndata", "nhdf", "nxs", "png", "preali", "pro", "prz", "rec", "rpl", "sac", "sbc", "ser"),
        *("spc", "spd", "spx", "st", "sur", "tif", "tiff", "tvf", "tvips", "unf", "up1", "up2"),
        *("wdf", "zspy"),
    ),
    companions=(
        Companion(ending=".emi", of=("ser",), numbered=True),
        Companion(ending=".hdr", of=("mib",)),
        Companion(ending=".hdr", of=("tif", "tiff", "png")),
        Companion(ending=".ipr", of=("spd",)),
        Companion(ending=".mdoc", of=("mrc", "mrcs", "st", "rec", "ali", "map", "preali")),
        Companion(ending=".raw", of=("rpl",)),
        Companion(ending=".spc", of=("spd",)),
        Companion(ending=".xml", of=("mrc", "tif", "tiff", "eer")),
        Companion(ending=".txt", of=("tif", "tiff", "bmp", "jpg")),
    ),
)
"""What our own extractors read: assumed until an extractor has published what it reads."""


_NEVER_ENTERED: Final = frozenset(
    {
        *("lost+found", "system volume information", "$recycle.bin", "@eadir"),
        *("#recycle", "@recycle", "recycled", ".trash", ".trashes"),
        *("#snapshot", ".snapshot", ".snapshots", "~snapshot", ".zfs"),
        *("@recently-snapshot", "@snapshots"),
    }
)
"""What file servers keep for themselves: removed files, and earlier states of all files."""


def may_be_entered(folder: str) -> bool:
    """Tell whether a folder, by its name, may hold what instruments wrote."""
    lowered = folder.lower()
    return lowered not in _NEVER_ENTERED and not lowered.startswith(".trash-")


_OF_SYSTEMS: Final = re.compile(
    r"\._.*|\.ds_store|thumbs\.db|ehthumbs\.db|desktop\.ini|~\$.*"
    r"|\.nfs[0-9a-f]+|\.fuse_hidden[0-9a-f]+|\..+\.[a-z0-9]{6}",
    re.DOTALL,
)
"""What a Mac, Windows and Office keep beside files, names that network file systems give to removed
files that are still open, and those that ``rsync`` gives to files on their way."""


def is_of_systems(name: str) -> bool:
    """Tell by its name whether a file is nobody's, but kept by an operating or a file system."""
    return _OF_SYSTEMS.fullmatch(name.lower()) is not None


class Choice(NamedTuple):
    """Which names of a folder are files of sessions, and which are read beside each of them."""

    files: list[str]
    beside: Mapping[str, Sequence[str]] = MappingProxyType({})


class Names:
    """Chooses among the names of a folder.

    Parameters
    ----------
    strategy
        ``exclusive``: what the readers know; ``inclusive``: everything but companions.
    ignore
        Patterns of names that are never files of a session; case does not matter.
    kinds
        What the readers know.
    """

    def __init__(
        self, strategy: Strategy, ignore: Sequence[str] = (), kinds: FileKinds = DEFAULT_KINDS
    ) -> None:
        self.signature = repr(
            (strategy, tuple(ignore), kinds.endings, kinds.companions, _OF_SYSTEMS.pattern)
        )
        self._inclusive = strategy == "inclusive"
        self._kinds = kinds
        simple, others = _split(ignore)
        self._ignored_endings = simple
        self._is_ignored: Callable[[str], object] | None = (
            re.compile("|".join(map(translate, others))).match if others else None
        )
        self._by_ending: dict[str, bool] = {}
        self._companion_endings = tuple({one.ending for one in kinds.companions})
        self._companions: dict[str, list[Companion]] = {}
        for companion in kinds.companions:
            for ending in companion.of:
                self._companions.setdefault(ending, []).append(companion)

    def choose(self, names: Sequence[str]) -> Choice:
        """Choose what may be files of a session, of all names of one folder."""
        chosen = [name for name in names if self._has_wanted_ending(name)]
        if chosen and (self._inclusive or min(chosen) < "/"):  # "." is before it, letters are not
            chosen = [name for name in chosen if not is_of_systems(name)]
        if self._is_ignored is not None:
            chosen = [name for name in chosen if not self._is_ignored(name.lower())]
        beside = self._beside(names)
        if not beside:
            return Choice(chosen)
        companions = set(chain.from_iterable(beside.values()))
        files = [name for name in chosen if name not in companions]
        return Choice(files, {name: beside[name] for name in files if name in beside})

    def is_wanted(self, name: str) -> bool:
        """Tell whether a name may be that of a file of a session, by itself."""
        return bool(self.choose([name]).files)

    def choose_in(self, folder: str) -> Callable[[Sequence[str]], Choice]:
        """Return what picks the names of one folder.

        Parameters
        ----------
        folder
            Its path. Of one that is a single dataset the file is picked that stands for it.
        """
        if not is_store(folder):
            return self.choose
        is_wanted = self.is_wanted(folder.rpartition("/")[2])
        return lambda names: Choice([STORE_HEAD] if is_wanted and STORE_HEAD in names else [])

    def _has_wanted_ending(self, name: str) -> bool:
        ending = name[name.rfind(".") :] if "." in name else ""
        known = self._by_ending.get(ending)
        if known is None:
            lowered = ending.lower().removeprefix(".")
            known = (self._inclusive or lowered in self._kinds.endings) and (
                lowered not in self._ignored_endings or not ending
            )
            self._by_ending[ending] = known
        return known

    def _beside(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Return the companions of each file that has some; case does not matter."""
        endings = self._companion_endings
        suspects: dict[str, list[str]] = {}
        for name in names if endings else ():
            if (lowered := name.lower()).endswith(endings):
                suspects.setdefault(lowered, []).append(name)
        beside: dict[str, list[str]] = {}
        for name in names if suspects else ():
            lowered = name.lower()
            for companion in self._companions.get(lowered.rpartition(".")[2], ()):
                for other in companion.names_beside(lowered):
                    if other in suspects:
                        beside.setdefault(name, []).extend(suspects[other])
        return beside


def _split(patterns: Sequence[str]) -> tuple[frozenset[str], list[str]]:
    """Part the patterns that are about endings alone, such as ``*.mib``, from the others."""
    lowered = [pattern.lower() for pattern in patterns]
    simple = {one[2:] for one in lowered if re.fullmatch(r"\*\.[^.*?\[\]]+", one)}
    return frozenset(simple), [one for one in lowered if one.removeprefix("*.") not in simple]


def is_store(folder: str) -> bool:
    """Tell by its path whether a folder is one dataset, and no folder of files."""
    return folder.lower().endswith(STORE_ENDINGS)


def outside_stores(folder: str) -> str:
    """Return the path of the store that a folder is part of, or the folder's own."""
    steps = folder.split("/")
    ends = (index for index, step in enumerate(steps, 1) if is_store(step))
    return "/".join(steps[: next(ends, len(steps))])
