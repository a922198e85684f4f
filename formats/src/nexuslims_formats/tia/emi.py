"""FEI TIA: an ``.emi`` with its ``.ser`` files, a ``.ser`` alone, or one without its partner."""

import mmap
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from nexuslims_contracts.datasets import Axis, DatasetType
from nexuslims_contracts.file_kinds import Companion
from nexuslims_formats.energy import calibration
from nexuslims_formats.errors import ExtractorError, UnreadableFileError
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value
from nexuslims_formats.quantities import quantity, readable_length
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.tia.labels import (
    label_extensions,
    label_metadata,
    label_mode,
    read_labels,
)
from nexuslims_formats.tia.ser import SERIES_HEAD, Series, read_series
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.trees import nested, parse_xml, xml_tree

_OPEN, _CLOSE = b"<ObjectInfo>", b"</ObjectInfo>"
_MAX_BLOCKS, _MAX_BLOCK_BYTES = 256, 1 << 20
_SEARCHED = 16 << 10
"""Bytes of an ``.emi`` that are searched at once: they stay in the processor's nearest memory."""
_EDS_CHANNEL = 2.0  # eV: X-ray channels are 5 eV and wider, energy-loss channels below 2 eV
_LONGEST_PIXEL_M = 1.0
_SERIES_NAME = re.compile(r"^(?P<stem>.+)_(?P<number>\d+)$")


class _Block:
    """One ``ObjectInfo``: what TIA wrote of one series."""

    def __init__(self, raw: bytes) -> None:
        root = parse_xml(raw)
        self.labels, self.units = read_labels(root)
        self.tree: dict[str, Any] = xml_tree(root) if len(root) else {}
        self.tree.pop("TrueImageHeaderInfo", None)
        self.look_up = nested(self.tree)
        self.described = bool(self.look_up("AcquireDate") or self.labels)
        # X-ray and energy-loss detectors integrate with an energy resolution; cameras do not
        self.of_spectra = self.look_up("AcquireInfo/EnergyResolution") is not None or (
            "EDAX" in str(self.look_up("Manufacturer") or "")
        )


