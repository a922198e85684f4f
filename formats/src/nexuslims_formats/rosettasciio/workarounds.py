"""The adapter to rosettasciio where it asks for packages that reading headers does not need.

numba and sparse would double the size of an installation, and serve the pixels of spectrum images
only. Where a spectrum image is a stream of events, its shape and metadata are read here and its
data are not: such a part is marked :data:`UNREAD` and has no preview.

Only what the library offers is used: its reader of Velox files is subclassed, its parser of JEOL's
trees is called.
"""

import importlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path, PureWindowsPath
from types import ModuleType
from typing import Any, Final, TypeAlias

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.quantities import number
from nexuslims_formats.trees import nested

Part: TypeAlias = dict[str, Any]

UNREAD: Final = "headers_only"
"""Marks a part whose data are not there."""
_CHANNELS: Final = 4096
_SEM_KV: Final = 30.0
_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - local time, as the file has it
_ASW: Final = b"\0\0\0\0"
_ASW_TREE: Final = 12
_PTS: Final = 304
_PTS_HEADER: Final = 20
_PTS_DATE: Final = 296
"""Where the position of the header tree and the date stand, after magic, names and memo."""


def read_velox_headers(path: Path) -> list[Part]:
    """Read the images and spectra of a Velox file, and of its map of spectra the headers."""
    import h5py  # type: ignore[import-untyped]  # noqa: PLC0415 - HDF5 only
    from rsciio.emd._emd_velox import FeiEMDReader  # noqa: PLC0415 - this format only

    class WithoutStreams(FeiEMDReader):  # type: ignore[misc]  # the library has no types
        """Reads images and spectra, and never the streams of events."""

        def _read_data(self, select_type: str | None) -> None:
            del select_type
            self.load_SI = False
            self.load_images = self.load_single_spectrum = True
            self._read_single_spectrum()
            self.spectra = len(self.dictionaries)
            self._read_images()

    file = h5py.File(path, "r")  # arrays that are read lazily keep it open
    reader = WithoutStreams(lazy=True)
    reader.read_file(file)
    spectra: list[Part] = reader.dictionaries[: reader.spectra]
    images: list[Part] = reader.dictionaries[reader.spectra :]
    whole = _velox_map(file, spectra, images)
    return [*spectra, *images, *([whole] if whole else [])]


def _velox_map(file: Any, spectra: list[Part], images: list[Part]) -> Part | None:
    """Return the headers of the map whose events a Velox file keeps; None where it keeps none.

    Its shape is the part of the scan that was selected, which images beside it need not share.
    """
    stream = next(iter((file.get("Data/SpectrumStream") or {}).values()), None)
    like = next(iter([*spectra, *images]), None)
    if stream is None or like is None:
        return None
    settings = json.loads(stream["AcquisitionSettings"][0])
    scan = nested(json.loads(bytes(stream["Metadata"][:, 0]).split(b"\0", 1)[0]))
    raster = settings.get("RasterScanDefinition")
    if not isinstance(raster, dict):
        return None
    axes: list[dict[str, Any]] = []
    for name, length, low, high in (
        ("y", "Height", "top", "bottom"),
        ("x", "Width", "left", "right"),
    ):
        edges = [number(scan(f"Scan/ScanArea/{edge}")) for edge in (low, high)]
        share = edges[1] - edges[0] if edges[0] is not None and edges[1] is not None else 1.0
        size = round((number(raster.get(length)) or 0) * share)
        pitch = number(scan(f"BinaryResult/PixelSize/{length.lower()}"))
        scale = {"scale": pitch * 1e9, "units": "nm"} if pitch else {}
        axes.append({"name": name, "size": size, "navigate": True, **scale})
    channels = int(number(settings.get("bincount")) or _CHANNELS)
    energy = next((dict(part["axes"][-1]) for part in spectra), {"name": "Energy"})
    axes.append({**energy, "size": channels, "navigate": False})
    axes = [{**axis, "index_in_array": index} for index, axis in enumerate(axes)]
    general = {**like["metadata"]["General"], "title": "EDS"}
    metadata = {**like["metadata"], "General": general, "Signal": {"signal_type": "EDS_TEM"}}
    shape = tuple(axis["size"] for axis in axes)
    return {
        **like,
        "data": _absent(shape, "uint16"),
        "axes": axes,
        "metadata": metadata,
        UNREAD: True,
    }


