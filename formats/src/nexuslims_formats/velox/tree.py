"""The JSON texts in which Velox keeps what it knows, and the core fields in them.

Velox writes SI units throughout, numbers as texts; energies of X-ray detectors in eV.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.model import Moment, Value
from nexuslims_formats.quantities import NUMBER, TEXT, Row, mapped, number, quantity
from nexuslims_formats.times import from_unix
from nexuslims_formats.trees import nested

if TYPE_CHECKING:
    import h5py  # type: ignore[import-untyped]

_LONGEST: Final = 16 << 20
_MODES: Final = {"1": "TEM", "2": "STEM"}
_IMAGING: Final = "2"
"""Of the projector: the camera length is not that of the image then."""
_MICROSECONDS: Final = 1e6
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "Optics/AccelerationVoltage", "V"),
    ("microscope", "Instrument/InstrumentClass", TEXT),
    ("defocus", "Optics/Defocus", "m"),
    ("extraction_voltage", "Optics/ExtractorVoltage", "V"),
    ("spot_size", "Optics/SpotIndex", NUMBER),
    ("stage_x", "Stage/Position/x", "m"),
    ("stage_y", "Stage/Position/y", "m"),
    ("stage_z", "Stage/Position/z", "m"),
    ("stage_alpha", "Stage/AlphaTilt", "rad"),
    ("stage_beta", "Stage/BetaTilt", "rad"),
    ("detector_type", "BinaryResult/Detector", TEXT),
)
_SCANNED: tuple[Row, ...] = (
    ("magnification", "CustomProperties/StemMagnification/value", "x"),
    ("dwell_time", "Scan/DwellTime", "s"),
    ("frame_time", "Scan/FrameTime", "s"),
    ("scan_rotation", "Scan/ScanRotation", "rad"),
)
_X_RAYS: tuple[Row, ...] = (
    ("elevation_angle", "ElevationAngle", "rad"),
    ("process_time", "PulseProcessTime", "s"),
)
_OF_ONE: tuple[Row, ...] = (
    ("azimuthal_angle", "AzimuthAngle", "rad"),
    ("live_time", "LiveTime", "s"),
    ("real_time", "RealTime", "s"),
)
"""What is not that of a sum over detectors, which has the description of one of them."""
_APERTURES: Final = {"C2": "condenser_aperture", "OBJ": "objective_aperture",
                     "SA": "selected_area_aperture"}  # fmt: skip


def parsed(raw: object) -> dict[str, Any]:
    """Return a JSON text that ends at its first NUL.

    Raises
    ------
    UnreadableFileError
        It is damaged.
    """
    content = raw if isinstance(raw, bytes) else str(raw).encode()
    try:
        tree = json.loads(content.split(b"\0", 1)[0])
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"metadata of Velox are damaged: {error}") from None
    if not isinstance(tree, dict):
        raise UnreadableFileError("metadata of Velox are damaged: they are no object")
    return tree


def metadata_of(group: "h5py.Group", name: str = "Metadata") -> dict[str, Any]:
    """Return the metadata of the first frame of an image, spectrum or stream.

    Parameters
    ----------
    group
        Of the image, spectrum or stream.
    name
        Of the dataset in it: a column of bytes for each frame.

    Raises
    ------
    UnreadableFileError
        They are absent or damaged.
    LimitExceededError
        They are longer than any real ones.
    """
    dataset = group.get(name)
    if not hasattr(dataset, "shape") or not dataset.size:
        raise UnreadableFileError(f"{group.name} has no metadata")
    if dataset.shape[0] > _LONGEST:
        raise LimitExceededError(f"{group.name} has {dataset.shape[0]} bytes of metadata")
    if dataset.dtype.kind not in "ui":
        return parsed(dataset[0])
    return parsed(bytes(dataset[:, 0] if dataset.ndim > 1 else dataset[:]))


def mode_of(tree: Mapping[str, Any]) -> str:
    """Return TEM or STEM; empty where the metadata do not say it."""
    return _MODES.get(str(nested(tree)("Optics/OperatingMode") or ""), "")


def detector_of(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of the detector that the data are from; empty where nothing is.

    A sum over the parts of a detector (SuperXG2) has the name that theirs begin with (SuperXG21).
    """
    look_up = nested(tree)
    detectors = tree.get("Detectors")
    known = detectors if isinstance(detectors, Mapping) else {}
    index, name = look_up("BinaryResult/DetectorIndex"), look_up("BinaryResult/Detector")
    found = known.get(f"Detector-{index}") if index is not None else None
    if found is None and name:
        named = [one for one in known.values() if isinstance(one, Mapping)]
        found = next((one for one in named if one.get("DetectorName") == name), None) or next(
            (one for one in named if str(one.get("DetectorName")).startswith(str(name))), None
        )
    return dict(found) if isinstance(found, Mapping) else {}


