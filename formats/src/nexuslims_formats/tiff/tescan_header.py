"""The header of Tescan's programs: ``[MAIN]`` and ``[SEM]``, in a file beside the image or a tag.

References
----------
The file is called ``NAME.hdr`` beside ``NAME.tif``, or ``NAME-tif.hdr``, ``NAME-png.hdr`` after the
image's format. The tag 50431 is a run of chunks: length (4 bytes, which counts what follows), kind
(2 bytes), content. Kind 1 is a thumbnail, 2 the section MAIN, 3 the section SEM (odemis, #2596).
Lengths are metres, voltages V, currents A, angles degrees.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from nexuslims_formats.errors import UnsafeFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import Value
from nexuslims_formats.quantities import TEXT, Row, mapped
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.trees import ini_sections, nested

Sections: TypeAlias = dict[str, dict[str, str]]

_LARGEST = 1 << 20
_CHUNKS = {2: "MAIN", 3: "SEM"}
_THUMBNAIL = 1
_HEAD_BYTES, _KIND_BYTES = 6, 2
_FIELDS: tuple[Row, ...] = (
    ("acceleration_voltage", "SEM/HV", "V"),
    ("acceleration_voltage", "SEM/AcceleratorVoltage", "V"),
    ("magnification", "MAIN/Magnification", "x"),
    ("working_distance", "SEM/WD", "m"),
    ("beam_current", "SEM/PredictedBeamCurrent", "A"),
    ("emission_current", "SEM/EmissionCurrent", "A"),
    ("dwell_time", "SEM/DwellTime", "s"),
    ("pixel_width", "MAIN/PixelSizeX", "m"),
    ("pixel_height", "MAIN/PixelSizeY", "m"),
    ("scan_rotation", "SEM/ScanRotation", "degree"),
    ("stage_x", "SEM/StageX", "m"),
    ("stage_y", "SEM/StageY", "m"),
    ("stage_z", "SEM/StageZ", "m"),
    ("stage_rotation", "SEM/StageRotation", "degree"),
    ("stage_tilt", "SEM/StageTilt", "degree"),
    ("chamber_pressure", "SEM/ChamberPressure", "Pa"),
    ("detector_type", "SEM/Detector", TEXT),
    ("electron_source", "SEM/Gun", TEXT),
    ("software", "MAIN/SoftwareVersion", TEXT),
    ("operator", "MAIN/FullUserName", TEXT),
    ("operator", "MAIN/UserName", TEXT),
    ("microscope", "MAIN/Device", TEXT),
)


def core_fields(sections: Mapping[str, Mapping[str, str]]) -> dict[str, Value]:
    """Return the core fields that a header has."""
    return dict(mapped(nested(sections), _FIELDS))


def header_beside(image: Path) -> tuple[Sections, str]:
    """Return the header file of an image, and why one that is there tells nothing, in words.

    Parameters
    ----------
    image
        The image; without a header beside it both are empty.
    """
    ending = image.suffix.removeprefix(".")
    forms = (".hdr", f".{ending}.hdr", f"-{ending}.hdr")
    names = (f"{image.stem}{one}" for form in forms for one in (form, form.upper()))
    for sidecar in map(image.with_name, names):
        try:
            if not is_usable(sidecar) or sidecar.stat().st_size > _LARGEST:
                continue
            sections = ini_sections(decode(sidecar.read_bytes())[0])
        except UnsafeFileError as error:
            return {}, str(error)
        except OSError as error:
            return {}, f"{sidecar.name} beside it cannot be read: {error.strerror}"
        if "MAIN" in sections:  # another program's .hdr has no such section
            return sections, ""
    return {}, ""


def header_in_tag(raw: bytes) -> tuple[Sections, str]:
    """Return the header that the tag 50431 holds, and what is wrong with it, in words.

    Parameters
    ----------
    raw
        The tag's bytes.
    """
    sections: Sections = {}
    for kind, content in _chunks(raw):
        if kind == _THUMBNAIL:
            continue
        found = ini_sections(decode(content)[0].rstrip("\0"))
        for name, entries in found.items():
            sections.setdefault(name or _CHUNKS.get(kind, f"SECTION{kind}"), {}).update(entries)
    at = raw.find(b"[MAIN]")
    if not sections and at >= 0:  # the text of the file, as it is
        sections = ini_sections(decode(raw[at:])[0])
    problem = "" if sections or not raw else "tag 50431 holds metadata of an unknown form"
    return sections, problem


def _chunks(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of each chunk; none at all if the tag is no run of chunks."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + _HEAD_BYTES <= len(raw):
        length, kind = struct.unpack_from("<IH", raw, at)
        end = at + _HEAD_BYTES - _KIND_BYTES + length
        if length < _KIND_BYTES or end > len(raw):
            return
        found.append((kind, raw[at + _HEAD_BYTES : end]))
        at = end
    yield from found
