"""Gatan DigitalMicrograph ``.dm3`` and ``.dm4``."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from nexuslims_contracts.datasets import CHANNEL, Axis, DatasetType
from nexuslims_formats.digitalmicrograph.fields import (
    BINNING,
    EXTENSION_GROUPS,
    FIELDS,
    KEPT_BOTH,
    TEXTS,
    ZERO_COUNTS,
)
from nexuslims_formats.digitalmicrograph.pixels import (
    BGRA,
    dtype_of,
    pixels_of,
    undrawn,
    what_is_missing,
)
from nexuslims_formats.digitalmicrograph.status import STATUS, status_extensions, status_fields
from nexuslims_formats.digitalmicrograph.tags import Tree, read_tags
from nexuslims_formats.energy import calibration
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value
from nexuslims_formats.quantities import Row, mapped, measures, number, quantity, unit_of_length
from nexuslims_formats.times import first_moment, from_filetime, from_unix, moment, reveal_offset
from nexuslims_formats.values import leaves

_SI_PIXEL_TIME = "SI/Acquisition/Pixel time (s)"
_SCAN_SAMPLE_TIME = "DigiScan/Sample Time"
_SIGNALS = {"EELS": "EELS", "X-ray": "EDS", "CL": "CL"}
_RECIPROCAL = ("inverse length", "angle")
_NO_WORD = re.compile(r"[^a-z0-9]+")
_DIFFRACTION_WORDS = {"diffraction", "saed", "sadp", "cbed"}
_SCANNED_PATTERNS = 4
"""Axes of a pattern at each point of a scan."""
_CL_BEGIN = "CL/Acquisition/Acquisition begin"
_TAKEN = ({path for _, path, _ in FIELDS} | {path for _, path in TEXTS}) - KEPT_BOTH
"""What is a core field is no extension too."""
_LOCAL_TIMES = (
    ("DataBar/Acquisition Date", "DataBar/Acquisition Time"),
    ("SI/Acquisition/Date", "SI/Acquisition/Start time"),
    *(
        (f"{technique}/Acquisition/Date", f"{technique}/Acquisition/Start time")
        for technique in ("EELS", "EDS", "CL")
    ),
)
_OF_FRAMES = ("plane info/TagGroup0/source tags", "source/Tags at creation")
"""Where a stack keeps the tags of its frames; the second is of the plug-in Stack Builder."""
_OF_LIGHT = ("CL/Acquisition", "Acquisition/Monarc Spectrometer")


class _Tags:
    """The tags of one image; a stack keeps those of its frames one level down."""

    def __init__(self, image: Tree) -> None:
        own = image.get("ImageTags")
        self.trees: list[Tree] = [own] if isinstance(own, dict) else []
        self.trees += [frame for path in _OF_FRAMES if isinstance(frame := self.find(path), dict)]

    def find(self, path: str) -> Any:
        for tree in self.trees:
            node: Any = tree
            # "Dispersion (eV/ch)" has a slash of its own: try the rest as one key at every level
            rest = path
            while isinstance(node, dict) and rest:
                if rest in node:
                    return node[rest]
                head, _, rest = rest.partition("/")
                node = node.get(head)
        return None

    def text(self, path: str) -> str:
        value = self.find(path)
        return value.strip() if isinstance(value, str) else ""


class DigitalMicrographExtractor:
    """Reads the tags of DM3 and DM4 files; pixels are mapped for previews only."""

    name = "digital_micrograph"
    version = "1.0"
    priority = 100
    extensions = ("dm3", "dm4")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell a DM file by its version and byte order: 00 00 00 03, size, 00 00 00 01."""
        del path
        if head[:4] == b"\0\0\0\3":
            return head[8:12] in (b"\0\0\0\0", b"\0\0\0\1")
        return head[:4] == b"\0\0\0\4" and head[12:16] in (b"\0\0\0\0", b"\0\0\0\1")

    def open(self, path: Path) -> ParsedFile:
        """Read every image of the file except its thumbnails."""
        tree = read_tags(path)
        signals = [image_signal(path, tree["byte_order"], image) for image in images_of(tree)]
        return ParsedFile(signals=signals, native=tree, reader=f"dm tags {self.version}")


