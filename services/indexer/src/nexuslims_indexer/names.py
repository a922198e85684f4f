"""Which names in a folder are files of sessions: by strategy, ignored patterns, kinds read."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import Final, Literal, TypeAlias

Strategy: TypeAlias = Literal["exclusive", "inclusive"]


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that belongs to another file of its folder, and is no dataset of its own.

    Parameters
    ----------
    ending
        How its name ends, lower case: ``.hdr``.
    of
        Endings of the files it belongs to, which have the rest of its name, lower case, without
        the dot. Vendors also write ``image-tif.hdr`` beside ``image.tif``.
    """

    ending: str
    of: tuple[str, ...]

    def belongs(self, name: str, names: Collection[str]) -> bool:
        """Tell whether a name is a companion's, given all names of the folder in lower case."""
        if not name.endswith(self.ending):
            return False
        rest = name[: -len(self.ending)]
        return any(
            f"{rest}.{ending}" in names
            or (rest.endswith(f".{ending}") and rest in names)
            or (
                rest.endswith(f"-{ending}")
                and f"{rest.removesuffix(f'-{ending}')}.{ending}" in names
            )
            for ending in self.of
        )


@dataclass(frozen=True, slots=True)
class Kinds:
    """What the installed readers know.

    Parameters
    ----------
    endings
        Of files that they read, lower case, without the dot.
    companions
        Files that they read beside another one.
    """

    endings: frozenset[str]
    companions: tuple[Companion, ...] = ()


DEFAULT_KINDS: Final = Kinds(
    endings=frozenset(
        {
            *("dm3", "dm4", "dm5", "h5", "hdf5", "msa", "ser", "spc", "tif", "tiff", "emd", "bcf"),
            *("spx", "mrc", "blo", "tvips", "sur", "pro", "asw", "eds", "elid", "hspy", "zspy"),
            *("nxs", "prz", "unf", "app5", "emsa", "spd", "mib"),
        }
    ),
    companions=(
        Companion(".hdr", ("tif", "tiff", "png", "mib")),
        Companion(".txt", ("tif", "tiff", "bmp", "jpg")),
        Companion(".spc", ("spd",)),
        Companion(".ipr", ("spd",)),
    ),
)
"""What is assumed until an extractor has stated what it reads: the incumbent's list and more."""


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
        self, strategy: Strategy, ignore: Sequence[str] = (), kinds: Kinds = DEFAULT_KINDS
    ) -> None:
        self.signature = repr((strategy, tuple(ignore), sorted(kinds.endings), kinds.companions))
        self._inclusive = strategy == "inclusive"
        self._kinds = kinds
        simple, others = _split(ignore)
        self._ignored_endings = simple
        self._is_ignored: Callable[[str], object] | None = (
            re.compile("|".join(map(translate, others))).match if others else None
        )
        self._by_ending: dict[str, bool] = {}

    def wanted(self, names: Sequence[str]) -> list[str]:
        """Return the names that may be files of a session, of all names of one folder."""
        chosen = [name for name in names if self._has_wanted_ending(name)]
        if self._is_ignored is not None:
            chosen = [name for name in chosen if not self._is_ignored(name.lower())]
        return self._without_companions(chosen, names)

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

    def _without_companions(self, chosen: list[str], names: Sequence[str]) -> list[str]:
        endings = tuple(companion.ending for companion in self._kinds.companions)
        suspects = {name for name in chosen if name.lower().endswith(endings)} if endings else set()
        if not suspects:
            return chosen
        lowered = {name.lower() for name in names}
        return [
            name
            for name in chosen
            if name not in suspects
            or not any(one.belongs(name.lower(), lowered) for one in self._kinds.companions)
        ]


def _split(patterns: Sequence[str]) -> tuple[frozenset[str], list[str]]:
    """Part the patterns that are about endings alone, such as ``*.mib``, from the others."""
    lowered = [pattern.lower() for pattern in patterns]
    simple = {one[2:] for one in lowered if re.fullmatch(r"\*\.[^.*?\[\]]+", one)}
    return frozenset(simple), [one for one in lowered if one.removeprefix("*.") not in simple]
