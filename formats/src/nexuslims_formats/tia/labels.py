"""The label, value and unit triples with which FEI's TEM software describes an experiment."""

from typing import Any

from nexuslims_formats.model import Value
from nexuslims_formats.quantities import NUMBER, Row, mapped
from nexuslims_formats.values import leaves

# (field, label, unit where the file tells none)
_LABELS: tuple[Row, ...] = (
    ("acceleration_voltage", "High tension", "kV"),
    ("extraction_voltage", "Extraction voltage", "V"),
    ("emission_current", "Emission", "uA"),
    ("defocus", "Defocus", "um"),
    ("magnification", "Magnification", "x"),
    ("camera_length", "Camera length", "m"),
    ("scan_rotation", "Stem rotation", "degree"),
    ("spot_size", "Spot size", NUMBER),
    ("stage_x", "Stage X", "um"),
    ("stage_y", "Stage Y", "um"),
    ("stage_z", "Stage Z", "um"),
    ("stage_alpha", "Stage A", "degree"),
    ("stage_beta", "Stage B", "degree"),
)


def read_labels(root: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Return the values and the units of every ``Data`` element below an XML element."""
    labels: dict[str, str] = {}
    units: dict[str, str] = {}
    for entry in root.iter("Data"):
        label = (entry.findtext("Label") or "").strip()
        if label:
            labels[label] = (entry.findtext("Value") or "").strip()
            units[label] = (entry.findtext("Unit") or "").strip()
    return labels, units


def label_metadata(labels: dict[str, str], units: dict[str, str]) -> dict[str, Value]:
    """Return the core fields among the labels.

    Parameters
    ----------
    labels
        Value by label, as written.
    units
        Unit by label, as written.
    """

    def value_with_unit(label: str) -> str:
        return f"{labels.get(label, '')} {units.get(label, '')}"

    metadata: dict[str, Value] = dict(mapped(value_with_unit, _LABELS))
    if label_mode(labels)[1]:  # what a pattern has is a camera length
        metadata.pop("magnification", None)
    if mode := labels.get("Mode"):
        metadata["illumination_mode"] = mode
    if user := labels.get("User"):
        metadata["operator"] = user
    if microscope := labels.get("Microscope"):
        metadata["microscope"] = microscope.removeprefix("Microscope ").strip()
    if gun := labels.get("Gun type"):
        metadata["electron_source"] = gun
    return metadata


def label_extensions(labels: dict[str, str]) -> dict[str, Any]:
    """Return every label under the vendor's prefix."""
    return dict(leaves(labels, "fei"))


def label_mode(labels: dict[str, str]) -> tuple[str, bool]:
    """Return ``STEM`` or ``TEM``, and whether a camera saw a diffraction pattern."""
    mode = labels.get("Mode", "")
    kind = "STEM" if "STEM" in mode else "TEM"
    return kind, "Diffraction" in mode and kind == "TEM"
