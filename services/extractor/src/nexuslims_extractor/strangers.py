"""Metadata files and previews in our places that another system wrote: they are kept."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nexuslims_shared.artifacts import keep_aside, resolve

_OURS: Final = re.compile(rb'"extractor":\s*\{[^{}]*"reader"')
"""Stands in every metadata file of ours, which says what read the file."""
_DOCUMENT: Final = ".json"
_PREVIEW: Final = ".thumb.png"


def keep_strangers(root: Path, artifacts: Mapping[str, bytes]) -> None:
    """Move files of another system out of the way of artifacts; what is the same stays.

    Nothing in a preview says who drew it: it is ours if the metadata file beside it is.

    Parameters
    ----------
    root
        The data folder.
    artifacts
        Contents that are to be written, by path below it.

    Raises
    ------
    DiskError
        If a file cannot be moved.
    """
    strange = [(place, new) for place, new in artifacts.items() if not _is_ours(root, place)]
    for place, new in strange:
        keep_aside(root, place, ours=new.__eq__)


def _is_ours(root: Path, place: str) -> bool:
    document = resolve(root, place.removesuffix(_PREVIEW).removesuffix(_DOCUMENT) + _DOCUMENT)
    try:
        return _OURS.search(document.read_bytes()) is not None
    except OSError:
        return False
