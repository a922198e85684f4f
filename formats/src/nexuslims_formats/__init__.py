"""Reads microscope files: datasets with metadata in agreed units, lazy pixels, previews.

>>> from nexuslims_formats import read
>>> image = read("image.dm3")  # doctest: +SKIP
>>> image.outcome, image.datasets[0].metadata["acceleration_voltage"]  # doctest: +SKIP
('extracted', {'value': 300.0, 'unit': 'kV'})
>>> image.pixels(0).shape  # doctest: +SKIP
(2048, 2048)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexuslims_formats.model import InstrumentContext
    from nexuslims_formats.reading import Reading, get_full_meta, read

__all__ = ["InstrumentContext", "Reading", "get_full_meta", "read"]


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use: the package alone costs next to nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nexuslims_formats import model, reading  # noqa: PLC0415 - see above

    return getattr(model if name == "InstrumentContext" else reading, name)
