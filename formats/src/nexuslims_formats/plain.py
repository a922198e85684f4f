"""Files without a vendor's metadata: plain images, text, and everything else."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexuslims_formats.errors import UnreadableFileError, UnsafeFileError
from nexuslims_formats.locales.encodings import decode, is_marked
from nexuslims_formats.model import ParsedFile, Signal, unknown_signal
from nexuslims_formats.mrc.epu import epu_beside
from nexuslims_formats.mrc.extended import Acquisition
from nexuslims_formats.quantities import pixel_size
from nexuslims_formats.tiff.imagej import (
    imagej_entries,
    imagej_pixel_size,
    imagej_stack_axes,
    shaped_stack_axes,
)
from nexuslims_formats.tiff.ome import (
    ome_acquired,
    ome_images,
    ome_pixel_size,
    ome_series,
    ome_stack_axes,
)
from nexuslims_formats.tiff.rasters import Raster, rasters
from nexuslims_formats.tiff.tags import (
    DATE_TIME,
    DESCRIPTION,
    MAKE,
    MODEL,
    SOFTWARE,
    Tiff,
    is_tiff,
    read_tiff,
)
from nexuslims_formats.tiff.vendor import (
    Described,
    counted_by,
    image_axes,
    image_signal,
    pixel_fields,
)
from nexuslims_formats.times import first_moment, moment

if TYPE_CHECKING:
    import numpy as np

IMAGE_HEADS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"GIF87a", b"GIF89a")
_ENDS = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "GIF": b"\0;"}
_TAIL_BYTES = 1 << 16
_MODES = {"1": "bool", "I": "int32", "F": "float32", "I;16": "uint16", "I;16B": "uint16"}
_TEXT_TAGS = {"description": DESCRIPTION, "make": MAKE, "model": MODEL, "software": SOFTWARE}
_MAX_PIXELS = 1 << 28
_BEGINNING_BYTES = 16384
_NETCDF = re.compile(rb"CDF[\x01\x02\x05]")
_HEADER_BYTES, _MRC_MARK, _PER_WAY = 1024, slice(208, 211), 100_000
"""MRCZ has the header of MRC, and adds 100,000 to its mode for each way to compress."""
_UNPRINTABLE = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class PlainTiffExtractor:
    """Reads a TIFF that no vendor's extractor knows."""

    name = "plain_tiff"
    version = "1.0"
    priority = 20
    extensions = ("tif", "tiff")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by TIFF's magic number."""
        del path
        return is_tiff(head)

    def open(self, path: Path) -> ParsedFile:
        """Read the directories."""
        tiff = read_tiff(path)
        texts = {name: tiff.text(code) for name, code in _TEXT_TAGS.items() if tiff.text(code)}
        images, problem = ome_images(tiff)
        beside = Acquisition()
        try:
            beside = epu_beside(path)
        except (UnreadableFileError, UnsafeFileError) as error:
            problem = problem or str(error)
        series = ome_series(tiff, images)
        signals = []
        for raster in rasters(tiff, series):
            image = images[series.get(raster.pages[0], 0)] if images else None
            signal = _image(tiff, raster, image, beside, texts)
            name = str(image.get("Name") or "").strip() if series and image is not None else ""
            signals.append(replace(signal, name=name or signal.name))
        if not signals:
            raise UnreadableFileError("the TIFF file holds no image")
        return ParsedFile(
            signals=signals,
            native=texts,
            reader=f"tiff tags {self.version}",
            problems=(problem,) if problem else (),
        )


def _image(
    tiff: Tiff, raster: Raster, image: Any, beside: Acquisition, texts: Mapping[str, str]
) -> Signal:
    """Return an image, or a stack with the axes that its description tells.

    Parameters
    ----------
    tiff
        The file.
    raster
        The pages.
    image
        What OME says of it, or None.
    beside
        What a file beside says of it.
    texts
        Those of the file's tags.
    """
    entries = imagej_entries(tiff)
    size, doubt = ome_pixel_size(image)
    if size is None and not doubt:
        size, doubt = imagej_pixel_size(tiff, entries)
    size = size or pixel_size(*map(beside.metadata.get, ("pixel_height", "pixel_width")))
    described = Described(
        data_type="TEM_Imaging" if beside.metadata else "Image",
        metadata={**beside.metadata, **pixel_fields(size)},
        extensions={
            **{f"tiff_{name}": text for name, text in texts.items()},
            **beside.extensions,
        },
        acquired=first_moment(
            ome_acquired(image),
            beside.acquired,
            moment("TIFF DateTime", tiff.text(DATE_TIME)),
        ),
        pixel_size=size,
        doubts=(doubt,) if doubt else (),
    )
    signal = image_signal(tiff, raster, described)
    pages = len(raster.pages)
    axes = (
        ome_stack_axes(tiff, image, pages)
        or imagej_stack_axes(entries, pages)
        or shaped_stack_axes(tiff, pages)
    )
    return counted_by(signal, axes) if axes else signal


