"""Which of rosettasciio's readers a file is for: by its ending, and by how it begins."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nexuslims_formats.hdf5.signature import SIGNATURE, is_hdf5
from nexuslims_formats.sidecars import is_usable


@dataclass(frozen=True, slots=True)
class Kind:
    """Files of an ending: the library's modules in the order to try, how such a file begins."""

    modules: tuple[str, ...]
    begins: re.Pattern[bytes]

    @property
    def is_hdf5(self) -> bool:
        """Whether it is an HDF5 file, whose content tells more."""
        return self.begins is _HDF5


_HDF5: Final = re.compile(re.escape(SIGNATURE))
_ZIP: Final = re.compile(rb"PK")
_ANY: Final = re.compile(rb"")
_QUADSTAR: Final = re.compile(
    rb".{8}[\x00-\x3b][\x00-\x3b][\x00-\x17][\x01-\x1f][\x01-\x0c][\x50-\xc7]", re.DOTALL
)
"""Quadstar's clock from byte 8: second, minute, hour, day, month and the years since 1900."""

KINDS: Final = {
    "app5": Kind(("topspin",), _HDF5),
    "h5": Kind(("delmic", "arina", "hspy"), _HDF5),
    "hdf5": Kind(("delmic", "hspy"), _HDF5),
    "hspy": Kind(("hspy",), _HDF5),
    "nxs": Kind(("nexus",), _HDF5),
    "emd": Kind(("emd",), _HDF5),
    "de5": Kind(("emd",), _HDF5),
    "zspy": Kind(("zspy",), re.compile(rb"PK|\s*\{")),
    "prz": Kind(("pantarhei",), _ZIP),
    "sur": Kind(("digitalsurf",), _ANY),
    "pro": Kind(("digitalsurf",), _ANY),
    "unf": Kind(("semper",), _ANY),
    "rpl": Kind(("ripple",), re.compile(rb"(?:\s*;[^\n]*\n)*\s*key\s", re.IGNORECASE)),
    "wdf": Kind(("renishaw",), re.compile(rb"WDF1")),
    "tvf": Kind(("trivista",), re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<")),
    "img": Kind(("hamamatsu",), re.compile(rb"IM")),
    "dens": Kind(("dens",), re.compile(rb"\s*[^\n]*\tDigiheater")),
    "xml": Kind(("jobinyvon",), re.compile(rb"[^\0]{0,200}<LSX_Data")),
    "sac": Kind(("quadstar",), _QUADSTAR),
    "sbc": Kind(("quadstar",), _QUADSTAR),
    # logs of holders: Protochips' and DENSsolutions'
    "csv": Kind(
        ("protochips", "impulse"),
        re.compile(rb"[^\n]*\bTime, ?Notes,|[^\n]*\bTimeStamp\b[^\n]*,[^\n]*,"),
    ),
}
ANYBODYS: Final = frozenset({"csv", "xml"})
"""Endings that any software uses."""


def kind_of(path: Path) -> Kind:
    """Return the kind of a file that :func:`is_known` knows; HDF5 under a name of its own too."""
    return KINDS.get(_ending(path), Kind((), _HDF5))


def is_known(path: Path, head: bytes) -> bool:
    """Tell whether a file is for one of the library's readers.

    Parameters
    ----------
    path
        The file; it is not opened.
    head
        How it begins.
    """
    if is_hdf5(head):  # whatever it is called: no reader of ours took it
        return True
    kind = KINDS.get(_ending(path))
    if kind is None or kind.is_hdf5 or kind.begins.match(head) is None:
        return False
    return kind is not KINDS["csv"] or b"TimeStamp" not in head or is_usable(companion_of_log(path))


def companion_of_log(path: Path) -> Path:
    """Return where the reader of DENSsolutions' logs looks for the date of the experiment.

    Without it the log is read as the text that it is.
    """
    return path.with_name(f"{path.name.rpartition('_')[0]}_Metadata.log")


def _ending(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")
