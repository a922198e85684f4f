"""Which files the readers in use can read: the extractor publishes it, the indexer goes by it."""

from collections.abc import Collection
from typing import Annotated, Final

from pydantic import Field

from nexuslims_contracts.model import ContractModel

STORE_ENDINGS: Final = (".zspy",)
"""How folders are named that are one dataset; nothing in them is one of its own."""
STORE_HEAD: Final = ".zattrs"
"""The file in such a folder that stands for it: what the whole is, by the format's own rules."""


class Companion(ContractModel):
    """A file that belongs to another one of its folder, and is no dataset of its own.

    It has the name of the other, up to the endings; vendors also write ``image-tif.hdr`` and
    ``image.tif.hdr`` beside ``image.tif``.
    """

    ending: Annotated[str, Field(description="How its name ends, lower case: .hdr")]
    of: Annotated[
        tuple[str, ...], Field(description="Endings of files it belongs to, lower case, no dot")
    ]

    def belongs(self, name: str, names: Collection[str]) -> bool:
        """Tell whether a name is such a file's.

        Parameters
        ----------
        name
            A name in the folder, lower case.
        names
            All names in the folder, lower case.
        """
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


class FileKinds(ContractModel):
    """What the readers in use can read."""

    endings: Annotated[
        tuple[str, ...], Field(description="Of files that they read, lower case, without the dot")
    ]
    companions: Annotated[
        tuple[Companion, ...], Field(description="Files that they read beside another one")
    ] = ()
