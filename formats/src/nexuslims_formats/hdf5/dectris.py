"""Detectors of DECTRIS (ARINA, QUADRO, EIGER): a master file that links to files of images.

The images are compressed by filters that come with the detector: they are counted, not shown. A
microscope that scans leaves a file ``NAME.h5`` beside ``NAME_master.h5``.

References
----------
NeXus NXdetector as the detectors' interface (SIMPLON) writes it: times in s, pixel sizes in m. The
energy of the beam is what somebody typed, or that of an X-ray tube: it stays an extension. Of the
microscope's file ``STEM Metadata`` has the pixel size in nm; that the scan is square, which nothing
tells, is what ncempy, py4DSTEM and rosettasciio take for granted.
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import Axis
from nexuslims_contracts.text import printable
from nexuslims_formats.errors import UnreadableFileError, UnsafeFileError, UnsupportedFileError
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value
from nexuslims_formats.quantities import TEXT, Row, mapped, number
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import nested
from nexuslims_formats.values import leaves

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]

_DETECTOR: Final = "entry/instrument/detector"
_SPECIFIC: Final = "detectorSpecific"
_DATA: Final = "entry/data"
_STEM_FIELDS: tuple[Row, ...] = (("magnification", "Magnification", "x"),)
_KEPT_BYTES: Final = 1024
_IMAGES: Final = 3
_MASTER: Final = "_master"
_IMAGES_PLACE: Final = "entry/data/data"
_NUMBERED: Final = re.compile(r"_data_\d{6}$")
"""Of a file of images: its name, for other programs have such a place too."""
_STEM: Final = "STEM Metadata"
_FIELDS: tuple[Row, ...] = (
    ("exposure_time", "count_time", "s"),
    ("frame_time", "frame_time", "s"),
    ("detector_type", "description", TEXT),
    ("acquisition_device", "detector_number", TEXT),
)


class DectrisExtractor:
    """Reads the description of the detector; of the images only how many and how large."""

    name = "dectris"
    version = "1.0"
    priority = 80
    extensions = ("h5", "hdf5", "nxs")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the groups that only these detectors have, and what belongs to them."""
        if not is_hdf5(head):
            return False
        import h5py  # noqa: PLC0415 - HDF5 only

        try:
            with h5py.File(path, "r") as file:
                is_part = _NUMBERED.search(path.stem) is not None and _IMAGES_PLACE in file
                return is_part or f"{_DETECTOR}/{_SPECIFIC}" in file or _STEM in file
        except OSError:
            return False

    def open(self, path: Path) -> ParsedFile:
        """Read the master file, and the sizes of the files that it links to."""
        import h5py  # noqa: PLC0415 - HDF5 only

        problems: list[str] = []
        with h5py.File(path, "r") as file:
            if f"{_DETECTOR}/{_SPECIFIC}" not in file:
                raise UnsupportedFileError("a part of what a file NAME_master.h5 describes")
            tree = _tree(file[_DETECTOR])
            if "entry/instrument/beam" in file:
                tree["beam"] = _tree(file["entry/instrument/beam"])
            found = list(_images(file, problems))
        look_up = nested(tree)
        frames, sides, dtype = _size(look_up, found, problems)
        try:
            beside = _stem_beside(path)
        except (OSError, UnsafeFileError) as error:
            problems.append(f"what the microscope wrote beside it cannot be read: {error}")
            beside = {}
        places, doubts = _places(frames, beside)
        pattern = (Axis(name=name, size=size) for name, size in zip("yx", sides, strict=True))
        axes = (*places, *pattern)
        metadata: dict[str, Value] = dict(mapped(look_up, _FIELDS))
        if beside:
            metadata |= dict(mapped(beside.get, _STEM_FIELDS))
            tree["stem"] = beside
        signal = Signal(
            name=path.stem.removesuffix(_MASTER),
            dataset_type="Diffraction",
            data_type=f"{'STEM' if beside else 'TEM'}_Diffraction",
            shape=tuple(axis.size for axis in axes),
            dtype=dtype,
            axes=axes,
            metadata=metadata,
            extensions=dict(leaves(tree, "dectris")),
            acquired=_acquired(look_up),
            undrawn="images compressed by the detector's own filters are not decoded",
            problems=tuple(problems),
            doubts=doubts,
        )
        return ParsedFile(signals=[signal], native=tree, reader=f"h5py {h5py.__version__}")


