"""Bruker ``.bcf``: a map of X-ray spectra and the images taken with it.

The header is XML in a container: microscope, stage, images, and for each map its detector and sum
spectrum. Numbers are written as the computer's locale has them.

References
----------
Names as Esprit writes them, measured on real files: voltages in kV, working distances in mm, stage
positions and pixels in um, angles in degrees, energies in keV, times in ms and us.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.bruker.container import MAGIC, Container
from nexuslims_formats.bruker.events import summed_counts
from nexuslims_formats.bruker.spx import short_tree, spectrum_tree
from nexuslims_formats.energy import calibration, energy_axis, microscope_kind
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.hdf5.lazy import outer_product
from nexuslims_formats.locales.numbers import has_decimal_commas
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value
from nexuslims_formats.quantities import TEXT, Row, converted, mapped, number, quantity
from nexuslims_formats.times import moment
from nexuslims_formats.trees import nested, parse_xml, xml_tree
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import numpy as np

_HEADER: Final = "HeaderData"
_LARGEST_HEADER: Final = 512 << 20
_LARGEST_SIDE: Final = 1 << 15
_MOST_CHANNELS: Final = 1 << 16
_MOST_PLANES: Final = 64
_DATA: Final = re.compile(rb"<Data>([A-Za-z0-9+/=\s]*)</Data>")
_MAP: Final = re.compile(r"SpectrumData(\d+)")
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Microscope/HV", "kV"),
    ("magnification", "Microscope/Mag", "x"),
    ("working_distance", "Microscope/WD", "mm"),
    ("stage_x", "Stage/X", "um"),
    ("stage_y", "Stage/Y", "um"),
    ("stage_z", "Stage/Z", "um"),
    ("stage_rotation", "Stage/Rotation", "degree"),
    ("stage_tilt", "Stage/Tilt", "degree"),
)
_MAP_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Analysis/PrimaryEnergy", "kV"),
    ("acceleration_voltage", "Xrf/Voltage", "kV"),
    ("elevation_angle", "Analysis/ElevationAngle", "degree"),
    ("elevation_angle", "Xrf/ExcitationAngle", "degree"),
    ("azimuthal_angle", "Analysis/AzimutAngle", "degree"),
    ("live_time", "Hardware/LifeTime", "ms"),
    ("detector_type", "Detector/Type", TEXT),
)


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of a file, with the images' data cut out of it."""

    root: Any
    data: tuple[bytes, ...]
    tree: dict[str, Any]
    acquired: Moment | None
    shape: tuple[int, int]


