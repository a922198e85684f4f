"""MRC files under any name, plain or compressed by gzip, with SerialEM's ``.mdoc`` beside them."""

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nexuslims_contracts.datasets import CHANNEL, Axis, DatasetType
from nexuslims_contracts.file_kinds import Companion
from nexuslims_formats.errors import UnreadableFileError, UnsafeFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import ParsedFile, Signal, Value
from nexuslims_formats.mrc.direct_electron import CameraInfo, read_info
from nexuslims_formats.mrc.epu import epu_beside
from nexuslims_formats.mrc.extended import Acquisition, read_fei, read_mdoc, read_serialem
from nexuslims_formats.mrc.header import MrcHeader, is_mrc, may_be_mrc, open_plain, read_header
from nexuslims_formats.mrc.older import is_old_fei, read_old_fei, read_titles
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.times import first_moment

if TYPE_CHECKING:
    import numpy as np

_GZIP: Final = b"\x1f\x8b"
_UNPACKED_BYTES: Final = 256 << 20
_MODULO: Final = 1 << 32
_BEHIND: Final = 1 << 20
"""Bytes that may stand behind the values."""
_LARGEST_MDOC: Final = 16 << 20
_OWN_ENDINGS: Final = (".mrc", ".mrcs")
"""Which no other format uses: some programs leave all of the header but the sizes blank."""
_COLOURS: Final = 3
_EVEN: Final = 0.02
"""Of a step: what still counts as evenly spaced."""


