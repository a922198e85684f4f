"""What rosettasciio reads only with packages that we do without, read from the headers alone.

numba, sparse and scikit-image would double the size of the service, and serve the pixels of these
formats, or writing. Spectrum images that are streams of events are told with their shape and
metadata; they have no preview.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

Part: TypeAlias = dict[str, Any]

UNREAD: Final = "headers_only"
"""Marks a part whose data are not there."""
_CHANNELS: Final = 4096
_SEM_KV: Final = 30.0
_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - local time, as the file has it
_PTS: Final = 304
_PTS_HEADER: Final = 20
_PTS_DATE: Final = 296
"""Where the position of the header tree and the date stand, after magic, names and memo."""


def read_blockfile(path: Path) -> list[Part]:
    """Read a NanoMEGAS blockfile; scikit-image, which its module asks for, serves writing only."""
    with _standing_in("skimage"):
        module = importlib.import_module("rsciio.blockfile")
    parts: list[Part] = module.file_reader(str(path), lazy=True)
    return parts


def read_velox_headers(path: Path) -> list[Part]:
    """Read the images and spectra of a Velox file, and of its spectrum image the headers.

    The spectrum image covers the field of the image beside it, with the channels of its spectra.
    """
    module = importlib.import_module("rsciio.emd")
    importlib.import_module("dask.array")  # it would use the package, were it there
    with _standing_in("sparse"):
        spectra: list[Part] = module.file_reader(
            str(path), lazy=True, select_type="single_spectrum"
        )
        images: list[Part] = module.file_reader(str(path), lazy=True, select_type="images")
    parts = [*spectra, *images]
    plane = next((image["axes"] for image in images if len(image["axes"]) == 2), None)  # noqa: PLR2004 - rows and columns
    if not spectra or plane is None:
        return parts
    energy = spectra[0]["axes"][-1]
    shape = (*(axis["size"] for axis in plane), energy["size"])
    axes = [{**axis, "navigate": True} for axis in plane] + [energy]
    metadata = {**spectra[0]["metadata"], "General": dict(spectra[0]["metadata"]["General"])}
    metadata["General"]["title"] = "EDS"
    whole = {**spectra[0], "data": _absent(shape, "uint16"), "axes": axes, "metadata": metadata}
    return [*parts, {**whole, UNREAD: True}]


def read_jeol(path: Path) -> list[Part]:
    """Read what belongs to JEOL's Analysis Station; maps of spectra by their headers."""
    module = importlib.import_module("rsciio.jeol._api")
    readers: dict[str, Callable[..., list[Part]]] = module.extension_to_reader_mapping
    former = readers["pts"]
    readers["pts"] = lambda name, **_: _read_pts(Path(name), module)
    try:
        parts: list[Part] = module.file_reader(str(path), lazy=False)
    finally:
        readers["pts"] = former
    return parts


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


@contextmanager
def _standing_in(name: str) -> Iterator[None]:
    """Let a module be imported that imports a package which is not there, and does not use it."""
    absent = name not in sys.modules and importlib.util.find_spec(name) is None
    if absent:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__spec__ = ModuleSpec(name, None)
    try:
        yield
    finally:
        if absent:
            del sys.modules[name]
