"""TIFF of Zeiss' light microscopy software AxioVision, with its ``_meta.xml`` or tags alone.

References
----------
The XML lists entries as a number ``I0`` and a value ``V0``; the numbers are those of Zeiss' ZVI
format, as Bio-Formats knows them. Scales are given per axis, with a number for the unit.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import Moment, ParsedFile, Value
from nexuslims_formats.quantities import Row, mapped, pixel_size, quantity
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.tiff.camera import time_of_tag
from nexuslims_formats.tiff.tags import (
    MODEL,
    SOFTWARE,
    Tiff,
    is_tiff,
    read_tiff,
)
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import nested, parse_xml, xml_tree
from nexuslims_formats.values import leaves

HOST_COMPUTER = 316
_META = "_meta.xml"
_LARGEST = 16 << 20
_NAMES = {
    "769": "ScaleFactorForX", "770": "ScaleUnitForX", "772": "ScaleFactorForY",
    "773": "ScaleUnitForY", "1025": "AcquisitionTime", "1042": "Camera", "1284": "ChannelName",
    "1537": "Title", "1538": "Author", "1540": "Comments", "1541": "SampleID",
    "1793": "AcquisitionDate", "1801": "UserName", "2049": "ObjectiveName", "2050": "Optovar",
    "2051": "Reflector", "2072": "FocusPosition", "2073": "StagePositionX",
    "2074": "StagePositionY", "2075": "MicroscopeName", "2076": "ObjectiveMagnification",
    "2077": "ObjectiveNA", "2105": "ObjectiveImmersion", "2564": "ExposureTime",
}  # fmt: skip
_SCALE_UNITS = {"76": "um", "77": "nm"}
_FIELDS: tuple[Row, ...] = (
    ("magnification", "ObjectiveMagnification", "x"),
    ("exposure_time", "ExposureTime", "ms"),
    ("stage_x", "StagePositionX", "um"),
    ("stage_y", "StagePositionY", "um"),
    ("stage_z", "FocusPosition", "um"),
    ("microscope", "MicroscopeName", "text"),
    ("specimen", "SampleID", "text"),
    ("operator", "UserName", "text"),
    ("signal_name", "ChannelName", "text"),
    ("acquisition_device", "Camera", "text"),
)


class AxioVisionTiffExtractor:
    """Reads the tags of the camera, and the XML beside the image if there is one."""

    name = "axiovision_tiff"
    version = "1.0"
    priority = 60
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the name of Zeiss' cameras, or by the XML's."""
        if not is_tiff(head):
            return False
        return "axiocam" in read_tiff(path).text(MODEL).lower() or _meta_of(path).is_file()

    def open(self, path: Path) -> ParsedFile:
        """Read the tags and the XML; one that cannot be read does not cost the image."""
        tiff = read_tiff(path)
        entries: dict[str, str] = {}
        problems: tuple[str, ...] = ()
        try:
            entries = _read(_meta_of(path))
        except UnreadableFileError as error:
            problems = (f"{_meta_of(path).name} beside it: {error}",)
        except OSError as error:
            problems = (f"{_meta_of(path).name} beside it cannot be read: {error.strerror}",)
        return ParsedFile(
            signals=image_signals(tiff, _described(tiff, entries)),
            native=entries | _tags(tiff),
            reader=f"tiff tags {self.version}",
            problems=problems,
        )


def _meta_of(path: Path) -> Path:
    return path.with_name(path.name + _META)


def _read(meta: Path) -> dict[str, str]:
    """Return the entries of the XML by name; the first of a number is the image's own."""
    if not is_usable(meta):
        return {}
    if meta.stat().st_size > _LARGEST:
        raise UnreadableFileError(f"it has more than {_LARGEST >> 20} MiB")
    tree = xml_tree(parse_xml(meta.read_bytes()))
    entries: dict[str, str] = {}
    for code, value in _entries(tree):
        if value:
            entries.setdefault(_NAMES.get(code, f"tag_{code}"), value)
    look_up = nested(tree)
    for place, axis in enumerate("XY"):
        for name in ("Factor", "Unit"):
            if value := look_up(f"Scaling/{name}_{place}"):
                entries.setdefault(f"Scale{name}For{axis}", str(value))
    return entries


def _entries(tree: Any) -> Iterator[tuple[str, str]]:
    """Yield the number and the value of each entry, those of the whole image first."""
    if not isinstance(tree, Mapping):
        return
    tags = tree.get("Tags")
    if isinstance(tags, Mapping):
        for name, code in tags.items():
            if name[:1] == "I" and name[1:].isdecimal() and isinstance(code, str):
                yield code, str(tags.get(f"V{name[1:]}", ""))
    for name, branch in tree.items():
        if name != "Tags":
            yield from _entries(branch)


def _tags(tiff: Tiff) -> dict[str, str]:
    codes = {"Model": MODEL, "Software": SOFTWARE, "HostComputer": HOST_COMPUTER}
    return {name: text for name, code in codes.items() if (text := tiff.text(code))}


def _described(tiff: Tiff, entries: Mapping[str, str]) -> Described:
    metadata: dict[str, Value] = dict(mapped(nested(entries), _FIELDS))
    tags = _tags(tiff)
    if model := tags.get("Model"):
        metadata["acquisition_device"] = model
    if software := tags.get("Software"):
        metadata["software"] = software
    scales = _scales(entries)
    if scales:
        metadata |= {"pixel_height": (scales[0], "m"), "pixel_width": (scales[1], "m")}
    return Described(
        data_type="Optical_Imaging",
        metadata=metadata,
        extensions=dict(leaves({**tags, **entries}, "axiovision")),
        acquired=_acquired(tiff, entries),
        pixel_size=scales,
        warnings=("operator",) if "operator" in metadata else (),
    )


def _scales(entries: Mapping[str, str]) -> tuple[float, float] | None:
    """Return the scales in metres, where the number of their unit is known."""
    height, width = (
        quantity(
            entries.get(f"ScaleFactorFor{axis}"),
            _SCALE_UNITS.get(entries.get(f"ScaleUnitFor{axis}", ""), ""),
        )
        for axis in "YX"
    )
    return pixel_size(height, width)


def _acquired(tiff: Tiff, entries: Mapping[str, str]) -> Moment | None:
    names = ("AcquisitionTime", "AcquisitionDate")
    stated = (moment(f"AxioVision {name}", entries.get(name)) for name in names)
    return first_moment(*stated, time_of_tag(tiff))