def images_of(tree: Tree) -> list[Tree]:
    """Return the images of a tag tree without the thumbnails.

    Raises
    ------
    UnreadableFileError
        There is none.
    """
    images, thumbnails = tree.get("ImageList"), tree.get("Thumbnails")
    if not isinstance(images, dict):
        raise UnreadableFileError("the file holds no image list")
    small = {
        entry.get("ImageIndex")
        for entry in (thumbnails if isinstance(thumbnails, dict) else {}).values()
        if isinstance(entry, dict)
    }
    kept = [
        image
        for index, image in enumerate(images.values())
        if index not in small and isinstance(image, dict) and "ImageData" in image
    ]
    if not kept:
        raise UnreadableFileError("the file holds no image besides its thumbnail")
    return kept


def image_signal(path: Path, order: str, image: Tree) -> Signal:
    """Return the signal of one image by its tags.

    Parameters
    ----------
    path
        The file.
    order
        Its byte order, ``<`` or ``>``.
    image
        The tags of the image.

    Raises
    ------
    UnreadableFileError
        Its tags do not tell what its data are.
    """
    tags = _Tags(image)
    data = image["ImageData"]
    if not (isinstance(data, dict) and isinstance(data.get("Dimensions"), dict)):
        raise UnreadableFileError("image data without dimensions")
    code = data.get("DataType", 0)
    dtype = dtype_of(code)
    sizes = tuple(int(size) for size in reversed(list(data["Dimensions"].values())))
    technique = _technique(tags)
    axes = _axes(data, sizes, technique)
    name = str(image.get("Name") or "") or path.stem
    dataset_type = _dataset_type(tags, axes, technique)
    if dataset_type == "Image" and _named_diffraction(tags, name, path):
        dataset_type = "Diffraction"
    axes = tuple(_marked(axes, dataset_type))
    shape = sizes
    if code in BGRA:
        shape = (*sizes, 4)
        axes = (*axes, Axis(name=CHANNEL, size=4))
    missing = what_is_missing(data.get("Data"), sizes, code)
    status = tags.text(STATUS)
    # what the tags say counts more than the text of the microscope, which was rounded
    metadata = dict(status_fields(status)) | dict(_metadata(tags, dataset_type))
    if binning := _binning(tags):
        metadata["binning"] = binning
    _add_sampling(metadata, axes, dataset_type)
    return Signal(
        name=name,
        dataset_type=dataset_type,
        data_type=f"{_mode(tags, technique)}_{technique or _imaging(dataset_type)}",
        shape=shape,
        dtype=dtype,
        axes=axes,
        metadata=metadata,
        extensions=dict(_extensions(tags)) | dict(status_extensions(status)),
        warnings=tuple(field for field in ("operator", "specimen") if field in metadata),
        acquired=_acquired(tags),
        pixels=None if missing else pixels_of(path, order, data.get("Data"), shape, code),
        undrawn=undrawn(shape, code),
        problems=(missing,) if missing else (),
    )


def _technique(tags: _Tags) -> str:
    """Return EELS, EDS, CL, EFTEM, or nothing for imaging and diffraction."""
    technique = _SIGNALS.get(tags.text("Meta Data/Signal"))
    if technique:
        return technique
    if any(tags.find(path) is not None for path in _OF_LIGHT):
        return "CL"
    if tags.find("spim/eels") is not None:  # as the group at Orsay writes
        return "EELS"
    if "EFTEM" in tags.text("Microscope Info/Imaging Mode"):
        return "EFTEM"
    return ""


def _mode(tags: _Tags, technique: str = "") -> str:
    illumination = tags.text("Microscope Info/Illumination Mode").upper()
    operation = tags.text("Microscope Info/Operation Mode").upper()
    if illumination == "SEM" or (technique == "CL" and not illumination):
        return "SEM"
    scanning = "STEM" in illumination or operation in ("SCANNING", "STEM")
    return "STEM" if scanning or tags.find("DigiScan") is not None else "TEM"


def _imaging(dataset_type: str) -> str:
    return {"Diffraction": "Diffraction", "Spectrum": "Spectrum"}.get(dataset_type, "Imaging")


