"""The formats that rosettasciio reads: its generic metadata tree, mapped to canonical fields."""

import importlib
import logging
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from nexuslims_contracts.datasets import Axis, DatasetType
from nexuslims_contracts.file_kinds import Companion
from nexuslims_formats.energy import calibration
from nexuslims_formats.errors import UnreadableFileError, UnsupportedFileError
from nexuslims_formats.hdf5.kinds import hdf5_kinds
from nexuslims_formats.model import QUANTITY, Moment, ParsedFile, Signal, Value
from nexuslims_formats.plain import TextExtractor
from nexuslims_formats.quantities import Row, mapped, measures
from nexuslims_formats.rosettasciio.axes import axes_of, uneven, with_positions
from nexuslims_formats.rosettasciio.berkeley import read_berkeley
from nexuslims_formats.rosettasciio.digitalsurf import read_digitalsurf
from nexuslims_formats.rosettasciio.kinds import (
    ANYBODYS,
    KINDS,
    companion_of_log,
    is_known,
    kind_of,
)
from nexuslims_formats.rosettasciio.light import read_delmic, read_hamamatsu, read_renishaw
from nexuslims_formats.rosettasciio.light_xml import read_labspec, read_trivista
from nexuslims_formats.rosettasciio.logs import LOGS, read_log
from nexuslims_formats.rosettasciio.ncem import in_order, rows_first
from nexuslims_formats.rosettasciio.nexus import without_places
from nexuslims_formats.rosettasciio.parts import DOUBTS, LISTED, OPENER, TYPE, UNREAD
from nexuslims_formats.rosettasciio.prismatic import read_prismatic
from nexuslims_formats.rosettasciio.ripple import read_ripple
from nexuslims_formats.rosettasciio.topspin import with_angles
from nexuslims_formats.rosettasciio.vendor_fields import plain, vendor_metadata
from nexuslims_formats.rosettasciio.zspy import read_zspy
from nexuslims_formats.sidecars import refuse_odd
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import nested
from nexuslims_formats.truncation import what_is_missing
from nexuslims_formats.values import leaves

log = logging.getLogger(__name__)

_EAGER_MIB = 256
_EAGER_BYTES = _EAGER_MIB << 20

# what we set right of what the library makes of a file
_AMENDED: Final[Mapping[str, Callable[[list[dict[str, Any]]], list[dict[str, Any]]]]] = {
    "nexus": without_places,
    "topspin": lambda parts: list(map(with_angles, parts)),
}
# readers of ours in front of the library's, and for where it lacks a package
_OURS = {
    "delmic": read_delmic,
    "digitalsurf": read_digitalsurf,
    "hamamatsu": read_hamamatsu,
    "renishaw": read_renishaw,
    "zspy": read_zspy,
}
# the same, which take a file whole
_WHOLE = {"jobinyvon": read_labspec, "trivista": read_trivista}

# paths below Acquisition_instrument/{SEM,TEM}, with the units of rosettasciio's metadata
# https://hyperspy.org/rosettasciio/file_specification/metadata_structure.html
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "beam_energy", "kV"),
    ("beam_current", "beam_current", "nA"),
    ("magnification", "magnification", "x"),
    ("camera_length", "camera_length", "mm"),
    ("convergence_angle", "convergence_angle", "mrad"),
    ("working_distance", "working_distance", "mm"),
    ("dwell_time", "dwell_time", "s"),
    ("stage_x", "Stage/x", "mm"),
    ("stage_y", "Stage/y", "mm"),
    ("stage_z", "Stage/z", "mm"),
    ("stage_alpha", "Stage/tilt_alpha", "degree"),
    ("stage_beta", "Stage/tilt_beta", "degree"),
    ("stage_tilt", "Stage/tilt", "degree"),
    ("stage_rotation", "Stage/rotation", "degree"),
    ("live_time", "Detector/EDS/live_time", "s"),
    ("real_time", "Detector/EDS/real_time", "s"),
    ("elevation_angle", "Detector/EDS/elevation_angle", "degree"),
    ("azimuthal_angle", "Detector/EDS/azimuth_angle", "degree"),
    ("detector_energy_resolution", "Detector/EDS/energy_resolution_MnKa", "eV"),
    ("detector_type", "Detector/EDS/detector_type", "text"),
    ("collection_angle", "Detector/EELS/collection_angle", "mrad"),
    ("dwell_time", "Detector/EELS/dwell_time", "s"),
    ("exposure_time", "Detector/EELS/exposure", "s"),
    ("exposure_time", "Detector/Camera/exposure", "s"),
    ("detector_type", "Detector/Camera/name", "text"),
    ("detector_type", "Detector/detector_type", "text"),
    # of light: the instrument's detector stands beside the microscope
    ("detector_type", "Detector/model", "text"),
    ("exposure_time", "Detector/exposure_per_frame", "s"),
    ("acquisition_time", "Detector/integration_time", "s"),
)
_EDITED = ("hspy", "zspy")
_OFFSET = re.compile(r"[+-]\d{1,2}(?::?\d\d)?")
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_EPOCH = "1970-01-01T00:00:00"
_PLANE = 2
_ON_SPECIMEN = ("nm", "pm", "angstrom")


