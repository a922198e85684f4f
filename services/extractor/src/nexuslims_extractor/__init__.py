"""Metadata and previews of microscope files.

>>> from nexuslims_extractor import extract
>>> extract("image.dm3").datasets[0].metadata["acceleration_voltage"]  # doctest: +SKIP
{'value': 300.0, 'unit': 'kV'}
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexuslims_extractor.core import extract_file as extract

__all__ = ["extract"]


def __getattr__(name: str) -> Any:
    """Import the work on first use: the command line must start fast."""
    if name != "extract":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nexuslims_extractor.core import extract_file  # noqa: PLC0415 - the command line starts fast

    return extract_file