def _axes(data: Tree, sizes: tuple[int, ...], technique: str) -> tuple[Axis, ...]:
    """Return the axes in array order; an origin counts channels, so offset = -origin x scale."""
    calibrations = list(data.get("Calibrations", {}).get("Dimension", {}).values())
    calibrations += [{}] * (len(sizes) - len(calibrations))
    places = iter("xyzuvw")
    axes = []
    for size, given in zip(reversed(sizes), calibrations, strict=False):
        unit = unit_of_length(given.get("Units"))
        scale = number(given.get("Scale", 1.0))
        scale = float("nan") if scale is None else scale  # reported, as zero is
        if measures(unit) == "energy":
            name = "energy_loss" if technique == "EELS" else "energy"
        else:
            name = next(places, "v")
        offset = -(number(given.get("Origin")) or 0.0) * scale
        axes.append(Axis(name=name, size=size, scale=scale, offset=offset + 0.0, unit=unit))
    return tuple(reversed(axes))


def _is_energy(axis: Axis) -> bool:
    return measures(axis.unit) == "energy"


def _dataset_type(tags: _Tags, axes: tuple[Axis, ...], technique: str) -> DatasetType:
    kept = [axis for axis in axes if axis.size > 1]
    form = tags.text("Meta Data/Format")
    spectral = any(_is_energy(axis) for axis in axes) or form.startswith("Spectrum")
    if spectral or (technique == "CL" and not _is_picture(axes)):
        return "SpectrumImage" if len(kept) > 1 and form != "Spectrum" else "Spectrum"
    if len(kept) <= 1 and len(axes) <= 2:  # noqa: PLR2004 - a line, stored as one or two axes
        return "Spectrum"
    reciprocal = measures(axes[-1].unit) in _RECIPROCAL
    if reciprocal or form.startswith("Diffraction"):
        return "Diffraction"
    if _diffracting(tags):
        return "Diffraction"
    return "Diffraction" if len(kept) == _SCANNED_PATTERNS else "Image"


def _diffracting(tags: _Tags) -> bool:
    """Whether the projector showed a pattern; columns that name no imaging mode name an operation.

    In STEM the mode is that of the projector, whatever the scan makes of it.
    """
    mode = tags.text("Microscope Info/Imaging Mode") or tags.text("Microscope Info/Operation Mode")
    return "DIFFRACTION" in mode.upper() and _mode(tags) == "TEM"


def _is_picture(axes: tuple[Axis, ...]) -> bool:
    """Whether both axes are lengths of one unit: panchromatic light, or of one wavelength."""
    kept = [axis for axis in axes if axis.size > 1]
    return (
        len(kept) == 2  # noqa: PLR2004 - a plane
        and measures(kept[0].unit) == "length"
        and kept[0].unit == kept[1].unit
        and kept[0].scale == kept[1].scale
    )


def _named_diffraction(tags: _Tags, name: str, path: Path) -> bool:
    """Whether people called it a diffraction pattern, where the microscope told DM nothing.

    JEOL columns without a link to DM report no mode. Only whole words count, and only those that
    mean nothing else: "diff" may be a difference, "DP" a steel.
    """
    if tags.text("Microscope Info/Imaging Mode"):
        return False
    words = set(_NO_WORD.split(f"{name} {path.stem}".lower()))
    return bool(words & _DIFFRACTION_WORDS)


def _marked(axes: tuple[Axis, ...], dataset_type: DatasetType) -> Iterator[Axis]:
    """Yield the axes with those marked that span positions or time."""
    count = len(axes)
    if dataset_type == "Spectrum":
        navigating = {index for index in range(count - 1) if axes[index].size == 1}
    elif dataset_type == "SpectrumImage":
        energy = [index for index in range(count) if _is_energy(axes[index])]
        spectral = energy[0] if energy else (0 if count > 2 else count - 1)  # noqa: PLR2004
        navigating = set(range(count)) - {spectral}
    else:
        kept_first = count == _SCANNED_PATTERNS and _patterns_first(axes)
        navigating = set(range(2, count)) if kept_first else set(range(count - 2))
    for index, axis in enumerate(axes):
        yield axis.model_copy(update={"navigate": index in navigating})


def _patterns_first(axes: tuple[Axis, ...]) -> bool:
    """Whether a scan of patterns is stored as an image at each point of the pattern."""
    kinds = [measures(axis.unit) for axis in axes]
    return all(kind in _RECIPROCAL for kind in kinds[:2]) and kinds[2:] == ["length"] * 2