def core_fields(tree: Mapping[str, Any]) -> dict[str, Value]:
    """Return what the metadata tell of beam, stage, scan and detector.

    A scan's values are left out of what a camera recorded, where they are of an earlier one; so is
    the convergence of a broad beam, and the camera length of an image.
    """
    look_up = nested(tree)
    mode = mode_of(tree)
    found: dict[str, Value] = dict(mapped(look_up, _FIELDS))
    if mode:
        found["illumination_mode"] = mode
    if mode == "STEM":
        found |= mapped(look_up, _SCANNED)
        angle = quantity(look_up("Optics/BeamConvergence"), "rad")
        if angle and angle[0] > 0:
            found["convergence_angle"] = angle
    is_image = mode == "TEM" and str(look_up("Optics/ProjectorMode")) == _IMAGING
    if is_image:
        found |= mapped(look_up, (("magnification", "Optics/NominalMagnification", "x"),))
    else:
        found |= mapped(look_up, (("camera_length", "Optics/CameraLength", "m"),))
    detector = detector_of(tree)
    if "Dispersion" in detector:
        is_one = detector.get("DetectorName") == look_up("BinaryResult/Detector")
        found |= mapped(nested(detector), (*_X_RAYS, *_OF_ONE) if is_one else _X_RAYS)
    return found | dict(_camera_fields(detector)) | dict(_apertures(look_up))


def _camera_fields(detector: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    look_up = nested(detector)
    exposure = quantity(detector.get("ExposureTime"), "s")
    if exposure and exposure[0] > 0:
        yield "exposure_time", exposure
    sides = [number(look_up(f"Binning/{side}")) for side in ("width", "height")]
    if all(sides):
        yield "binning", " x ".join(f"{side:g}" for side in sides)


def _apertures(look_up: Any) -> Iterator[tuple[str, Value]]:
    for index in range(16):
        name = look_up(f"Optics/Apertures/Aperture-{index}/Name")
        size = quantity(look_up(f"Optics/Apertures/Aperture-{index}/Diameter"), "m")
        if name in _APERTURES and size and size[0] > 0:
            yield _APERTURES[name], size


def acquired(tree: Mapping[str, Any]) -> Moment | None:
    """Return when the acquisition began, in UTC; where that is not told, the camera's own time."""
    look_up = nested(tree)
    seconds = number(look_up("Acquisition/AcquisitionStartDatetime/DateTime"))
    if seconds and (when := from_unix(seconds)):
        return Moment(when, "AcquisitionStartDatetime")
    camera = look_up("BinaryResult/Detector")
    properties = tree.get("CustomProperties")
    stamp = properties.get(f"Detectors[{camera}].TimeStamp") if isinstance(properties, dict) else {}
    ticks = number(stamp.get("value")) if isinstance(stamp, Mapping) else None
    when = from_unix(ticks / _MICROSECONDS) if ticks else None
    return Moment(when, "TimeStamp of the camera") if when else None


def labels(file: "h5py.File") -> dict[str, str]:
    """Return the names under which Velox shows its images, by the id of the image.

    Raises
    ------
    UnreadableFileError
        One of the descriptions is damaged.
    """
    found: dict[str, str] = {}
    for operation, name in (("Camera", "cameraName"), ("Stem", "detector")):
        for tree in _texts(file, f"Operations/{operation}InputOperation"):
            found[_id(tree)] = str(tree.get(name) or "")
    found |= dict(_results(file))
    for tree in _texts(file, "Presentation/Displays/ImageDisplay"):
        found[_id(tree)] = str(nested(tree)("display/label") or "")
    for tree in _texts(file, "Displays/ImageDisplay"):
        reference = file.get(str(tree.get("data") or "/"))
        if hasattr(reference, "shape") and reference.size:
            found[_id(parsed(reference[0]))] = str(tree.get("id") or "")
    return {key: unquote(name).strip() for key, name in found.items() if key and name}


def _results(file: "h5py.File") -> Iterator[tuple[str, str]]:
    """Yield the names of images that were computed, by the operation that made them."""
    for operation, name in (("Dpc", "DPC"), ("Integration", "DCFI")):
        for tree in _texts(file, f"Operations/{operation}Operation"):
            yield _id(tree), name
    for tree in _texts(file, "Operations/FftOperation"):
        yield _id(tree, "imageOutputPath"), "FFT"
    for tree in _texts(file, "Operations/MathematicsOperation"):
        outputs = tree.get("outputs")
        first = outputs[0] if isinstance(outputs, list) and outputs else {}
        index = str(first.get("inputIndex")) if isinstance(first, Mapping) else ""
        yield _id(tree), {"0": "A-C", "1": "B-D"}.get(index, "")
    for tree in _texts(file, "Operations/SurfaceReconstructionOperation"):
        name = "iDPC" if str(tree.get("integrationMode")) == "true" else "dDPC"
        yield _id(tree, "unfilteredDataPath"), name
        yield _id(tree), f"Filtered {name}" if str(tree.get("enableFilter")) == "true" else name


def _id(tree: Mapping[str, Any], path: str = "dataPath") -> str:
    """Return the id of the image that a description is of.

    Parameters
    ----------
    tree
        The description.
    path
        The entry that says where the image is.
    """
    return str(tree.get(path) or "").rpartition("/")[2]


def _texts(file: "h5py.File", place: str) -> Iterator[dict[str, Any]]:
    group = file.get(place)
    for item in group.values() if hasattr(group, "values") else ():
        if hasattr(item, "shape") and item.size:
            yield parsed(item[0])