def read_jeol(path: Path) -> list[Part]:
    """Read a file of JEOL's Analysis Station, or all that its project (``.asw``) lists.

    Maps of spectra (``.pts``) are read by their headers.
    """
    module = importlib.import_module("rsciio.jeol._api")
    if path.suffix.lower() == ".pts":
        return _read_pts(path, module)
    if path.suffix.lower() != ".asw":
        parts: list[Part] = module.file_reader(str(path), lazy=False)
        return parts
    with path.open("rb") as file:
        if file.read(4) != _ASW:
            raise UnreadableFileError("the file does not start as a project of Analysis Station")
        file.seek(_ASW_TREE)
        tree = module._parsejeol(file)  # noqa: SLF001 - the library's only reader of this tree
    found = []
    for view in _views(tree):
        member = path.parent.joinpath(*PureWindowsPath(view["Filename"]).parts)
        for part in read_jeol(member):
            part["original_metadata"] |= {"asw": tree, "asw_viewdata": view}
            found.append(part)
    return found


def _views(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a project says of each of its files."""
    for sample in (tree.get("SampleInfo") or {}).values():
        for view in (sample.get("ViewInfo") or {}).values():
            yield from (view.get("ViewData") or {}).values()


def _read_pts(path: Path, module: ModuleType) -> list[Part]:
    import numpy as np  # noqa: PLC0415 - this format only

    with path.open("rb") as file:
        if np.fromfile(file, "<I", 1)[0] != _PTS:
            return []
        file.seek(_PTS_HEADER)
        position = int(np.fromfile(file, "<I", 1)[0])
        file.seek(_PTS_DATE)
        days = float(np.fromfile(file, "<f8", 1)[0])
        file.seek(position + 12)
        header = module._parsejeol(file)  # noqa: SLF001 - the library's only reader of this tree
    measured, page = header["PTTD Data"]["AnalyzableMap MeasData"], header["PTTD Param"]["Params"]
    sem = page["PARAMPAGE0_SEM"]
    width, height = (int(size) for size in measured["Meas Cond"]["Pixels"].split("x"))
    pixel = sem["ScanSize"] / measured["MeasCond"]["Mag"] * 1e3 / width
    when = _EPOCH + timedelta(days=days)
    voltage = float(measured["MeasCond"]["AccKV"])
    mode = "SEM" if voltage <= _SEM_KV else "TEM"
    return [
        {
            "data": _absent((height, width, _CHANNELS), "uint16"),
            "axes": [
                {"name": name, "size": size, "scale": pixel, "units": "um", "navigate": True}
                for name, size in (("y", height), ("x", width))
            ]
            + [_energy(measured, page)],
            "metadata": {
                "General": {
                    "title": path.stem,
                    "date": when.date().isoformat(),
                    "time": when.time().isoformat(),
                },
                "Signal": {"signal_type": f"EDS_{mode}"},
                "Acquisition_instrument": {
                    mode: {
                        "beam_energy": voltage,
                        "magnification": measured["MeasCond"]["Mag"],
                        "Detector": {
                            "EDS": {
                                "azimuth_angle": sem["DirAng"],
                                "detector_type": sem["DetT"],
                                "elevation_angle": sem["ElevAng"],
                                "energy_resolution_MnKa": sem["MnKaRES"],
                                "real_time": measured["Doc"]["RealTime"],
                            }
                        },
                    }
                },
            },
            "original_metadata": header,
            UNREAD: True,
        }
    ]


def _energy(measured: dict[str, Any], page: dict[str, Any]) -> dict[str, Any]:
    scale = float(measured["Doc"]["CoefA"])
    template = page["PARAMPAGE1_EDXRF"]["Tpl"][measured["Meas Cond"]["Tpl"]]
    offset = float(measured["Doc"]["CoefB"]) - scale * float(template["DigZ"])
    return {"name": "Energy", "size": _CHANNELS, "scale": scale, "offset": offset, "units": "keV"}


def _absent(shape: tuple[int, ...], dtype: str) -> Any:
    """Return an array that has a shape and takes no room."""
    import numpy as np  # noqa: PLC0415 - these formats only

    return np.broadcast_to(np.zeros((), dtype), shape)
