"""TIFF as DigitalMicrograph exports it: the calibration of each axis in private tags.

References
----------
Tags 65003 to 65014: units as text, origins, scales, for x, y and z (measured on exported files).
"""

from pathlib import Path

from nexuslims_contracts.datasets import CHANNEL, Axis
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import ParsedFile, Signal
from nexuslims_formats.quantities import measures, spelled_unit
from nexuslims_formats.tiff.rasters import Raster, rasters
from nexuslims_formats.tiff.tags import Tiff, is_tiff, read_tiff

_UNIT, _ORIGIN, _SCALE = 65003, 65006, 65009
_ORDER = ("x", "y", "z")


class GatanTiffExtractor:
    """Reads the calibration that DigitalMicrograph exports; it exports no other metadata."""

    name = "gatan_tiff"
    version = "1.0"
    priority = 90
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the private tags of a scale and its unit."""
        if not is_tiff(head):
            return False
        tiff = read_tiff(path)
        return tiff.has(_SCALE) and tiff.has(_UNIT)

    def open(self, path: Path) -> ParsedFile:
        """Read the directory of each image."""
        tiff = read_tiff(path)
        scales: dict[str, tuple[float, float]] = {}
        units: dict[str, str] = {}
        for place, name in enumerate(_ORDER):
            step = tiff.numbers(_SCALE + place)
            origin = tiff.numbers(_ORIGIN + place)
            if step and step[0]:
                scales[name] = (step[0], -step[0] * origin[0] if any(origin) else 0.0)
                units[name] = spelled_unit(tiff.text(_UNIT + place))
        signals = [_signal(tiff, raster, scales, units) for raster in rasters(tiff)]
        if not signals:
            raise UnreadableFileError("the TIFF file holds no image")
        return ParsedFile(signals=signals, reader=f"tiff tags {self.version}")


def _signal(
    tiff: Tiff, raster: Raster, scales: dict[str, tuple[float, float]], units: dict[str, str]
) -> Signal:
    names = [*(["z"] if len(raster.pages) > 1 else []), "y", "x", CHANNEL]
    axes = []
    for name, size in zip(names, raster.shape, strict=False):
        scale, offset = scales.get(name, (1.0, 0.0))
        unit = units.get(name, "")
        axes.append(
            Axis(name=name, size=size, scale=scale, offset=offset, unit=unit, navigate=name == "z")
        )
    reciprocal = measures(units.get("x", "")) in ("inverse length", "angle")
    return Signal(
        name=tiff.path.stem,
        dataset_type="Diffraction" if reciprocal else "Image",
        data_type="TEM_Diffraction" if reciprocal else "TEM_Imaging",
        shape=raster.shape,
        dtype=raster.dtype,
        axes=tuple(axes),
        pixels=raster.pixels if not raster.problem else None,
        to_display=raster.to_display,
        problems=tuple(filter(None, (tiff.problem, raster.problem))),
    )
