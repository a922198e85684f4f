"""What a microscope can have measured: values beyond it are placeholders, or in another unit.

A value out of its range is left out of the core fields and named in the warnings; it stays among
the extensions. The ranges are wide: they are to catch a factor of a thousand, a -1 or a 1e+36, not
a rare experiment.

References
----------
- HVEM: the Hitachi H-3000 of Osaka works at 3 MV, the JEM-1300NEF of Fukuoka at 1.25 MV.
- SEM: scanning microscopes accelerate by at most 30 kV, helium-ion microscopes by 35 kV, and some
  transmission attachments by 60 kV.
- TEM stages: the eucentric goniometers of JEOL and Thermo Fisher travel +-1 to +-1.25 mm in x and
  y, and less than +-1 mm in z; no holder tilts beyond 90 degrees.
- SEM stages: those of the largest chambers (Tescan, Zeiss, Thermo Fisher) travel 150 to 300 mm.
- TEM: the lowest voltage of one that is made is 5 kV (LVEM 5); 0.2 kV are 200 kV in another unit.
- Scans: an image is scanned with ns to ms per pixel; spectra and 4D scans may take minutes at each.
- Magnification: TEMs reach 1.5e6 x, STEMs and SEMs indicate up to 1e8 x, light microscopes 1 x.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nexuslims_contracts.datasets import Axis, DatasetType
from nexuslims_contracts.metadata import FIELDS
from nexuslims_contracts.units import written_unit
from nexuslims_formats.json_tree import not_finite
from nexuslims_formats.quantities import converted, counts, is_not_finite, measures


@dataclass(frozen=True, slots=True)
class Range:
    """The values that a field may have, in its preferred unit.

    ``above`` is whether the lowest itself is excluded: zero then means "not measured".
    ``kinds`` are beginnings of data types, ``types`` dataset types, that the range is for; of
    several ranges of a field all that are for a dataset must hold.
    """

    field: str
    low: float
    high: float
    above: bool = False
    kinds: tuple[str, ...] = ()
    types: tuple[DatasetType, ...] = ()

    def concerns(self, dataset_type: str, data_type: str) -> bool:
        """Tell whether this range is for a dataset.

        Parameters
        ----------
        dataset_type
            Such as Image.
        data_type
            Such as TEM_Imaging.
        """
        return (not self.types or dataset_type in self.types) and (
            not self.kinds or data_type.startswith(self.kinds)
        )

    def holds(self, number: float) -> bool:
        """Tell whether a number lies within."""
        return (self.low < number if self.above else self.low <= number) and number <= self.high


_TEM: Final = ("TEM_", "STEM_")
_POSITIVE: Final = {
    "acceleration_voltage": 3500, "extraction_voltage": 50, "emission_current": 1e4,
    "filament_current": 100, "beam_current": 1e9, "probe_current": 1e8, "landing_energy": 3500,
    "condenser_aperture": 1e4, "objective_aperture": 1e4, "selected_area_aperture": 1e4,
    "convergence_angle": 2000, "collection_angle": 2000, "working_distance": 500,
    "temperature": 3000, "pressure": 1e6, "chamber_pressure": 1e6, "acquisition_time": 1e7,
    "exposure_time": 1e6, "dwell_time": 1e9, "frame_time": 1e7, "flyback_time": 1e8,
    "horizontal_field_width": 1e6, "vertical_field_width": 1e6, "live_time": 1e7,
    "real_time": 1e7, "process_time": 1e6, "detector_energy_resolution": 1e3, "channel_size": 5e3,
    "slit_width": 1e3, "dispersion": 1e3,
}  # fmt: skip
"""Fields that are above zero, and the most that they can be."""

RANGES: Final = (
    *(Range(field, 0, high, above=True) for field, high in _POSITIVE.items()),
    Range("acceleration_voltage", 0, 60, kinds=("SEM_", "FIB_", "HIM_")),
    Range("acceleration_voltage", 1, 3500, kinds=_TEM),
    Range("pixel_width", 1e-4, 1e6),
    Range("pixel_height", 1e-4, 1e6),
    Range("magnification", 0.1, 1e9),
    Range("camera_length", 1, 1e5),
    Range("defocus", -1e5, 1e5),
    Range("stage_x", -5e5, 5e5),
    Range("stage_x", -3e3, 3e3, kinds=_TEM),
    Range("stage_y", -5e5, 5e5),
    Range("stage_y", -3e3, 3e3, kinds=_TEM),
    Range("stage_z", -500, 500),
    Range("stage_z", -3, 3, kinds=_TEM),
    Range("stage_tilt", -180, 180),
    Range("stage_rotation", -720, 720),
    Range("stage_alpha", -180, 180),
    Range("stage_alpha", -90, 90, kinds=_TEM),
    Range("stage_beta", -180, 180),
    Range("scan_rotation", -720, 720),
    Range("dwell_time", 0, 1e6, types=("Image",)),
    Range("spot_size", 0, 1e4),
    Range("frames", 0, 1e9, above=True),
    Range("stage_bias", -1e5, 1e5),
    Range("energy_loss", -1e4, 1e5),
    Range("starting_energy", -1e3, 1e3),
    Range("elevation_angle", -90, 90),
    Range("takeoff_angle", -90, 90),
    Range("azimuthal_angle", -360, 360),
    Range("dead_time", 0, 1e7),
    Range("brightness", -1e3, 1e3),
    Range("contrast", -1e3, 1e3),
)
_PIXEL: Final = (1e-13, 1e-3)
"""Metres: no lens resolves less, and a pixel of more than a millimetre is in the wrong unit."""
_SCALE: Final = (1e-20, 1e15)
"""Of any axis, in its unit: beyond are placeholders, and bytes that are no number."""
_SAME: Final = 2.0
"""What is told twice may differ by rounding, or by binning, but not by a factor of thousand."""


def implausible(
    metadata: Mapping[str, Any], *, dataset_type: str, data_type: str
) -> Iterator[tuple[str, str]]:
    """Yield the fields whose values no microscope can have measured, and why, in words.

    Parameters
    ----------
    metadata
        Core fields in their normalised form.
    dataset_type
        Such as Image.
    data_type
        Such as TEM_Imaging.
    """
    seen: set[str] = set()
    for rule in RANGES:
        if rule.field not in metadata:
            continue
        value = metadata[rule.field]
        number = value.get("value") if isinstance(value, Mapping) else value
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if rule.field in seen or not rule.concerns(dataset_type, data_type) or rule.holds(number):
            continue
        seen.add(rule.field)
        unit = written_unit(FIELDS[rule.field].unit or "")
        limits = f"{'above' if rule.above else 'from'} {rule.low:g} to {rule.high:g} {unit}".strip()
        amount = f"{number:g} {unit}".strip()
        yield rule.field, f"{rule.field} of {amount} is not plausible ({limits})"


def without_number(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields of which the file says that they are no number, and how, in words.

    Parameters
    ----------
    metadata
        Core fields as an extractor read them.
    """
    for name, value in metadata.items():
        counted = name in FIELDS and FIELDS[name].kind in ("number", "quantity")
        number = value[0] if isinstance(value, tuple) else value
        written = not_finite(number) if isinstance(number, float) else str(number).strip()
        if counted and is_not_finite(written):
            yield name, f"{name} is left out: the file has {written}, which is no number"


