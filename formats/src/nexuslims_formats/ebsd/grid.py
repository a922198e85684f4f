"""The points of an EBSD map, and the signal that stands for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.model import Moment, Signal, Value

if TYPE_CHECKING:
    import numpy as np

DATA_TYPE: Final = "SEM_EBSD"


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows and columns of a map, and the distance between its points.

    ``even`` is the length of every second row of a hexagonal grid; ``columns`` that of the first.
    """

    rows: int
    columns: int
    step_y: float | None = None
    """In um; None where it is not told."""
    step_x: float | None = None
    even: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns of the picture that holds all points."""
        return self.rows, max(self.columns, self.even or 0)

    def lengths(self) -> list[int]:
        """Return how many points each row has."""
        even = self.columns if self.even is None else self.even
        return [even if row % 2 else self.columns for row in range(self.rows)]

    def arrange(self, values: "np.ndarray") -> "np.ndarray":
        """Return the values of all points as rows and columns; NaN where there is no point.

        Parameters
        ----------
        values
            One for each point, row after row; those that are missing at the end are gaps.
        """
        import numpy as np  # noqa: PLC0415 - previews only

        picture = np.full(self.shape, np.nan, np.float32)
        at = 0
        for row, length in enumerate(self.lengths()):
            part = values[at : at + length]
            picture[row, : len(part)] = part
            at += length
        return picture

    def axes(self) -> tuple[Axis, ...]:
        """Return the axes of the map."""
        steps = zip(("y", "x"), self.shape, (self.step_y, self.step_x), strict=True)
        return tuple(
            Axis(name=name, size=size, scale=step, unit="um", navigate=True)
            if step
            else Axis(name=name, size=size, navigate=True)
            for name, size, step in steps
        )

    def extensions(self) -> dict[str, dict[str, float | str]]:
        """Return the distances between points, for data whose pixels are something else."""
        steps = {"ebsd_step_y": self.step_y, "ebsd_step_x": self.step_x}
        return {name: {"value": step, "unit": "um"} for name, step in steps.items() if step}

    def core_fields(self) -> dict[str, Value]:
        """Return the size of a point as that of a pixel."""
        found: dict[str, Value] = {}
        if self.step_y:
            found["pixel_height"] = (self.step_y, "um")
        if self.step_x:
            found["pixel_width"] = (self.step_x, "um")
        return found


def map_signal(
    name: str,
    grid: Grid,
    *,
    metadata: Mapping[str, Value],
    extensions: Mapping[str, Any],
    pixels: "Callable[[], np.ndarray] | None",
    acquired: Moment | None = None,
    problems: tuple[str, ...] = (),
) -> Signal:
    """Return the signal of a map; its picture is one quality of the patterns at each point.

    Parameters
    ----------
    name
        Of the dataset.
    grid
        The points.
    metadata, extensions
        What is known of the scan.
    pixels
        Opens the picture.
    acquired
        When the scan was made.
    problems
        What of the map is missing.
    """
    warnings = ("operator",) if "operator" in metadata else ()
    return Signal(
        name=name,
        dataset_type="Image",
        data_type=DATA_TYPE,
        shape=grid.shape,
        dtype="float32",
        axes=grid.axes(),
        metadata={**metadata, **grid.core_fields()},
        extensions=extensions,
        warnings=warnings,
        acquired=acquired,
        pixels=pixels,
        problems=problems,
    )