@dataclass(frozen=True, slots=True)
class _Read:
    """What one of rosettasciio's readers returned."""

    module: str
    parts: list[dict[str, Any]]


class RosettaSciIOExtractor:
    """Reads by rosettasciio what no extractor of ours reads by itself."""

    name = "rosettasciio"
    version = "1.0"
    priority = 50
    extensions = tuple(KINDS)
    endings = tuple(sorted(KINDS.keys() - ANYBODYS))
    companions = (Companion(ending=".raw", of=("rpl",)),)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the extension, and by how such a file begins."""
        return is_known(path, head)

    def open(self, path: Path) -> ParsedFile:
        """Read lazily: arrays stay in the file. A log that no reader takes is kept as a text."""
        try:
            read = _read(path)
        except UnreadableFileError as error:
            if path.suffix.lower() != ".csv":
                raise
            return replace(TextExtractor().open(path), problems=(f"a log, but {error}",))
        signals = [_signal(path, read.module, part) for part in read.parts]
        if not signals:
            raise UnreadableFileError("the file holds no signal")
        natives = [part.get("original_metadata") or {} for part in read.parts]
        return ParsedFile(
            signals=signals,
            native=natives[0] if len(natives) == 1 else {"signals": natives},
            reader=f"rosettasciio {version('rosettasciio')} {read.module}",
        )


def _read(path: Path) -> _Read:
    """Try the readers of an extension in turn; the last reason is told where none succeeds."""
    modules = _modules(path)
    refuse_odd(_companions(path))
    reasons: list[str] = []
    missing = ""
    for name in modules:
        for lazy in (False,) if name in _WHOLE else (True, False):
            if not lazy and path.stat().st_size > _EAGER_BYTES:
                if not (reasons or missing):
                    reasons = [f"its reader takes it whole, but at most {_EAGER_MIB} MiB"]
                break
            try:
                return _Read(name, _parts(name, path, lazy=lazy))
            except ModuleNotFoundError as error:
                missing = str(error)  # of a package that reading lazily, or this variant, needs
            except NotImplementedError:
                continue
            except Exception as error:  # noqa: BLE001 - foreign readers raise anything
                # some of what is sound is read only eagerly, such as arrays without chunks
                reason = f"damaged, or no {name} file ({type(error).__name__}: {error})"
                reasons = [*(one for one in reasons if one != reason), reason]
    if missing and not reasons:
        raise UnsupportedFileError(f"its reader is not installed whole: {missing}")
    raise UnreadableFileError("; ".join(reasons) or "no reader took it")


def _modules(path: Path) -> tuple[str, ...]:
    """Return the library's modules for a file: by its ending, of HDF5 files by their content."""
    kind = kind_of(path)
    if not kind.is_hdf5 or kind.modules in (("topspin",), ("nexus",)):
        return kind.modules
    kinds = hdf5_kinds(path)
    if not kinds:
        raise UnsupportedFileError("an HDF5 file with a layout that no reader knows")
    return kinds


