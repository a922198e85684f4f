"""Parameters of a record, grouped for people; what no group has is the vendor's."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nexuslims_contracts.metadata.fields import FIELDS
from nexuslims_contracts.record.model import Parameter

_GROUPS: Final[dict[str, str]] = {
    "Beam": "electron_source acceleration_voltage extraction_voltage emission_current"
    " filament_current beam_current probe_current landing_energy stage_bias spot_size",
    "Optics": "condenser_aperture objective_aperture selected_area_aperture convergence_angle"
    " collection_angle magnification camera_length working_distance defocus illumination_mode"
    " energy_loss slit_width dispersion",
    "Stage": "stage_x stage_y stage_z stage_tilt stage_rotation stage_alpha stage_beta",
    "Environment": "temperature pressure chamber_pressure",
    "Detector": "detector_type acquisition_device binning brightness contrast azimuthal_angle"
    " elevation_angle takeoff_angle detector_energy_resolution process_time",
    "Acquisition": "acquisition_time exposure_time frames dwell_time frame_time flyback_time"
    " scan_rotation horizontal_field_width vertical_field_width pixel_width pixel_height"
    " tilt_correction dynamic_focus_correction live_time real_time dead_time channel_size"
    " starting_energy data_dimensions",
    "Instrument": "microscope software instrument_id operator specimen signal_name data_type",
}
_GROUP_OF: Final = {
    FIELDS[name].display_name: title for title, names in _GROUPS.items() for name in names.split()
}
_OTHERS: Final = "Further"


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that belong together."""

    title: str
    parameters: list[Parameter]


@dataclass(frozen=True, slots=True)
class Grouped:
    """The parameters of the schema, by group, and those that only the vendor has."""

    groups: list[Group]
    further: list[Parameter]


def grouped(parameters: Iterable[Parameter]) -> Grouped:
    """Group parameters, the groups in the order in which an electron meets them."""
    by_title: dict[str, list[Parameter]] = {title: [] for title in (*_GROUPS, _OTHERS)}
    for parameter in parameters:
        by_title[_GROUP_OF.get(parameter.name, _OTHERS)].append(parameter)
    further = by_title.pop(_OTHERS)
    return Grouped([Group(title, some) for title, some in by_title.items() if some], further)
