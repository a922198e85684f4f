"""What EPU and Tomography of Thermo Fisher write beside an image: ``NAME.xml`` beside ``NAME.mrc``.

References
----------
``MicroscopeImage`` as EPU 1 to 3 serialise it: voltages in V, lengths and stage positions in m,
angles in rad, times in s and in ISO 8601; CustomData are pairs of a key and a value.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import Value
from nexuslims_formats.mrc.extended import Acquisition
from nexuslims_formats.quantities import NUMBER, TEXT, Row, mapped, number
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.times import moment
from nexuslims_formats.trees import nested, parse_xml, xml_tree
from nexuslims_formats.values import leaves

_ROOT: Final = "MicroscopeImage"
_LARGEST: Final = 4 << 20
_DATA: Final = "microscopeData"
_SEARCHED: Final = 512
"""Bytes in which the root of the XML is looked for."""
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", f"{_DATA}/gun/AccelerationVoltage", "V"),
    ("extraction_voltage", f"{_DATA}/gun/ExtractorVoltage", "V"),
    ("magnification", f"{_DATA}/optics/TemMagnification/NominalMagnification", "x"),
    ("spot_size", f"{_DATA}/optics/SpotIndex", NUMBER),
    ("defocus", f"{_DATA}/optics/Defocus", "m"),
    ("convergence_angle", f"{_DATA}/optics/BeamConvergence", "rad"),
    ("slit_width", f"{_DATA}/optics/EnergyFilter/EnergySelectionSlitWidth", "eV"),
    ("stage_x", f"{_DATA}/stage/Position/X", "m"),
    ("stage_y", f"{_DATA}/stage/Position/Y", "m"),
    ("stage_z", f"{_DATA}/stage/Position/Z", "m"),
    ("stage_alpha", f"{_DATA}/stage/Position/A", "rad"),
    ("stage_beta", f"{_DATA}/stage/Position/B", "rad"),
    ("exposure_time", f"{_DATA}/acquisition/camera/ExposureTime", "s"),
    ("acquisition_device", f"{_DATA}/acquisition/camera/Name", TEXT),
    ("illumination_mode", f"{_DATA}/optics/IlluminationMode", TEXT),
    ("microscope", f"{_DATA}/instrument/InstrumentModel", TEXT),
    ("software", f"{_DATA}/core/ApplicationSoftware", TEXT),
    ("pixel_width", "SpatialScale/pixelSize/x/numericValue", "m"),
    ("pixel_height", "SpatialScale/pixelSize/y/numericValue", "m"),
)
_WHERE_ZERO_IS_NONE: Final = {"slit_width", "exposure_time", "magnification", "convergence_angle"}


def epu_beside(path: Path) -> Acquisition:
    """Return what the XML beside an image tells; nothing where there is none of EPU's.

    Parameters
    ----------
    path
        The image.

    Raises
    ------
    UnreadableFileError
        It is damaged.
    UnsafeFileError
        It is a link that leads outside its folder.
    """
    sidecar = path.with_suffix(".xml")
    if not is_usable(sidecar) or sidecar.stat().st_size > _LARGEST:
        return Acquisition()
    raw = sidecar.read_bytes()
    if _ROOT.encode() not in raw[:_SEARCHED]:
        return Acquisition()
    try:
        tree = xml_tree(parse_xml(raw))
    except UnreadableFileError as error:
        raise UnreadableFileError(f"{sidecar.name}: {error}") from None
    return _described(tree) if isinstance(tree, dict) else Acquisition()


def _described(tree: dict[str, Any]) -> Acquisition:
    look_up = nested(tree)
    rows = [row for row in _FIELDS if row[0] not in _WHERE_ZERO_IS_NONE or number(look_up(row[1]))]
    metadata: dict[str, Value] = dict(mapped(look_up, rows))
    down, across = (number(look_up(f"{_DATA}/acquisition/camera/Binning/{one}")) for one in "yx")
    if down and across:
        metadata["binning"] = f"{across:g} x {down:g}"
    custom = dict(_pairs(tree.get("CustomData")))
    known = {
        name: tree[name] for name in (_DATA, "SpatialScale") if isinstance(tree.get(name), dict)
    }
    when = look_up(f"{_DATA}/acquisition/acquisitionDateTime")
    return Acquisition(
        metadata=metadata,
        extensions=dict(leaves(known | {"custom": custom}, "epu")),
        acquired=moment("acquisitionDateTime", when),
        diffraction=look_up(f"{_DATA}/optics/ProjectorMode") == "Diffraction",
        scanning="stem" in str(look_up(f"{_DATA}/optics/ColumnOperatingMode") or "").lower(),
    )


def _pairs(custom: object) -> list[tuple[str, Any]]:
    """Return the keys and values of CustomData; numbers as such."""
    entries = custom.values() if isinstance(custom, Mapping) else ()
    found = []
    for entry in entries:
        if isinstance(entry, Mapping) and isinstance(entry.get("Value"), str):
            amount = number(entry["Value"])
            is_number = amount is not None and math.isfinite(amount)
            found.append((str(entry.get("Key")), amount if is_number else entry["Value"]))
    return found