def _companions(path: Path) -> list[Path]:
    """Return what the library's readers look for beside a file, where they look for it."""
    ending = path.suffix.lower()
    if ending == ".rpl":
        return [path.with_suffix(".raw"), path.with_suffix(".RAW")]
    if ending == ".csv":
        return [companion_of_log(path)]
    return []


def _parts(name: str, path: Path, *, lazy: bool) -> list[dict[str, Any]]:
    """Read by the library, or by us where it would need more packages than it has, or fail."""
    if name == "emd" and (found := read_berkeley(path)):
        return rows_first(found)
    importlib.import_module("rsciio")
    _log_as_we_do()
    if ours := _OURS.get(name) or _WHOLE.get(name):
        return ours(path)
    if name in LOGS:
        return read_log(name, path)
    if name == "ripple":
        return read_ripple(path, lazy=lazy)
    module = importlib.import_module(f"rsciio.{name}")
    if name == "pantarhei":
        return _panta_rhei(module, path, lazy=lazy)
    if name == "emd":
        return _emd(module, path, lazy=lazy)
    parts: list[dict[str, Any]] = module.file_reader(str(path), lazy=lazy)
    return _AMENDED.get(name, list)(parts)


def _emd(module: Any, path: Path, *, lazy: bool) -> list[dict[str, Any]]:
    """Read EMD by the library; simulations that lack parameters, which it expects, by us."""
    try:
        parts: list[dict[str, Any]] = module.file_reader(str(path), lazy=lazy)
    except (AttributeError, TypeError):
        if found := read_prismatic(path):
            return rows_first(found)
        raise
    return in_order(path, parts)


def _panta_rhei(module: Any, path: Path, *, lazy: bool) -> list[dict[str, Any]]:
    """Read what Panta Rhei wrote; compressed values are never mapped as if they were not.

    Before version 24.03 it pickled the metadata: the library's own unpickler makes nothing but
    numbers, texts and arrays of them.
    """
    with zipfile.ZipFile(path) as file:
        if lazy and file.getinfo("data.npy").compress_type != zipfile.ZIP_STORED:
            raise NotImplementedError
    parts: list[dict[str, Any]] = module.file_reader(
        str(path), lazy=lazy, allow_restricted_pickle=True
    )
    return parts


def _log_as_we_do() -> None:
    """Undo what the library does to logging: coloured lines on standard output."""
    theirs = logging.getLogger("rsciio")
    theirs.handlers.clear()
    theirs.setLevel(logging.WARNING)