def _metadata(tags: _Tags, dataset_type: DatasetType) -> Iterator[tuple[str, Value]]:
    done = set()
    pixel_time = quantity(tags.find(_SI_PIXEL_TIME), "s")
    if dataset_type in ("SpectrumImage", "Spectrum") and pixel_time and pixel_time[0]:
        yield "dwell_time", pixel_time
    elif (sample_time := quantity(tags.find(_SCAN_SAMPLE_TIME), "us")) and sample_time[0]:
        yield "dwell_time", sample_time
    counted = [row for row in _rows(tags) if row[0] in ZERO_COUNTS or number(tags.find(row[1]))]
    for field, value in mapped(tags.find, counted):
        done.add(field)
        yield field, value
    for field, path in TEXTS:
        if field not in done and (text := tags.text(path)):
            done.add(field)
            yield field, text
    if "detector_type" not in done and (device := tags.text("DataBar/Device Name")):
        yield "detector_type", device


def _rows(tags: _Tags) -> tuple[Row, ...]:
    """Return the table for an image; of a diffraction pattern, the magnification is no such thing.

    There DigitalMicrograph puts the camera length, in mm, into the tags of the magnification; that
    of STEM is the last one used in STEM.
    """
    if _diffracting(tags):
        own = [row for row in FIELDS if row[0] not in ("magnification", "camera_length")]
        return (*own, ("camera_length", "Microscope Info/Indicated Magnification", "mm"))
    return FIELDS


def _binning(tags: _Tags) -> str:
    """Return the pixels of the camera read as one, across and down."""
    for path in BINNING:
        sizes = tags.find(path)
        sizes = list(sizes.values()) if isinstance(sizes, Mapping) else sizes
        if isinstance(sizes, list) and len(sizes) == 2 and all(map(number, sizes)):  # noqa: PLR2004
            return " x ".join(f"{number(size):g}" for size in sizes)
    return ""


def _add_sampling(
    metadata: dict[str, Value], axes: tuple[Axis, ...], dataset_type: DatasetType
) -> None:
    """Add what the axes know: the size of a pixel, or the width of a channel."""
    if dataset_type == "Image":
        spatial = [axis for axis in axes if axis.name != CHANNEL]
        for field, axis in zip(("pixel_height", "pixel_width"), spatial[-2:], strict=False):
            if measures(axis.unit) == "length":
                metadata[field] = (abs(axis.scale), axis.unit)
    metadata |= calibration(axes)


def _extensions(tags: _Tags) -> Iterator[tuple[str, Any]]:
    for group in EXTENSION_GROUPS:
        tree = tags.find(group)
        if not isinstance(tree, Mapping):
            continue
        rest = {
            key: value
            for key, value in tree.items()
            if f"{group}/{key}" not in _TAKEN and key not in ("Items", "Stage Position", "Images")
        }
        for name, value in leaves(rest, f"gatan_{group.split('/')[0]}"):
            yield name.replace(" ", "_").lower(), value


def _acquired(tags: _Tags) -> Moment | None:
    """Return the start of the acquisition: UTC tags win, the local date reveals their offset."""
    utc: datetime | None = None
    source = ""
    epoch = number(tags.find("Acquisition/Frame/Sequence/Acquisition Start Time (epoch)"))
    if epoch and (utc := from_unix(epoch / 1000)):
        source = "Acquisition Start Time (epoch)"
    ticks = number(tags.find("DataBar/Acquisition Time (OS)"))
    if utc is None and ticks and (utc := from_filetime(ticks)):
        source = "DataBar Acquisition Time (OS)"
    stated = first_moment(*_local_times(tags, utc))
    if utc is not None:
        local = stated.when if stated else None
        return Moment(reveal_offset(local, utc), source)
    return first_moment(
        stated,
        # as Nion Swift exports
        moment("Timestamp", tags.text("Timestamp") + tags.text("TimezoneOffset")),
        moment(_CL_BEGIN, tags.text(_CL_BEGIN)),
    )


def _local_times(tags: _Tags, utc: datetime | None) -> Iterator[Moment]:
    for date, clock in _LOCAL_TIMES:
        source = f"{date} and {clock.rpartition('/')[2]}"
        yield moment(source, tags.text(date), tags.text(clock), near=utc)
