"""Which files the readers in use can read: the extractor publishes it, the indexer goes by it."""

import re
from typing import Annotated, Final

from pydantic import Field

from nexuslims_contracts.model import ContractModel

STORE_ENDINGS: Final = (".zspy",)
"""How folders are named that are one dataset; nothing in them is one of its own."""
STORE_HEAD: Final = ".zattrs"
"""The file in such a folder that stands for it: what the whole is, by the format's own rules."""

_NUMBERED: Final = re.compile(r"(.+)_\d+")


class Companion(ContractModel):
    """A file that belongs to another one of its folder, and is no dataset of its own.

    It has the name of the other, up to the endings; vendors also write ``image-tif.hdr`` and
    ``image.tif.hdr`` beside ``image.tif``.
    """

    ending: Annotated[str, Field(description="How its name ends, lower case: .hdr")]
    of: Annotated[
        tuple[str, ...], Field(description="Endings of files it belongs to, lower case, no dot")
    ]

    numbered: Annotated[
        bool, Field(description="Whether it belongs to a whole series, such as image_1, image_2")
    ] = False

    def names_beside(self, name: str) -> tuple[str, ...]:
        """Return how such a file of another one may be called, lower case; nothing if it has none.

        Parameters
        ----------
        name
            Of the other one, lower case.
        """
        stem, _, ending = name.rpartition(".")
        if not stem or ending not in self.of:
            return ()
        stems = [stem, name, f"{stem}-{ending}"]
        if self.numbered and (series := _NUMBERED.fullmatch(stem)):
            stems.append(series[1])
        return tuple([f"{one}{self.ending}" for one in stems])


class FileKinds(ContractModel):
    """What the readers in use can read."""

    endings: Annotated[
        tuple[str, ...], Field(description="Of files that they read, lower case, without the dot")
    ]
    companions: Annotated[
        tuple[Companion, ...], Field(description="Files that they read beside another one")
    ] = ()