def _mapped_tree(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata with what the reader's mapping adds from the vendor's own tree.

    The mapping gives ``{vendor's dotted path: (dotted path in the metadata, conversion or None)}``.
    """
    tree: dict[str, Any] = dict(part.get("metadata") or {})
    look_up = nested(part.get("original_metadata") or {}, whole=True)
    for source, (target, convert) in (part.get("mapping") or {}).items():
        value = look_up(source.replace(".", "/"))
        if value is None:
            continue
        try:
            value = convert(value) if convert else value
        except Exception:
            log.debug("%s cannot be converted to %s", source, target, exc_info=True)
            continue
        *parents, name = target.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return tree


def _signal(path: Path, module: str, part: Mapping[str, Any]) -> Signal:
    tree = _mapped_tree(part)
    look_up = nested(tree)
    instrument = tree.get("Acquisition_instrument") or {}
    kind = next((name for name in ("TEM", "SEM") if name in instrument), "")
    below = _instrument(instrument, kind)
    data = part["data"]
    axes = with_positions(tuple(axes_of(part.get("axes") or [], data.shape)))
    signal_type = str(look_up("Signal/signal_type") or "")
    is_misc = module in LOGS or LISTED in part
    dataset_type = "Misc" if is_misc else part.get(TYPE) or _dataset_type(axes, signal_type)
    if kind == "TEM" and below.get("acquisition_mode") == "STEM":
        kind = "STEM"
    others = {"Image": "Imaging", "Misc": "Log" if module in LOGS else "Misc"}
    technique = next(
        (name for name in ("EELS", "EDS", "CL", "MS") if name in signal_type),
        others.get(dataset_type, dataset_type),
    )
    original = part.get("original_metadata") or {}
    generic, vendors = dict(_metadata(below)), dict(vendor_metadata(module, original))
    # people correct HyperSpy's metadata, and leave the original as it was
    metadata: dict[str, Value] = vendors | generic if module in _EDITED else generic | vendors
    metadata |= calibration(axes)
    extensions = dict(leaves(below, "instrument"))
    if quantity := str(look_up("Signal/quantity") or ""):
        extensions[QUANTITY] = quantity
    if microscope := below.get("microscope"):
        metadata["microscope"] = str(microscope)
    return Signal(
        name=str(look_up("General/title") or path.stem),
        dataset_type=dataset_type,
        data_type=f"{kind}_{technique}".strip("_"),
        shape=tuple(int(size) for size in data.shape),
        dtype=str(data.dtype if data.dtype.names is None else data.dtype[0]),
        axes=axes,
        metadata=metadata,
        extensions=extensions,
        warnings=("operator",) if "operator" in metadata else (),
        acquired=first_moment(_acquired(look_up), _of_original(original)),
        pixels=None if part.get(UNREAD) else part.get(OPENER, lambda: data),
        undrawn="its chunks are not decoded" if part.get(UNREAD) else "",
        problems=tuple(what_is_missing(path, module)),
        doubts=(*uneven(part.get("axes") or []), *part.get(DOUBTS, ())),
    )


def _instrument(instrument: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the tree of the microscope, with the detectors and optics of light beside it."""
    below = dict(instrument.get(kind) or {})
    for name, tree in instrument.items():
        if name in ("TEM", "SEM"):
            continue
        own = below.get(name)
        if isinstance(own, Mapping) and isinstance(tree, Mapping):
            below[name] = {**tree, **own}
        else:
            below[name] = own or tree
    return below


def _of_original(original: Mapping[str, Any]) -> Moment | None:
    """Return EMSA's date and time, which HyperSpy kept of the spectra that it imported."""
    if "NPOINTS" not in original and "BEAMKV" not in original:
        return None
    return moment("EMSA DATE and TIME", original.get("DATE"), original.get("TIME"))


def _dataset_type(axes: tuple[Axis, ...], signal_type: str) -> DatasetType:
    signal = [axis for axis in axes if not axis.navigate]
    if not signal and len(axes) == _PLANE:  # Phenom's images: every axis is of the scan
        return "Image"
    if len(signal) >= _PLANE and not any(measures(axis.unit) == "energy" for axis in axes):
        reciprocal = any(measures(axis.unit) == "inverse length" for axis in signal)
        # nm are on the specimen: images, such as those that Prismatic computes for each detector
        on_specimen = all(axis.unit in _ON_SPECIMEN for axis in signal)
        scanned = sum(axis.navigate for axis in axes) >= _PLANE and not on_specimen
        return "Diffraction" if reciprocal or scanned or "diff" in signal_type else "Image"
    return "SpectrumImage" if any(a.size > 1 for a in axes if a.navigate) else "Spectrum"


def _metadata(below: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Yield the fields of the generic tree; a unit that it states counts more than the table's."""
    look_up = nested(below)

    def with_unit(path: str) -> Any:
        value, unit = plain(look_up(path)), look_up(f"{path}_units")
        is_number = isinstance(value, int | float) and isinstance(unit, str)
        return f"{value!r} {unit}" if unit and is_number else value

    yield from mapped(with_unit, _FIELDS)


def _acquired(look_up: Any) -> Moment | None:
    date, time = look_up("General/date"), look_up("General/time")
    zone = str(look_up("General/time_zone") or "")
    if not date:
        return None
    offset = {"UTC": "+00:00", "GMT": "+00:00", "Z": "+00:00"}.get(zone, zone)
    if not _OFFSET.fullmatch(offset):  # a name such as CEST: which zone it is depends on the place
        offset = ""
    between = "T" if _ISO_DATE.fullmatch(str(date)) else " "  # others are as their program writes
    text = f"{date}{between}{time}" if time else f"{date}{between}00:00:00"
    if text == _EPOCH:  # of a clock that was not set
        return None
    stated = moment("General/date and time", text + offset)
    return stated if stated.when or not offset else moment("General/date and time", text)
