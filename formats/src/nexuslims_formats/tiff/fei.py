"""FEI and Thermo Fisher TIFF: section text, XML, or the ``<Root><Data>`` of TEM software."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.locales.encodings import decode, is_marked
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value
from nexuslims_formats.quantities import NUMBER, Row, converted, mapped, number, pixel_size
from nexuslims_formats.tia.labels import (
    label_extensions,
    label_metadata,
    label_mode,
    read_labels,
)
from nexuslims_formats.tiff.fei_memento import MEMENTO_ROOT, memento_sections, unpacked
from nexuslims_formats.tiff.tags import Tiff, is_tiff, read_tiff
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import ini_sections, nested, parse_xml, xml_tree
from nexuslims_formats.values import leaves

SECTIONS_TAGS = (34682, 34680)
XML_TAG = 34683
_RESOLUTION_TAGS = (65450, 65451, 65452)
_CENTIMETRE = 3
_TAIL_BYTES = 1 << 17
_USER = b"[User]"
_LABELS = ".//Data/Label"
_ENCODING = re.compile(r"^<\?xml[^>]*\?>")
"""The text is decoded already, whatever its declaration says of the bytes it was."""

# Lengths are metres and angles radians throughout. {beam} and {scan} are named by section [Beam].
_SECTION_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Beam/HV", "V"),
    ("acceleration_voltage", "{beam}/HV", "V"),
    ("beam_current", "{beam}/BeamCurrent", "A"),
    ("emission_current", "{beam}/EmissionCurrent", "A"),
    ("working_distance", "{beam}/WD", "m"),
    ("working_distance", "Stage/WorkingDistance", "m"),
    ("horizontal_field_width", "{beam}/HFW", "m"),
    ("horizontal_field_width", "{scan}/HorFieldsize", "m"),
    ("vertical_field_width", "{beam}/VFW", "m"),
    ("vertical_field_width", "{scan}/VerFieldsize", "m"),
    ("spot_size", "Beam/Spot", NUMBER),
    ("spot_size", "{beam}/Spot", NUMBER),
    # XL30 and its siblings of around 2000; voltages are V, distances mm
    ("acceleration_voltage", "DatabarData/HighTension", "V"),
    ("acceleration_voltage", "DatabarData/flAccV", "V"),
    ("magnification", "DatabarData/Magnification", "x"),
    ("working_distance", "DatabarData/flWD", "mm"),
    ("spot_size", "DatabarData/flSpot", NUMBER),
    ("scan_rotation", "Beam/ScanRotation", "rad"),
    ("scan_rotation", "{beam}/ScanRotation", "rad"),
    ("dwell_time", "Scan/Dwelltime", "s"),
    ("dwell_time", "{scan}/Dwell", "s"),
    ("frame_time", "Scan/FrameTime", "s"),
    ("frame_time", "{scan}/FrameTime", "s"),
    ("pixel_width", "Scan/PixelWidth", "m"),
    ("pixel_width", "{scan}/PixelWidth", "m"),
    ("pixel_height", "Scan/PixelHeight", "m"),
    ("pixel_height", "{scan}/PixelHeight", "m"),
    ("stage_x", "Stage/StageX", "m"),
    ("stage_x", "{beam}/StageX", "m"),
    ("stage_y", "Stage/StageY", "m"),
    ("stage_y", "{beam}/StageY", "m"),
    ("stage_z", "Stage/StageZ", "m"),
    ("stage_z", "{beam}/StageZ", "m"),
    ("stage_rotation", "Stage/StageR", "rad"),
    ("stage_rotation", "{beam}/StageR", "rad"),
    ("stage_tilt", "Stage/StageT", "rad"),
    ("stage_tilt", "{beam}/StageTa", "rad"),
    ("stage_beta", "Stage/StageTb", "rad"),
    ("stage_beta", "{beam}/StageTb", "rad"),
    ("chamber_pressure", "Vacuum/ChPressure", "Pa"),
    ("chamber_pressure", "Chamber/Pressure", "Pa"),
    ("temperature", "Specimen/Temperature", "K"),
    ("detector_type", "Detectors/Name", "text"),
    ("operator", "User/User", "text"),
)
_XML_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Optics/AccelerationVoltage", "V"),
    ("beam_current", "Optics/BeamCurrent", "A"),
    ("emission_current", "Optics/EmissionCurrent", "A"),
    ("working_distance", "Optics/WorkingDistance", "m"),
    ("horizontal_field_width", "Optics/ScanFieldOfView/X", "m"),
    ("vertical_field_width", "Optics/ScanFieldOfView/Y", "m"),
    ("dwell_time", "ScanSettings/DwellTime", "s"),
    ("scan_rotation", "ScanSettings/ScanRotation", "rad"),
    ("pixel_width", "BinaryResult/PixelSize/X", "m"),
    ("pixel_height", "BinaryResult/PixelSize/Y", "m"),
    ("stage_x", "StageSettings/StagePosition/X", "m"),
    ("stage_y", "StageSettings/StagePosition/Y", "m"),
    ("stage_z", "StageSettings/StagePosition/Z", "m"),
    ("stage_rotation", "StageSettings/StagePosition/Rotation", "rad"),
    ("stage_tilt", "StageSettings/StagePosition/Tilt/Alpha", "rad"),
    ("stage_beta", "StageSettings/StagePosition/Tilt/Beta", "rad"),
    ("chamber_pressure", "VacuumProperties/SamplePressure", "Pa"),
    ("frame_time", "ScanSettings/FrameTime", "s"),
    ("detector_type", "BinaryResult/Detector", "text"),
    ("detector_type", "Detectors/ScanningDetector/DetectorName", "text"),
    ("operator", "Core/UserID", "text"),
)
_UNSET = ("", "none", "n/a")


class FeiTiffExtractor:
    """Reads FEI's tags; a file of the text alone gives its metadata and says what is missing."""

    name = "fei_tiff"
    version = "1.0"
    priority = 100
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by FEI's tags, or by section text at the end (or instead) of the image."""
        if head.startswith(_USER):
            return True
        if not is_tiff(head):
            return False
        return read_tiff(path).has(*SECTIONS_TAGS, XML_TAG) or bool(_tail_text(path))

    def open(self, path: Path) -> ParsedFile:
        """Read the vendor's metadata and the directory of the image."""
        with path.open("rb") as file:
            head = file.read(_TAIL_BYTES)
        if head.startswith(_USER):
            return _text_alone(path, head)
        tiff = read_tiff(path)
        text = unpacked(_section_text(tiff))
        problems: list[str] = []
        xml: dict[str, Any] = {}
        if raw := tiff.raw(XML_TAG):
            try:
                xml = dict(xml_tree(parse_xml(raw)))
            except (UnreadableFileError, ValueError) as error:
                problems.append(f"tag {XML_TAG}: {error}")
        try:
            described, native = _of_text(text, xml, _tem_pixel_size(tiff))
        except UnreadableFileError as error:
            problems.append(f"the tag of FEI's section text: {error}")
            described, native = _sem({}, xml), {"xml": xml}
        if text and not problems and not described.metadata and not described.extensions:
            problems.append("the tag of FEI's section text holds metadata of an unknown form")
        return ParsedFile(
            signals=image_signals(tiff, described),
            native=native,
            reader=f"tiff tags {self.version}",
            problems=tuple(problems),
        )


