"""The fields of the normalised metadata: what each is called, means, and is measured in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from nexuslims_contracts.datasets import DatasetType
from nexuslims_contracts.glossary import TERMS, Term
from nexuslims_contracts.units import dimension_of, qudt_uri

Kind: TypeAlias = Literal["time", "choice", "text", "flag", "number", "quantity"]
Group: TypeAlias = Literal[
    "general", "beam", "optics", "stage", "environment", "detector", "acquisition"
]
"""What a field is about; records and pages have their parameters in this order."""

EVERY: tuple[DatasetType, ...] = get_args(DatasetType)
SIGNALS: tuple[DatasetType, ...] = ("Image", "Spectrum", "SpectrumImage", "Diffraction")
PIXELS: tuple[DatasetType, ...] = ("Image", "SpectrumImage", "Diffraction")
SPECTRA: tuple[DatasetType, ...] = ("Spectrum", "SpectrumImage")

REQUIRED = ("creation_time", "data_type", "dataset_type")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the metadata.

    ``kind`` says what its values are: a quantity has a ``unit``, the preferred one. ``group`` says
    what it is about.
    """

    name: str
    display_name: str
    description: str
    kind: Kind
    group: Group
    dataset_types: tuple[DatasetType, ...]
    unit: str | None = None
    term: Term | None = None

    @property
    def emg_id(self) -> str | None:
        """Id of the EM Glossary's term, if one fits."""
        return self.term.id if self.term else None

    @property
    def purl(self) -> str | None:
        """Permanent address of the EM Glossary's term, if one fits."""
        return self.term.purl if self.term else None

    @property
    def qudt(self) -> str | None:
        """URI of the preferred unit in QUDT."""
        return qudt_uri(self.unit) if self.unit else None

    @property
    def dimension(self) -> str | None:
        """What a quantity measures, for example ``voltage``."""
        return dimension_of(self.unit) if self.unit else None


def _table(
    rows: Sequence[tuple[str, str, int, str]], on: tuple[DatasetType, ...], group: Group
) -> tuple[Field, ...]:
    """Return fields from rows of name (with ``= display name``), kind or unit, term, meaning."""
    fields = []
    for named, unit_or_kind, term, description in rows:
        name, _, display_name = named.partition(" = ")
        is_kind = unit_or_kind in get_args(Kind)
        fields.append(
            Field(
                name=name,
                display_name=display_name or name.replace("_", " ").title(),
                description=description,
                kind=cast("Kind", unit_or_kind) if is_kind else "quantity",
                group=group,
                dataset_types=on,
                unit=None if is_kind else unit_or_kind,
                term=TERMS[f"EMG_{term:08}"] if term else None,
            )
        )
    return tuple(fields)


_GENERAL = _table([
    ("creation_time", "time", 0, "When the data were acquired, with the offset from UTC"),
    ("data_type", "text", 0, "Instrument mode and technique, such as STEM_EELS or SEM_Imaging"),
    ("dataset_type = DatasetType", "choice", 0, "Which kind of dataset it is"),
    ("data_dimensions", "text", 0, "Lengths of the array's axes, such as (2048, 2048)"),
    ("instrument_id = Instrument ID", "text", 0, "Name of the instrument at the facility"),
    ("microscope", "text", 0, "Model of the microscope"),
    ("software", "text", 0, "Program that acquired the data, with its version"),
    ("operator", "text", 0, "Who used the instrument, by the account of its software"),
    ("specimen", "text", 46, "What was examined, as the operator named it"),
    ("signal_name", "text", 0, "What the software calls this signal"),
], on=EVERY, group="general")  # fmt: skip

_BEAM = _table([
    ("electron_source", "text", 0, "Kind of gun, such as Schottky FEG or LaB6"),
    ("acceleration_voltage", "kV", 4, "Voltage that accelerates the beam's particles"),
    ("extraction_voltage", "kV", 26, "Voltage that draws the particles from the source"),
    ("emission_current", "uA", 25, "Current that leaves the source"),
    ("filament_current", "A", 27, "Current that heats the filament"),
    ("beam_current", "pA", 6, "Current of the beam in the column"),
    ("probe_current", "pA", 41, "Current of the beam where it meets the specimen"),
    ("landing_energy", "keV", 0, "Energy of the particles when they meet the specimen"),
    ("stage_bias", "V", 0, "Voltage of the specimen that slows the beam down"),
    ("spot_size", "number", 0, "Step of the condenser that sets the probe, as the software counts"),
], on=EVERY, group="beam")  # fmt: skip

_OPTICS = _table([
    ("condenser_aperture", "um", 0, "Diameter of the aperture in the condenser"),
    ("objective_aperture", "um", 0, "Diameter of the aperture in the objective lens"),
    ("selected_area_aperture", "um", 0, "Diameter of the aperture that selects an area"),
    ("convergence_angle", "mrad", 10, "Half angle of the cone of the incident beam"),
    ("collection_angle", "mrad", 0, "Half angle that the detector or spectrometer accepts"),
    ("magnification", "x", 0, "Magnification that the software indicates"),
    ("camera_length", "mm", 8, "Effective distance from the specimen to the diffraction pattern"),
    ("working_distance", "mm", 50, "Distance from the last lens to the specimen in focus"),
    ("defocus", "um", 0, "Distance of the focus from the specimen"),
    ("illumination_mode", "text", 0, "Mode of the illumination, such as TEM or STEM"),
    ("energy_loss", "eV", 0, "Energy loss to which the energy filter is set"),
    ("slit_width", "eV", 0, "Range of energies that the filter's slit lets through"),
    ("dispersion", "eV", 0, "Energy per channel to which the spectrometer is set"),
], on=EVERY, group="optics")  # fmt: skip