def _size(
    look_up: Any, found: list[tuple[tuple[int, ...], str]], problems: list[str]
) -> tuple[int, tuple[int, ...], str]:
    """Return number, sides and type of the images: as they are, or as they were asked for.

    Parameters
    ----------
    look_up
        Of the detector's description.
    found
        Shape and type of the images in each file that is there.
    problems
        Where it is added that there is none.
    """
    if found:
        frames = sum(shape[0] for shape, _ in found)
        sides, dtype = found[0][0][1:], found[0][1]
    else:
        counts = [_whole(look_up(f"{_SPECIFIC}/{one}")) for one in ("nimages", "ntrigger")]
        frames = math.prod(counts)
        names = ("y_pixels_in_detector", "x_pixels_in_detector")
        sides = tuple(_whole(look_up(f"{_SPECIFIC}/{one}")) for one in names)
        dtype = f"uint{_whole(look_up('bit_depth_image')) or 16}"
        problems.append("none of the files with its images is there")
    if not frames or not all(sides):
        raise UnreadableFileError("the master file tells no size of its images")
    return frames, sides, dtype


def _stem_beside(path: Path) -> dict[str, Any]:
    """Return what the microscope says of its scan; nothing where there is no such file."""
    import h5py  # noqa: PLC0415 - HDF5 only

    beside = path.with_name(f"{path.stem.removesuffix(_MASTER)}{path.suffix}")
    if beside == path or not is_usable(beside):
        return {}
    with h5py.File(beside, "r") as file:
        attributes = file[_STEM].attrs if _STEM in file else {}
        return {str(name): _plain(value) for name, value in attributes.items()}


def _places(frames: int, beside: Mapping[str, Any]) -> tuple[tuple[Axis, ...], tuple[str, ...]]:
    """Return the axes of the images, of a scan the places of a square, and what is not sure.

    Parameters
    ----------
    frames
        How many there are.
    beside
        What the microscope says of its scan.
    """
    side = math.isqrt(frames)
    if not beside or side**2 != frames or side == 1:
        return (Axis(name="frame", size=frames, navigate=True),), ()
    step = number(beside.get("Pixel Size"))
    scale, unit = (step, "nm") if step and step > 0 else (1.0, "")
    axes = tuple(
        Axis(name=name, size=side, scale=scale, unit=unit, navigate=True)
        for name in ("scan_y", "scan_x")
    )
    return axes, (f"its {frames} images are taken for a square scan: no file tells its lines",)


def _plain(value: Any) -> Any:
    """Return the number or text of an attribute; of several the first."""
    value = value.tolist() if hasattr(value, "tolist") else value
    value = value[0] if isinstance(value, list) and value else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _tree(group: "h5py.Group") -> dict[str, Any]:
    """Return the short values below a group; numbers with their unit behind them."""
    found: dict[str, Any] = {}
    for name, item in group.items():
        if hasattr(item, "keys"):
            found[str(name)] = _tree(item)
        elif item.dtype.names is None and item.size == 1 and item.nbytes <= _KEPT_BYTES:
            value = item[()]
            plain = value.reshape(-1)[0] if getattr(value, "ndim", 0) else value
            plain = plain.item() if hasattr(plain, "item") else plain
            text = plain.decode("utf-8", "replace") if isinstance(plain, bytes) else plain
            unit = item.attrs.get("units", b"")
            unit = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit)
            found[str(name)] = f"{text!r} {unit}" if unit and isinstance(text, float) else text
    return found


def _images(file: "h5py.File", problems: list[str]) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield shape and type of the images in each file that is there."""
    group = file.get(_DATA)
    for name in sorted(group) if hasattr(group, "keys") else ():
        try:
            item = group[name]
        except (KeyError, OSError):
            link = group.get(name, getlink=True)
            target = printable(str(getattr(link, "filename", name)))
            problems.append(f"{target}, which it links to, cannot be read")
            continue
        if hasattr(item, "shape") and item.ndim == _IMAGES:
            yield tuple(int(size) for size in item.shape), str(item.dtype)


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 < value < 1 << 40 else 0


def _acquired(look_up: Any) -> Moment | None:
    return first_moment(
        *(
            moment("data_collection_date", look_up(f"{place}data_collection_date"))
            for place in (f"{_SPECIFIC}/", "")
        )
    )
