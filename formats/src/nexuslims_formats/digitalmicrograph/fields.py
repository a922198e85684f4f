"""Where DigitalMicrograph keeps what we know, below the tags of an image."""

from nexuslims_formats.quantities import Row

FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Microscope Info/Voltage", "V"),
    ("magnification", "Microscope Info/Indicated Magnification", "x"),
    ("magnification", "Microscope Info/Actual Magnification", "x"),
    ("camera_length", "Microscope Info/STEM Camera Length", "mm"),
    ("emission_current", "Microscope Info/Emission Current (µA)", "uA"),
    ("probe_current", "Microscope Info/Probe Current (nA)", "nA"),
    ("horizontal_field_width", "Microscope Info/Field of View (µm)", "um"),
    ("stage_x", "Microscope Info/Stage Position/Stage X", "um"),
    ("stage_y", "Microscope Info/Stage Position/Stage Y", "um"),
    ("stage_z", "Microscope Info/Stage Position/Stage Z", "um"),
    ("stage_alpha", "Microscope Info/Stage Position/Stage Alpha", "degree"),
    ("stage_beta", "Microscope Info/Stage Position/Stage Beta", "degree"),
    ("exposure_time", "DataBar/Exposure Time (s)", "s"),
    ("exposure_time", "Acquisition/Parameters/High Level/Exposure (s)", "s"),
    ("exposure_time", "Acquisition/Parameters/Detector/exposure (s)", "s"),
    ("exposure_time", "EELS/Acquisition/Exposure (s)", "s"),
    ("exposure_time", "CL/Acquisition/Exposure (s)", "s"),
    ("flyback_time", "DigiScan/Flyback", "us"),
    ("scan_rotation", "DigiScan/Rotation", "degree"),
    ("acquisition_time", "EELS/Acquisition/Integration time (s)", "s"),
    ("acquisition_time", "CL/Acquisition/Integration time (s)", "s"),
    ("convergence_angle", "EELS/Experimental Conditions/Convergence semi-angle (mrad)", "mrad"),
    ("convergence_angle", "EELS/Convergence semi-angle (mrad)", "mrad"),
    ("collection_angle", "EELS/Experimental Conditions/Collection semi-angle (mrad)", "mrad"),
    ("collection_angle", "EELS/Collection semi-angle (mrad)", "mrad"),
    ("energy_loss", "EELS Spectrometer/Energy loss (eV)", "eV"),
    ("dispersion", "EELS Spectrometer/Dispersion (eV/ch)", "eV"),
    ("live_time", "EDS/Live time", "s"),
    ("real_time", "EDS/Real time", "s"),
    ("elevation_angle", "EDS/Detector Info/Elevation angle", "degree"),
    ("azimuthal_angle", "EDS/Detector Info/Azimuthal angle", "degree"),
    ("dwell_time", "CL/Acquisition/Dwell time (s)", "s"),
    ("slit_width", "EFTEM/Energy Filter/Slit width (eV)", "eV"),
)
"""Field, path, unit; the first one told wins, and zero means that it was not told."""

ZERO_COUNTS = {"scan_rotation", "stage_x", "stage_y", "stage_z", "stage_alpha", "stage_beta",
                "azimuthal_angle", "energy_loss"}  # fmt: skip
"""Fields of which zero is a value."""

TEXTS: tuple[tuple[str, str], ...] = (
    ("illumination_mode", "Microscope Info/Illumination Mode"),
    ("detector_type", "EDS/Detector Info/Detector type"),
    ("detector_type", "DataBar/Signal Name"),
    ("acquisition_device", "DataBar/Device Name"),
    ("acquisition_device", "Acquisition/Device/Name"),
    ("specimen", "Microscope Info/Specimen"),
    ("specimen", "Session Info/Specimen"),
    ("microscope", "Microscope Info/Microscope"),
    ("microscope", "Session Info/Microscope"),
    ("microscope", "Microscope Info/Name"),
    ("signal_name", "DataBar/Signal Name"),
    ("operator", "Microscope Info/Operator"),
    ("operator", "Session Info/Operator"),
)
"""Field and path of what is words."""

EXTENSION_GROUPS = (
    "Microscope Info", "DataBar", "DigiScan", "EELS", "EELS Spectrometer", "EDS", "CL", "EFTEM",
    "Meta Data", "Session Info", "SI/Acquisition", "Acquisition/Device",
    "Acquisition/Parameters/High Level", "Tecnai",
)  # fmt: skip
"""Groups of tags that are kept whole as extensions."""

BINNING = (
    "Acquisition/Parameters/High Level/Binning",
    "Acquisition/Parameters/Detector/binning",
    "DataBar/Binning",
)
"""Where the binning of a camera is: two numbers."""

KEPT_BOTH = {"Microscope Info/Actual Magnification", "Microscope Info/STEM Camera Length"}
"""Kept as extensions too, for a field may take another value in their stead."""