_STAGE = _table([
    ("stage_x", "um", 0, "Position of the stage along its x axis"),
    ("stage_y", "um", 0, "Position of the stage along its y axis"),
    ("stage_z", "mm", 0, "Height of the stage"),
    ("stage_tilt", "degree", 0, "Tilt of a stage that has one tilt axis"),
    ("stage_rotation", "degree", 0, "Rotation of the stage about its z axis"),
    ("stage_alpha", "degree", 0, "Tilt about the axis of the holder"),
    ("stage_beta", "degree", 0, "Tilt about the second axis of a double-tilt holder"),
], on=EVERY, group="stage")  # fmt: skip

_ENVIRONMENT = _table([
    ("temperature", "K", 0, "Temperature of the specimen"),
    ("pressure", "Pa", 0, "Pressure in the column"),
    ("chamber_pressure", "Pa", 0, "Pressure in the specimen chamber"),
], on=EVERY, group="environment")  # fmt: skip

_DETECTOR = _table([
    ("detector_type = Detector", "text", 0, "Detector that gave the signal"),
    ("acquisition_device", "text", 0, "Camera or digitiser that recorded the signal"),
], on=EVERY, group="detector")  # fmt: skip

_AMPLIFIER = _table([
    ("brightness", "%", 0, "Offset of the detector's amplifier"),
    ("contrast", "%", 0, "Gain of the detector's amplifier"),
], on=PIXELS, group="detector")  # fmt: skip

_SPECTROMETER = _table([
    ("process_time", "us", 0, "Time constant of the pulse processor"),
    ("detector_energy_resolution = Energy Resolution", "eV", 0,
     "Width of a peak, as a rule that of Mn K alpha"),
    ("azimuthal_angle", "degree", 0, "Angle of the detector about the beam"),
    ("elevation_angle", "degree", 0, "Angle of the detector above the plane of the stage"),
    ("takeoff_angle", "degree", 0, "Angle at which the detected rays leave the surface"),
], on=SPECTRA, group="detector")  # fmt: skip

_EXPOSURE = _table([
    ("acquisition_time", "s", 55, "Time that the whole acquisition took"),
    ("exposure_time", "s", 0, "Time that the detector collected for one frame or spectrum"),
    ("frames", "number", 0, "How many frames were added up or averaged"),
    ("binning", "text", 0, "Detector pixels read as one, such as 2 x 2"),
], on=EVERY, group="acquisition")  # fmt: skip

_SCAN = _table([
    ("dwell_time = Pixel Dwell Time", "us", 15, "Time that the beam stays on one point"),
    ("frame_time", "s", 34, "Time that one scan of the field takes"),
    ("flyback_time", "us", 28, "Time that the beam takes back to the start of a line"),
    ("scan_rotation", "degree", 0, "Angle by which the scan is turned"),
    ("horizontal_field_width", "um", 0, "Width of the area that is seen"),
    ("vertical_field_width", "um", 0, "Height of the area that is seen"),
], on=SIGNALS, group="acquisition")  # fmt: skip

_IMAGING = _table([
    ("pixel_width", "nm", 0, "Width of a pixel on the specimen"),
    ("pixel_height", "nm", 0, "Height of a pixel on the specimen"),
    ("tilt_correction", "flag", 47, "Whether the scan makes up for a tilted specimen"),
    ("dynamic_focus_correction = Dynamic Focus", "flag", 16,
     "Whether the focus follows the scan over a tilted specimen"),
], on=PIXELS, group="acquisition")  # fmt: skip

_SPECTRUM = _table([
    ("live_time", "s", 0, "Time that the detector was ready for events"),
    ("real_time", "s", 0, "Time by the clock, dead time included"),
    ("dead_time", "s", 54, "Time that the detector was busy with events"),
    ("channel_size", "eV", 0, "Width of one channel"),
    ("starting_energy", "keV", 0, "Energy of the first channel"),
], on=SPECTRA, group="acquisition")  # fmt: skip

FIELDS: dict[str, Field] = {
    field.name: field
    for table in (
        _GENERAL, _BEAM, _OPTICS, _STAGE, _ENVIRONMENT, _DETECTOR, _AMPLIFIER, _SPECTROMETER,
        _EXPOSURE, _SCAN, _IMAGING, _SPECTRUM,
    )
    for field in table
}  # fmt: skip
"""Every core field, by name, in the order in which records and pages have them."""


def fields_of(dataset_type: DatasetType) -> tuple[Field, ...]:
    """Return the fields that a dataset of a type can have."""
    return tuple(field for field in FIELDS.values() if dataset_type in field.dataset_types)