def sound_axis(axis: Axis, dataset_type: str) -> tuple[Axis, str]:
    """Return an axis, without its scale where that is impossible, and what was wrong in words.

    Parameters
    ----------
    axis
        Of a dataset.
    dataset_type
        Of images, an axis that is a length spans the specimen.
    """
    name = axis.name or "without a name"
    plain = Axis(name=axis.name, size=axis.size, navigate=axis.navigate)
    if not (math.isfinite(axis.scale) and math.isfinite(axis.offset)):
        return plain, f"the scale of axis {name!r} is not finite"
    if axis.scale == 0:
        return plain, f"the scale of axis {name!r} is zero"
    if not _SCALE[0] <= abs(axis.scale) <= _SCALE[1] or abs(axis.offset) > _SCALE[1]:
        amount = f"{axis.scale:g} {written_unit(axis.unit)}".strip()
        place = f"from {axis.offset:g} along axis {name!r}"
        return plain, f"a scale of {amount} {place} is not plausible"
    metres = _metres(axis) if dataset_type == "Image" else None
    if metres is not None and not _PIXEL[0] <= metres <= _PIXEL[1]:
        length = f"{axis.scale:g} {written_unit(axis.unit)}"
        return plain, f"a pixel of {length} along axis {name!r} is not plausible"
    return axis, ""


def _metres(axis: Axis) -> float | None:
    """Return the scale of an axis as a length; None for what is only counted, or no length."""
    if counts(axis.unit):
        return None
    metres = converted((axis.scale, axis.unit), "m")
    return abs(metres) if metres is not None else None


def contradicting(metadata: Mapping[str, Any], axes: Sequence[Axis]) -> Iterator[tuple[str, str]]:
    """Yield the sizes of a pixel that are not those of the axes, and why, in words.

    Parameters
    ----------
    metadata
        Core fields in their normalised form.
    axes
        Those of the dataset.
    """
    for field, name in (("pixel_width", "x"), ("pixel_height", "y")):
        scales = [axis for axis in axes if axis.name == name and measures(axis.unit) == "length"]
        value = metadata.get(field)
        if not scales or not isinstance(value, Mapping):
            continue
        stated = converted((value["value"], value["unit"]), "m") or 0.0
        scale = abs(converted((scales[0].scale, scales[0].unit), "m") or 0.0)
        if not scale / _SAME <= stated <= scale * _SAME:
            stated_as = f"{field} of {value['value']:g} {written_unit(value['unit'])}"
            length = f"{scales[0].scale:g} {written_unit(scales[0].unit)}"
            yield field, f"{stated_as} contradicts the scale of axis {name!r}, {length}"