class BrukerBcfExtractor:
    """Reads the header; images and maps for previews only."""

    name = "bruker_bcf"
    version = "1.0"
    priority = 100
    extensions = ("bcf",)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the mark of the container."""
        del path
        return head.startswith(MAGIC)

    def open(self, path: Path) -> ParsedFile:
        """Read the header."""
        container = Container(path)
        header = _header(container)
        problems: list[str] = []
        if container.end > container.length:
            problems.append(
                f"the data ends at byte {container.end}, but the file at {container.length}"
            )
        signals = [*_images(header), *_maps(header, container, whole=not problems)]
        if not signals:
            raise UnreadableFileError("the file holds no image and no map")
        return ParsedFile(
            signals=signals,
            native=header.tree,
            reader=f"bcf {self.version}",
            problems=tuple(problems),
        )


def _header(container: Container) -> _Header:
    raw = container.read(_HEADER, _LARGEST_HEADER)
    data: list[bytes] = []

    def cut(match: re.Match[bytes]) -> bytes:
        data.append(match[1])
        return b"<Data>%d</Data>" % (len(data) - 1)

    root = parse_xml(_DATA.sub(cut, raw)).find("./ClassInstance[@Type='TRTSpectrumDatabase']")
    image = None if root is None else _main_image(root)
    if root is None or image is None:
        raise UnreadableFileError("the header of the map is of another kind")
    shape = (_side(image, "Height"), _side(image, "Width"))
    parts = {"Microscope": "TRTSEMData", "Stage": "TRTSEMStageData", "DSP": "TRTDSPConfiguration"}
    tree = {"Name": root.get("Name") or "", "Header": xml_tree(root.find("./Header"))} | {
        part: _plain(root.find(f"./ClassInstance[@Type='{kind}']")) for part, kind in parts.items()
    }
    look_up = nested(tree)
    acquired = moment("bcf header", look_up("Header/Date"), look_up("Header/Time"))
    return _Header(root, tuple(data), tree, acquired, shape)


def _plain(element: Any) -> dict[str, Any]:
    found = xml_tree(element) if element is not None else {}
    return found if isinstance(found, dict) else {}


def _main_image(root: Any) -> Any:
    """Return the images taken with the map: those without a name."""
    images = root.findall("./ClassInstance[@Type='TRTImageData']")
    return next((one for one in reversed(images) if not one.get("Name")), None)


def _side(image: Any, name: str) -> int:
    found = number(image.findtext(f"./{name}"))
    if found is None or not 0 < found <= _LARGEST_SIDE:
        raise LimitExceededError(f"the header claims an image of {found} pixels in {name.lower()}")
    return int(found)


def _pitch(header: _Header) -> tuple[tuple[float, str], tuple[float, str]]:
    """Return height and width of a pixel in um; counts where they are not told."""
    look_up = nested(header.tree)
    texts = [look_up("Microscope/DY"), look_up("Microscope/DX")]
    comma = has_decimal_commas(text for text in texts if isinstance(text, str))
    found = [converted(quantity(text, "um", comma=comma), "um") for text in texts]
    down, across = ((step, "um") if step and step > 0 else (1.0, "") for step in found)
    return down, across


def _metadata(header: _Header) -> dict[str, Value]:
    """Return what is told of microscope and stage; a distance of -1 means that it is not known."""
    return dict(mapped(nested(header.tree), _FIELDS))


def _images(header: _Header) -> Iterator[Signal]:
    """Yield the images that hold anything: those of the map, and the overview."""
    overview = header.root.find(
        "./ClassInstance[@Type='TRTContainerClass']/ChildClassInstances"
        "/ClassInstance[@Name='OverviewImages']/ChildClassInstances"
        "/ClassInstance[@Type='TRTImageData']"
    )
    for image in (_main_image(header.root), overview):
        if image is not None:
            yield from _planes(header, image)


def _planes(header: _Header, image: Any) -> Iterator[Signal]:
    shape = (_side(image, "Height"), _side(image, "Width"))
    size = int(number(image.findtext("./ItemSize")) or 0)
    count = int(number(image.findtext("./PlaneCount")) or 0)
    if size not in (1, 2, 4) or count > _MOST_PLANES:
        raise UnreadableFileError(f"the header claims {count} images of {size} bytes a pixel")
    metadata = _metadata(header)
    when = moment("image header", image.findtext("./Date"), image.findtext("./Time"))
    axes = _axes(header, shape, scan=False)
    for number_of in range(count):
        index = image.findtext(f"./Plane{number_of}/Data") or ""
        known = index.isdecimal() and int(index) < len(header.data)
        data = header.data[int(index)] if known else b""
        whole = len(data) * 3 // 4 >= shape[0] * shape[1] * size
        if known and not data.strip(b"A= \r\n\t"):  # base64 of zeros
            continue
        yield Signal(
            name=image.findtext(f"./Plane{number_of}/Description") or header.tree["Name"],
            dataset_type="Image",
            data_type=f"{microscope_kind(metadata.get('acceleration_voltage'))}_Imaging",
            shape=shape,
            dtype=f"uint{8 * size}",
            axes=axes,
            metadata=metadata,
            extensions=dict(leaves(header.tree, "bruker")),
            acquired=when if when.when else header.acquired,
            pixels=_decoded(data, f"<u{size}", shape) if whole else None,
            problems=() if whole else (f"image {number_of + 1} of the header is damaged",),
        )


def _decoded(data: bytes, dtype: str, shape: tuple[int, int]) -> "Callable[[], np.ndarray]":
    def open_pixels() -> "np.ndarray":
        import numpy as np  # noqa: PLC0415 - previews only

        return np.frombuffer(base64.b64decode(data), dtype).reshape(shape)

    return open_pixels


def _axes(header: _Header, shape: tuple[int, int], *, scan: bool) -> tuple[Axis, ...]:
    return tuple(
        Axis(name=name, size=size, scale=scale, unit=unit, navigate=scan)
        for name, size, (scale, unit) in zip(
            ("height", "width"), shape, _pitch(header), strict=True
        )
    )


def _maps(header: _Header, container: Container, *, whole: bool) -> Iterator[Signal]:
    names = sorted(name for name in container.entries if _MAP.fullmatch(name))
    for name in names:
        element = header.root.find(f"./{name}/ClassInstance")
        if element is None:
            continue
        yield _map(header, container, name, spectrum_tree(element), element, whole=whole)


def _map(
    header: _Header,
    container: Container,
    name: str,
    tree: Mapping[str, Any],
    element: Any,
    *,
    whole: bool,
) -> Signal:
    """Return the map of spectra of one name.

    Parameters
    ----------
    header, container
        Of the file.
    name
        Of the map within.
    tree
        What is told of its spectra.
    element
        The sum spectrum.
    whole
        Whether all of the file is there.
    """
    counts = [int(word) for word in (element.findtext("./Channels") or "").split(",") if word]
    if not 0 < len(counts) <= _MOST_CHANNELS:
        raise UnreadableFileError(f"the sum spectrum of the map has {len(counts)} channels")
    look_up = nested(tree)
    texts = [look_up(f"Spectrum/{one}") for one in ("CalibLin", "CalibAbs")]
    comma = has_decimal_commas(text for text in texts if isinstance(text, str))
    scale, offset = (converted(quantity(text, "keV", comma=comma), "keV") for text in texts)
    axes = (
        *_axes(header, header.shape, scan=True),
        energy_axis(len(counts), scale, offset, "keV"),
    )
    metadata = _metadata(header) | dict(mapped(look_up, _MAP_FIELDS)) | calibration(axes)
    seconds = _real_time(header)
    if seconds:
        metadata["real_time"] = (seconds, "s")
    path, shape = container.path, header.shape
    return Signal(
        name="EDX",
        dataset_type="SpectrumImage",
        data_type=f"{microscope_kind(metadata.get('acceleration_voltage'))}_EDS",
        shape=(*shape, len(counts)),
        dtype=_depth(counts, shape),
        axes=axes,
        metadata=metadata,
        extensions=dict(leaves({**header.tree, **short_tree(tree)}, "bruker")),
        acquired=header.acquired,
        pixels=(lambda: outer_product(summed_counts(path, name, shape), _shares(counts)))
        if whole
        else None,
    )


def _shares(counts: list[int]) -> "np.ndarray":
    """Return the sum spectrum, adding up to one; the reference peak at zero energy stays."""
    import numpy as np  # noqa: PLC0415 - previews only

    spectrum = np.asarray(counts, dtype=float)
    return spectrum / (spectrum.sum() or 1.0)


def _depth(counts: list[int], shape: tuple[int, int]) -> str:
    """Return a type that holds any point's counts, told by the highest of the sum (twice the mean).

    The file packs each point as tightly as it can: none of its own is the map's.
    """
    most = 2 * (max(counts) // (shape[0] * shape[1]))
    return next(f"uint{bits}" for bits in (8, 16, 32, 64) if most < 1 << bits)


def _real_time(header: _Header) -> float | None:
    """Return the seconds of the whole map: visits of all lines, times pixels and their time."""
    look_up = nested(header.tree)
    visits = (header.root.findtext("./LineCounter") or "").split(",")
    factors = [
        number(look_up(f"DSP/{one}")) for one in ("LineAverage", "PixelAverage", "PixelTime")
    ]
    if not all(factors):
        return None
    lines, pixels, microseconds = (factor or 0.0 for factor in factors)
    return (
        sum(number(one) or 0.0 for one in visits)
        * lines
        * pixels
        * microseconds
        * header.shape[1]
        * 1e-6
    )