class PlainImageExtractor:
    """Reads PNG, JPEG, BMP and GIF through Pillow."""

    name = "plain_image"
    version = "1.0"
    priority = 20
    extensions = ("png", "jpg", "jpeg", "bmp", "gif")
    endings: tuple[str, ...] = ()

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the magic numbers."""
        del path
        return head.startswith(IMAGE_HEADS)

    def open(self, path: Path) -> ParsedFile:
        """Read the size and mode; pixels are decoded for a preview only."""
        from PIL import Image, UnidentifiedImageError, __version__  # noqa: PLC0415 - images only

        try:
            with Image.open(path) as image:
                shape: tuple[int, ...] = (image.height, image.width)
                bands, mode, form = len(image.getbands()), image.mode, image.format
                stamp = image.getexif().get(DATE_TIME)
                info = {key: value for key, value in image.info.items() if isinstance(key, str)}
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
            raise UnreadableFileError(f"the image cannot be opened: {error}") from None
        if bands > 1:
            shape = (*shape, bands)
        signal = Signal(
            name=path.stem,
            dataset_type="Image",
            data_type="Image",
            shape=shape,
            dtype=_MODES.get(mode, "uint8"),
            axes=image_axes(shape, None),
            extensions={"image_format": form, "image_mode": mode},
            acquired=moment("EXIF DateTime", stamp),
            pixels=lambda: _decode(path),
        )
        return ParsedFile(
            signals=[signal],
            native=info,
            reader=f"pillow {__version__}",
            problems=() if _ends(path, str(form)) else ("the file ends within its image",),
        )


def _ends(path: Path, form: str) -> bool:
    """Whether an image file has its end; what programs add behind it does not matter."""
    mark = _ENDS.get(form)
    if mark is None:
        return True
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return mark in file.read()


def _decode(path: Path) -> "np.ndarray":
    import numpy as np  # noqa: PLC0415 - previews only
    from PIL import Image  # noqa: PLC0415 - images only

    with Image.open(path) as image:
        if image.width * image.height > _MAX_PIXELS:
            raise UnreadableFileError(f"the image claims {image.width} x {image.height} pixels")
        picture = (
            image.convert("RGB") if image.mode in ("P", "CMYK", "YCbCr", "LA", "RGBA") else image
        )
        return np.asarray(picture)


class TextExtractor:
    """Reads text in any encoding; see :mod:`nexuslims_formats.locales.encodings`."""

    name = "text"
    version = "1.0"
    priority = 20
    extensions = ("txt", "log", "csv", "mdoc", "md", "rtf", "json", "xml", "ini")
    endings: tuple[str, ...] = ()

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the name and the absence of control characters."""
        if path.suffix.lower().removeprefix(".") not in self.extensions:
            return False
        return is_marked(head) or not _UNPRINTABLE.search(head)

    def open(self, path: Path) -> ParsedFile:
        """Read the beginning; the rest does not matter to a preview."""
        with path.open("rb") as file:
            raw = file.read(_BEGINNING_BYTES)
        text, encoding = decode(raw, cut=path.stat().st_size > len(raw))
        signal = Signal(
            name=path.stem,
            dataset_type="Misc",
            data_type="Text",
            extensions={"text_encoding": encoding},
            text=text,
        )
        return ParsedFile(signals=[signal], native={"beginning": text[:2000]}, reader=encoding)


class FallbackExtractor:
    """Takes what nothing else reads: the file's own facts, dataset type Unknown."""

    name = "fallback"
    version = "1.0"
    priority = 0
    extensions: tuple[str, ...] = ()

    def supports(self, path: Path, head: bytes) -> bool:
        """Take any file."""
        del path, head
        return True

    def open(self, path: Path) -> ParsedFile:
        """Name the file; its modification time becomes the creation time."""
        with path.open("rb") as file:
            words = _known_by_name(file.read(_HEADER_BYTES))
        return ParsedFile(signals=[unknown_signal(path)], problems=(words,) if words else ())


def _known_by_name(head: bytes) -> str:
    """Return what a file is in words, where it is of a kind that is known by name only."""
    if _NETCDF.match(head):
        return "a netCDF file, which no reader takes"
    if head[_MRC_MARK] == b"MAP" and int.from_bytes(head[12:16], "little") // _PER_WAY in range(
        1, 10
    ):
        return "an MRCZ file, whose values are compressed"
    return ""
