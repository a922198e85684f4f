"""Forms in which a record can be downloaded, each a plugin of the group below."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.plugins import installed
from nexuslims_shared.context import ServiceContext

GROUP: Final = "nexuslims.record_formats"
"""Entry point group: ending of the file's name -> its :class:`RecordFormat`."""

Write: TypeAlias = Callable[[ServiceContext, str, ArtifactRef], Awaitable[bytes]]
"""Makes the file, from the session and the artifact of its current record."""


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """A form in which a record can be downloaded; ``label`` names it for people."""

    label: str
    media_type: str
    write: Write


def record_formats() -> dict[str, RecordFormat]:
    """Return the installed forms, by the ending of the file's name."""
    return {ending: plugin.load() for ending, plugin in sorted(installed(GROUP).items())}
