"""Bruker ``.spx``: an EDS spectrum as XML, with numbers as the computer's locale writes them.

References
----------
Names and units measured on files of Esprit: energies in keV, the calibration in keV, times in ms,
angles in degrees, the working distance in mm; lists are separated by commas in every locale.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.energy import calibration, energy_axis, microscope_kind
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.locales.numbers import has_decimal_commas
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.quantities import TEXT, Row, mapped, quantity
from nexuslims_formats.times import moment
from nexuslims_formats.trees import nested, parse_xml, xml_tree
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import numpy as np

_MARK = b"TRTSpectrum"
_MARKS_OF_ORDER = b"\xef\xbb\xbf\xff\xfe \r\n\t"
_LARGEST = 64 << 20
_MOST_CHANNELS = 1 << 20
_PARTS = {
    "TRTSpectrumHardwareHeader": "Hardware", "TRTDetectorHeader": "Detector",
    "TRTESMAHeader": "Analysis", "TRTSpectrumHeader": "Spectrum", "TRTXrfHeader": "Xrf",
}  # fmt: skip
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Analysis/PrimaryEnergy", "kV"),
    ("acceleration_voltage", "Xrf/Voltage", "kV"),
    ("elevation_angle", "Analysis/ElevationAngle", "degree"),
    ("elevation_angle", "Xrf/ExcitationAngle", "degree"),
    ("azimuthal_angle", "Analysis/AzimutAngle", "degree"),
    ("magnification", "Analysis/Magnification", "x"),
    ("working_distance", "Analysis/WorkingDistance", "mm"),
    ("real_time", "Hardware/RealTime", "ms"),
    ("live_time", "Hardware/LifeTime", "ms"),
    ("detector_type", "Detector/Type", TEXT),
)
_TABLES = ("ResponseFunction", "DetLayers", "ShiftData", "WindowLayers")
"""Models of the detector: kept in the metadata artifact only."""


class BrukerSpxExtractor:
    """Reads the headers and the channels."""

    name = "bruker_spx"
    version = "1.0"
    priority = 100
    extensions = ("spx", "xml")
    endings = ("spx",)
    """Any software writes XML."""

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the name of the root element."""
        del path
        text = head.replace(b"\0", b"").lstrip(_MARKS_OF_ORDER)
        return text.startswith(b"<") and _MARK in text

    def open(self, path: Path) -> ParsedFile:
        """Read the XML; a header that is not there costs its fields."""
        if path.stat().st_size > _LARGEST:
            raise LimitExceededError(f"an spx file of more than {_LARGEST >> 20} MiB")
        root = parse_xml(path.read_bytes())
        spectrum = root.find("./ClassInstance[@Type='TRTSpectrum']")
        if spectrum is None or spectrum.find("./Channels") is None:
            raise UnreadableFileError("the file holds no spectrum")
        tree = spectrum_tree(spectrum)
        channels, problems = _channels(spectrum.findtext("./Channels") or "", tree)
        look_up = nested(tree)
        metadata: dict[str, Value] = dict(mapped(look_up, _FIELDS))
        axis = _axis(look_up, len(channels))
        metadata |= calibration([axis])
        kind = microscope_kind(metadata.get("acceleration_voltage"))
        signal = Signal(
            name=spectrum.get("Name") or path.stem,
            dataset_type="Spectrum",
            data_type=f"{kind}_EDS",
            shape=(len(channels),),
            dtype="uint64",
            axes=(axis,),
            metadata=metadata,
            extensions=dict(leaves(short_tree(tree), "bruker")),
            acquired=moment("spectrum header", look_up("Spectrum/Date"), look_up("Spectrum/Time")),
            pixels=_opener(channels),
            problems=tuple(problems),
        )
        return ParsedFile(signals=[signal], native=tree, reader=f"spx {self.version}")


def spectrum_tree(spectrum: Any) -> dict[str, Any]:
    """Return what is told of a spectrum: its detector, analysis, calibration, times."""
    return {
        part: xml_tree(element)
        for kind, part in _PARTS.items()
        if (element := spectrum.find(f".//ClassInstance[@Type='{kind}']")) is not None
    }


def short_tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of a spectrum without the models of its detector."""
    return {part: _without_tables(values) for part, values in tree.items()}


def _without_tables(values: Any) -> Any:
    if not isinstance(values, Mapping):
        return values
    return {name: value for name, value in values.items() if not name.startswith(_TABLES)}


def _channels(text: str, tree: Mapping[str, Any]) -> tuple[list[int], list[str]]:
    """Return the counts, and what is missing of them in words."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if len(words) > _MOST_CHANNELS:
        raise LimitExceededError(f"the spectrum has {len(words)} channels")
    if not words or not all(word.lstrip("-").isdecimal() for word in words):
        raise UnreadableFileError("the spectrum is no list of whole numbers")
    counts = [max(0, int(word)) for word in words]
    claimed = quantity(nested(tree)("Spectrum/ChannelCount"))
    if claimed and len(counts) < claimed[0]:
        return counts, [f"the spectrum has {len(counts)} of its {claimed[0]:g} channels"]
    return counts, []


def _axis(look_up: Callable[[str], Any], size: int) -> Axis:
    texts = [look_up(f"Spectrum/{name}") for name in ("CalibLin", "CalibAbs", "SigmaAbs")]
    comma = has_decimal_commas(text for text in texts if isinstance(text, str))
    scale, offset = (quantity(text, "keV", comma=comma) for text in texts[:2])
    return energy_axis(size, scale[0] if scale else None, offset[0] if offset else None, "keV")


def _opener(counts: list[int]) -> "Callable[[], np.ndarray]":
    def open_pixels() -> "np.ndarray":
        import numpy as np  # noqa: PLC0415 - previews only

        return np.asarray(counts, dtype=np.uint64)

    return open_pixels