class MrcExtractor:
    """Reads the headers; pixels are mapped for previews only."""

    name = "mrc"
    version = "1.0"
    priority = 90
    extensions = ("mrc", "mrcs", "st", "rec", "ali", "map", "preali")
    companions = (
        Companion(ending=".mdoc", of=extensions),
        Companion(ending=".xml", of=("mrc", "tif", "tiff", "eer")),
    )

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the header, of a compressed file by the header within."""
        if head.startswith(_GZIP):
            try:
                with open_plain(path) as file:
                    return is_mrc(file.read(1024))
            except (OSError, EOFError):
                return False
        named = path.suffix.lower() in _OWN_ENDINGS
        return may_be_mrc(head) if named else is_mrc(head)

    def open(self, path: Path) -> ParsedFile:
        """Read the header, the extended one, and the ``.mdoc`` beside it."""
        header = read_header(path)
        problems: list[str] = []
        info, parts = CameraInfo(), [_extended(header)]
        try:
            parts.insert(0, _mdoc_beside(path, header))
            parts.append(epu_beside(path))
            info = read_info(path)
        except UnsafeFileError as error:
            problems.append(str(error))
        except (OSError, UnreadableFileError) as error:
            problems.append(f"what belongs to it cannot be read: {error}")
        parts += [info.acquisition(), read_titles(header.labels)]
        acquisition = Acquisition(
            metadata={
                name: value for one in reversed(parts) for name, value in one.metadata.items()
            },
            extensions={
                name: value for one in reversed(parts) for name, value in one.extensions.items()
            },
            acquired=first_moment(*(part.acquired for part in parts)),
            tilts=next((part.tilts for part in parts if part.tilts), ()),
            diffraction=any(part.diffraction for part in parts),
            scanning=any(part.scanning for part in parts),
        )
        missing = _missing(path, header)
        signal = _signal(path, header, acquisition, missing)
        if scan := info.scan(header.shape[0]):
            signal = _scanned(signal, info, scan, path, header)
        native: dict[str, Any] = {
            "labels": list(header.labels), "extended_header": header.kind, "mode": header.mode,
            **acquisition.extensions,
        }  # fmt: skip
        return ParsedFile(
            signals=[signal], native=native, reader=f"mrc {self.version}", problems=tuple(problems)
        )


def _extended(header: MrcHeader) -> Acquisition:
    if header.kind in ("FEI1", "FEI2"):
        return read_fei(header.extended, header.order, header.shape[0])
    of_serialem = not header.kind and any(one.startswith("SerialEM") for one in header.labels)
    if header.kind == "SERI" or of_serialem:
        return read_serialem(header.extended, header.order, header.counts, header.shape[0])
    if is_old_fei(header.extended, header.kind, header.labels):
        return read_old_fei(header.extended, header.order, header.shape[0])
    return Acquisition()


def _mdoc_beside(path: Path, header: MrcHeader) -> Acquisition:
    sidecar = path.with_name(f"{path.name}.mdoc")
    if not is_usable(sidecar):
        return Acquisition()
    if sidecar.stat().st_size > _LARGEST_MDOC:
        raise UnreadableFileError(f"it has more than {_LARGEST_MDOC >> 20} MiB")
    return read_mdoc(decode(sidecar.read_bytes())[0], header.shape[0])


def _missing(path: Path, header: MrcHeader) -> str:
    """Return in words what of the values is not in the file.

    Of a compressed file the last four bytes tell its size (RFC 1952), modulo 4 GiB; cut, they
    tell anything.
    """
    end = header.data_offset + header.data_bytes
    size = path.stat().st_size
    if path.suffix.lower() == ".gz":
        with path.open("rb") as file:
            file.seek(-4, os.SEEK_END)
            (unpacked,) = struct.unpack("<I", file.read(4))
        missing = unpacked < end % _MODULO or unpacked > end % _MODULO + _BEHIND
        return "the file does not end as the compressed file of its values would" if missing else ""
    return f"the data ends at byte {end}, but the file at {size}" if end > size else ""


def _signal(path: Path, header: MrcHeader, acquisition: Acquisition, missing: str) -> Signal:
    shape: tuple[int, ...] = header.shape if header.shape[0] > 1 else header.shape[1:]
    colours = (Axis(name=CHANNEL, size=_COLOURS),) if header.is_colour else ()
    shape = (*shape, *(axis.size for axis in colours))
    kind: DatasetType = "Diffraction" if acquisition.diffraction else "Image"
    mode = "STEM" if acquisition.scanning else "TEM"
    metadata: dict[str, Value] = dict(acquisition.metadata)
    across, down, _ = header.voxel
    if across and down and not acquisition.diffraction:
        metadata |= {"pixel_width": (across, "nm"), "pixel_height": (down, "nm")}
    undrawn = _undrawn(path, header)
    return Signal(
        name=path.name.split(".")[0] or path.stem,
        dataset_type=kind,
        data_type=f"{mode}_{'Diffraction' if acquisition.diffraction else 'Imaging'}",
        shape=shape,
        dtype=header.dtype,
        axes=(*_section_axis(header, acquisition), *_plane_axes(header), *colours),
        metadata=metadata,
        extensions=acquisition.extensions,
        acquired=acquisition.acquired,
        pixels=None if missing or undrawn else _opener(path, header, shape),
        undrawn=undrawn,
        problems=(missing,) if missing else (),
    )


def _scanned(
    signal: Signal, info: CameraInfo, scan: tuple[int, ...], path: Path, header: MrcHeader
) -> Signal:
    """Return a series of frames as the scan that it is."""
    shape = (*scan, *header.shape[1:])
    return replace(
        signal,
        dataset_type="Diffraction",
        data_type="STEM_Diffraction",
        shape=shape,
        axes=info.axes(shape, scan),
        pixels=None if signal.pixels is None else _opener(path, header, shape),
    )


def _section_axis(header: MrcHeader, acquisition: Acquisition) -> tuple[Axis, ...]:
    """Return the axis of the sections: heights of a volume, even tilts, or their numbers."""
    count = header.shape[0]
    if count == 1:
        return ()
    tilts = acquisition.tilts
    if len(tilts) == count:
        step = (tilts[-1] - tilts[0]) / (count - 1)
        if step and all(
            abs(tilt - tilts[0] - step * index) <= _EVEN * abs(step)
            for index, tilt in enumerate(tilts)
        ):
            tilt = Axis(name="tilt", size=count, scale=round(step, 6), offset=tilts[0],
                        unit="degree", navigate=True)  # fmt: skip
            return (tilt,)
        return (Axis(name="tilt", size=count, navigate=True),)
    height = header.voxel[2]
    if header.is_volume and height:
        return (Axis(name="z", size=count, scale=height, unit="nm", navigate=True),)
    return (Axis(name="z", size=count, navigate=True),)


def _plane_axes(header: MrcHeader) -> tuple[Axis, ...]:
    across, down, _ = header.voxel
    return tuple(
        Axis(name=name, size=size, scale=step or 1.0, unit="nm" if step else "")
        for name, size, step in (("y", header.shape[1], down), ("x", header.shape[2], across))
    )


def _undrawn(path: Path, header: MrcHeader) -> str:
    """Return in words why the values of a whole file are not drawn; empty where they are."""
    if header.is_packed:
        return f"values of mode {header.mode} are not decoded"
    if path.suffix.lower() == ".gz" and header.data_bytes > _UNPACKED_BYTES:
        found, most = header.data_bytes >> 20, _UNPACKED_BYTES >> 20
        return (
            f"its values are compressed, and of {found} MiB: up to {most} MiB are unpacked for"
            " a picture; unpack the file to have one"
        )
    return ""


def _opener(path: Path, header: MrcHeader, shape: tuple[int, ...]) -> "Callable[[], np.ndarray]":
    size = header.data_bytes
    compressed = path.suffix.lower() == ".gz"

    def open_pixels() -> "np.ndarray":
        import numpy as np  # noqa: PLC0415 - previews only

        kind = np.dtype(header.dtype).newbyteorder("<" if header.order == "<" else ">")
        if not compressed:
            return np.memmap(path, kind, "r", offset=header.data_offset, shape=shape)
        with open_plain(path) as file:
            file.seek(header.data_offset)
            return np.frombuffer(file.read(size), kind).reshape(shape)

    return open_pixels