def _of_text(
    text: str, xml: dict[str, Any], pixel_size: tuple[float, float] | None
) -> tuple[Described, dict[str, Any]]:
    """Describe an image by the text of its tag: sections, or XML of one of three kinds."""
    if not text.startswith("<"):
        sections = ini_sections(text)
        return _sem(sections, xml), {"sections": sections, "xml": xml}
    root = parse_xml(_ENCODING.sub("", text, count=1).encode())
    if root.find(_LABELS) is not None:
        return _tem(root, pixel_size)
    sections = memento_sections(root)
    tree = xml if root.tag == MEMENTO_ROOT or xml else xml_tree(root)
    return _sem(sections, tree), {"sections": sections, "xml": tree}


def _section_text(tiff: Tiff) -> str:
    for code in SECTIONS_TAGS:
        raw = tiff.raw(code)
        text = decode(raw if is_marked(raw) else raw.split(b"\0", 1)[0])[0]
        if text := text.strip("\ufeff\0 \r\n\t"):
            return text
    return _tail_text(tiff.path)


def _tail_text(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = file.read()
    at = tail.find(_USER)
    return decode(tail[at:].split(b"\0", 1)[0])[0] if at >= 0 else ""


def _text_alone(path: Path, head: bytes) -> ParsedFile:
    sections = ini_sections(decode(head.split(b"\0", 1)[0], cut=True)[0])
    described = _sem(sections, {})
    signal = Signal(
        name=path.stem,
        dataset_type=described.dataset_type,
        data_type=described.data_type,
        metadata=described.metadata,
        extensions=described.extensions,
        warnings=described.warnings,
        acquired=described.acquired,
    )
    return ParsedFile(
        signals=[signal],
        native={"sections": sections},
        reader="section text",
        problems=("the file holds only metadata text, no TIFF image",),
    )


def _sem(sections: dict[str, dict[str, str]], xml: dict[str, Any]) -> Described:
    """Describe an image of a scanning microscope from its sections and XML."""
    beam = sections.get("Beam", {})
    names = {"beam": beam.get("Beam", "EBeam"), "scan": beam.get("Scan") or "EScan"}
    table = tuple((field, path.format(**names), unit) for field, path, unit in _SECTION_FIELDS)
    metadata: dict[str, Value] = dict(mapped(nested(xml), _XML_FIELDS))
    metadata |= dict(mapped(nested(sections), table))
    _correct(metadata, sections, names["beam"])
    metadata |= _camera_pixel(metadata, sections)
    system = sections.get("System", {})
    extensions: dict[str, Any] = dict(leaves(sections, "fei"))
    extensions |= dict(leaves(xml, "fei_xml"))
    if model := system.get("SystemType") or nested(xml)("Instrument/InstrumentClass"):
        metadata["microscope"] = str(model)
    if source := system.get("Source"):
        metadata["electron_source"] = source
    if software := system.get("Software"):
        metadata["software"] = software
    return Described(
        data_type={"IBeam": "FIB_Imaging", "IRBeam": "NavCam_Imaging"}.get(
            names["beam"], "SEM_Imaging"
        ),
        metadata=metadata,
        extensions=extensions,
        acquired=_acquired(sections, xml),
        pixel_size=pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width")),
        rows=int(number(sections.get("Image", {}).get("ResolutionY")) or 0) or None,
        warnings=("operator",) if "operator" in metadata else (),
    )


def _correct(
    metadata: dict[str, Value], sections: Mapping[str, Mapping[str, str]], beam: str
) -> None:
    """Add what takes more than a look-up: magnification, corrections that are on, no detector."""
    canvas = number(sections.get("Image", {}).get("MagCanvasRealWidth"))
    field_width = metadata.get("horizontal_field_width")
    seen = converted(field_width, "m")
    if canvas and seen and seen > 0:
        metadata["magnification"] = (round(canvas / seen, 3), "x")
    column = sections.get(beam, {})
    for field, key in (
        ("tilt_correction", "TiltCorrectionIsOn"),
        ("dynamic_focus_correction", "DynamicFocusIsOn"),
    ):
        if column.get(key, "").lower() in ("yes", "no"):
            metadata[field] = column[key].lower()
    if str(metadata.get("detector_type", "")).lower() in _UNSET:
        metadata.pop("detector_type", None)


def _camera_pixel(
    metadata: Mapping[str, Value], sections: Mapping[str, Mapping[str, str]]
) -> dict[str, Value]:
    """Return the pixel of what is not scanned, such as the NavCam's: its field over its pixels."""
    if "pixel_width" in metadata or "Scan" in sections:
        return {}
    found: dict[str, Value] = {}
    for field, width, side in (
        ("pixel_width", "horizontal_field_width", "ResolutionX"),
        ("pixel_height", "vertical_field_width", "ResolutionY"),
    ):
        metres = converted(metadata.get(width), "m")
        pixels = number(sections.get("Image", {}).get(side))
        if metres and pixels and metres > 0 and pixels > 0:
            found[field] = (metres / pixels, "m")
    return found


def _acquired(sections: Mapping[str, Mapping[str, str]], xml: dict[str, Any]) -> Moment | None:
    user = sections.get("User", {})
    return first_moment(
        moment("XML AcquisitionDatetime", nested(xml)("Acquisition/AcquisitionDatetime")),
        # day first: it settles what Date, month first on most systems, leaves open
        moment("[PrivateFei] TimeOfCreation", sections.get("PrivateFei", {}).get("TimeOfCreation")),
        moment("[User] Date and Time", user.get("Date"), user.get("Time")),
    )


def _tem_pixel_size(tiff: Tiff) -> tuple[float, float] | None:
    """Return the pixel size from the private resolution tags, which count pixels per centimetre."""
    across, down, unit = (tiff.numbers(code) for code in _RESOLUTION_TAGS)
    if not (across and down and unit and unit[0] == _CENTIMETRE and across[0] > 0 < down[0]):
        return None
    return 0.01 / down[0], 0.01 / across[0]


def _tem(root: Any, pixel_size: tuple[float, float] | None) -> tuple[Described, dict[str, Any]]:
    """Describe an image of TEM Imaging and Analysis from its label, value and unit triples."""
    labels, units = read_labels(root)
    metadata = label_metadata(labels, units)
    kind, diffraction = label_mode(labels)
    if pixel_size and not diffraction:
        metadata["pixel_height"], metadata["pixel_width"] = ((length, "m") for length in pixel_size)
    described = Described(
        data_type=f"{kind}_{'Diffraction' if diffraction else 'Imaging'}",
        dataset_type="Diffraction" if diffraction else "Image",
        metadata=metadata,
        extensions=label_extensions(labels),
        pixel_size=None if diffraction else pixel_size,
        warnings=("operator",) if "operator" in metadata else (),
    )
    native = {label: f"{value} {units[label]}".strip() for label, value in labels.items()}
    return described, {"Data": native}