class TiaExtractor:
    """Reads the descriptions in the ``.emi`` and the headers of its series."""

    name = "fei_tia"
    version = "1.0"
    priority = 100
    extensions = ("emi", "ser")
    endings = ("ser",)
    companions = (Companion(ending=".emi", of=("ser",), numbered=True),)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell a series by its head; an ``.emi`` has no magic number and goes by its name."""
        return path.suffix.lower() == ".emi" or head.startswith(SERIES_HEAD)

    def open(self, path: Path) -> ParsedFile:
        """Read an ``.emi`` with all its series, or one series with its part of the ``.emi``."""
        if path.suffix.lower() == ".emi":
            return self._open_all(path)
        match = _SERIES_NAME.match(path.stem)
        stem = match["stem"] if match else path.stem
        series = read_series(path)
        problems: list[str] = []
        blocks: list[_Block] = []
        try:
            emi = _beside(path, stem, ".emi")
            blocks = _read_blocks(emi) if emi else []
        except (ExtractorError, OSError) as error:
            problems.append(f"{stem}.emi: {error}")
        index = int(match["number"]) - 1 if match else 0
        block = _matching(blocks, index, series)
        return self._parsed([_signal(series, block)], blocks, problems)

    def _open_all(self, path: Path) -> ParsedFile:
        blocks = _read_blocks(path)
        problems: list[str] = []
        signals: list[Signal] = []
        for index, partner in enumerate(_all_series(path)):
            try:
                if not is_usable(partner):
                    continue
                series = read_series(partner)
            except (ExtractorError, OSError) as error:
                problems.append(f"{partner.name}: {error}")
                continue
            signals.append(_signal(series, _matching(blocks, index, series)))
        if not any(block.described for block in blocks):
            problems.append("the .emi holds no description of its series")
        if not signals:
            reason = "; ".join(problems) or "no .ser lies beside the .emi: its data is missing"
            if not any(block.described for block in blocks):
                raise UnreadableFileError(reason)
            problems = [reason]
            signals = [_lone(path, block) for block in blocks if block.described]
        return self._parsed(signals, blocks, problems)

    def _parsed(
        self, signals: Sequence[Signal], blocks: Sequence[_Block], problems: Sequence[str]
    ) -> ParsedFile:
        native = {"ObjectInfo": [block.tree for block in blocks if block.described]}
        return ParsedFile(
            signals=tuple(signals),
            native=native,
            reader=f"tia series {self.version}",
            problems=tuple(problems),
        )


def _beside(path: Path, stem: str, suffix: str) -> Path | None:
    for name in (stem + suffix, stem + suffix.upper()):
        if is_usable(candidate := path.with_name(name)):
            return candidate
    return None


def _all_series(path: Path) -> list[Path]:
    found = []
    for candidate in path.parent.iterdir():
        match = _SERIES_NAME.match(candidate.stem)
        if match is None or match["stem"] != path.stem or candidate.suffix.lower() != ".ser":
            continue
        found.append((int(match["number"]), candidate))
    return [candidate for _, candidate in sorted(found)]


def _read_blocks(path: Path) -> list[_Block]:
    """Return the descriptions in an ``.emi``, which keeps them between its binary data.

    Those of the last file are kept: its series follow one another.
    """
    facts = path.stat()
    if facts.st_size == 0:
        raise UnreadableFileError("the file is empty")
    return _blocks_of(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=1)
def _blocks_of(path: Path, _size: int, _mtime: int) -> list[_Block]:
    blocks: list[_Block] = []
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        at = _find(data, _OPEN, 0)
        while at >= 0 and len(blocks) < _MAX_BLOCKS:
            end = data.find(_CLOSE, at, at + _MAX_BLOCK_BYTES)
            if end < 0:
                break
            blocks.append(_Block(data[at : end + len(_CLOSE)]))
            at = _find(data, _OPEN, end)
    return blocks


def _find(data: mmap.mmap, mark: bytes, start: int) -> int:
    """Return where a mark stands, or -1; many times faster than the map's own search.

    Parameters
    ----------
    data
        The file.
    mark
        What to look for.
    start
        Where to begin.
    """
    for at in range(start, len(data), _SEARCHED):
        piece = data[at : at + _SEARCHED + len(mark) - 1]
        if piece.rfind(mark) >= 0:  # half the time of find() where there is nothing
            return at + piece.find(mark)
    return -1


def _matching(blocks: Sequence[_Block], index: int, series: Series) -> _Block | None:
    """Return the block of a series: the one in its place, or else the first of its kind."""
    if index < len(blocks) and blocks[index].described:
        return blocks[index]
    described = [block for block in blocks if block.described]
    of_kind = [block for block in described if block.of_spectra == series.spectra]
    return next(iter(of_kind or described), None)


def _signal(series: Series, block: _Block | None) -> Signal:
    labels = block.labels if block else {}
    kind, diffraction = label_mode(labels)
    # no pixel is longer than a metre: such a step is in 1/m, of a scan's patterns or without .emi
    is_pattern = abs(series.scale[0]) > _LONGEST_PIXEL_M
    diffraction = (diffraction or is_pattern) and not series.spectra
    if series.spectra:
        dataset_type: DatasetType = "SpectrumImage" if series.navigation else "Spectrum"
        technique = "EDS" if series.scale[0] >= _EDS_CHANNEL else "EELS"
    else:
        dataset_type = "Diffraction" if diffraction else "Image"
        technique = "Diffraction" if diffraction else "Imaging"
    metadata = _metadata(block)
    axes = _axes(series, reciprocal=diffraction)
    if series.spectra:
        metadata |= calibration(axes[-1:])
    return Signal(
        name=series.path.stem,
        dataset_type=dataset_type,
        data_type=f"{kind}_{technique}",
        shape=series.shape,
        dtype=series.dtype,
        axes=axes,
        metadata=metadata,
        extensions=label_extensions(labels)
        | {"tia_series": series.path.name, "tia_described": block is not None},
        warnings=("operator",) if "operator" in metadata else (),
        acquired=_acquired(block, series),
        pixels=None if series.problem else series.pixels,
        problems=(series.problem,) if series.problem else (),
        doubts=(series.doubt,) if series.doubt else (),
    )


def _lone(path: Path, block: _Block) -> Signal:
    kind, diffraction = label_mode(block.labels)
    metadata = _metadata(block)
    return Signal(
        name=path.stem,
        dataset_type="Diffraction" if diffraction else "Spectrum" if block.of_spectra else "Image",
        data_type=f"{kind}_{'Diffraction' if diffraction else 'Imaging'}",
        metadata=metadata,
        extensions=label_extensions(block.labels),
        warnings=("operator",) if "operator" in metadata else (),
        acquired=_acquired(block, None),
    )


def _axes(series: Series, *, reciprocal: bool) -> tuple[Axis, ...]:
    if series.spectra:
        signal = [
            Axis(
                name="energy",
                size=series.element[0],
                scale=series.scale[0],
                offset=series.offset[0],
                unit="eV",
            )
        ]
    else:
        signal = []
        for name, size, step in zip(("y", "x"), series.element, series.scale, strict=True):
            pitch = abs(step)  # TIA writes a negative one where the scan runs backwards
            scale, unit = (pitch * 1e-9, "1/nm") if reciprocal else readable_length(pitch)
            signal.append(
                Axis(name=name, size=size, scale=scale or 1.0, unit=unit if scale else "")
            )
    return (*series.navigation, *signal)


def _metadata(block: _Block | None) -> dict[str, Value]:
    if block is None:
        return {}
    metadata: dict[str, Value] = {}
    conditions = "ExperimentalConditions/MicroscopeConditions"
    for field, path, unit in (
        ("acceleration_voltage", f"{conditions}/AcceleratingVoltage", "V"),
        ("stage_alpha", f"{conditions}/Tilt1", "rad"),
        ("stage_beta", f"{conditions}/Tilt2", "rad"),
        ("dwell_time", "AcquireInfo/DwellTimePath", "s"),
        ("frame_time", "AcquireInfo/FrameTime", "s"),
        ("exposure_time", "AcquireInfo/IntegrationTime", "s"),
        ("detector_energy_resolution", "AcquireInfo/EnergyResolution", "eV"),
        ("elevation_angle", "AcquireInfo/ElevationAngle", "degree"),
    ):
        if value := quantity(block.look_up(path), unit):
            metadata[field] = value
    if "dwell_time" in metadata and block.look_up("AcquireInfo/CameraNamePath"):
        metadata.setdefault("exposure_time", metadata.pop("dwell_time"))  # a camera does not dwell
    # the labels repeat the tilts rounded to a hundredth of a degree
    metadata = label_metadata(block.labels, block.units) | metadata
    for field, path in (
        ("acquisition_device", "AcquireInfo/CameraNamePath"),
        ("detector_type", "DetectorName"),
        ("detector_type", "AcquireInfo/DetectorName"),
        ("detector_type", "AcquireInfo/CameraNamePath"),
    ):
        text = block.look_up(path)
        if text and field not in metadata:
            metadata[field] = str(text)
    return metadata


def _acquired(block: _Block | None, series: Series | None) -> Moment | None:
    return first_moment(
        moment("emi AcquireDate", block.look_up("AcquireDate")) if block else None,
        Moment(series.time, "ser Time") if series else None,
    )
