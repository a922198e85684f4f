"""What the extractors of vendors' TIFF files share: rasters to signals, ini text, XML, tables."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nexuslims_contracts.datasets import Axis, DatasetType
from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import Moment, Signal, Value
from nexuslims_formats.tiff.tags import Raster, Tiff, rasters
from nexuslims_formats.values import lines_of, quantity, unit_told

if TYPE_CHECKING:
    import numpy as np

_LENGTHS = ((1e-6, 1e-9, "nm"), (1e-3, 1e-6, "um"))
_COLOURS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a vendor's metadata says of the images of a file."""

    data_type: str
    metadata: Mapping[str, Value]
    extensions: Mapping[str, Any]
    acquired: Moment | None = None
    dataset_type: DatasetType = "Image"
    pixel_size: tuple[float, float] | None = None
    """Height and width of a pixel in metres."""
    rows: int | None = None
    """Rows of the image proper, where a strip of words hangs below it."""
    warnings: tuple[str, ...] = ()


def image_signals(tiff: Tiff, described: Described) -> list[Signal]:
    """Return a signal for each raster of a file, all with the vendor's metadata."""
    found = rasters(tiff)
    if not found:
        raise UnreadableFileError("the TIFF file holds no image")
    return [_signal(tiff, raster, described) for raster in found]


def _signal(tiff: Tiff, raster: Raster, described: Described) -> Signal:
    return Signal(
        name=tiff.path.stem,
        dataset_type=described.dataset_type,
        data_type=described.data_type,
        shape=raster.shape,
        dtype=raster.dtype,
        axes=image_axes(raster.shape, described.pixel_size, pages=len(raster.pages) > 1),
        metadata=described.metadata,
        extensions=described.extensions,
        warnings=described.warnings,
        acquired=described.acquired,
        pixels=_pixels(raster, described.rows),
        problems=tuple(filter(None, (tiff.problem, raster.problem))),
    )


def _pixels(raster: Raster, rows: int | None) -> "Callable[[], np.ndarray] | None":
    if raster.problem:
        return None
    return raster.pixels if rows is None else lambda: raster.pixels()[:rows]


def image_axes(
    shape: tuple[int, ...], pixel_size: tuple[float, float] | None, *, pages: bool = False
) -> tuple[Axis, ...]:
    """Return the axes of an image, or of a stack of pages, with the pixel size in a readable unit.

    Parameters
    ----------
    shape
        ``(pages, rows, columns, channels)``, the first and the last where there are any.
    pixel_size
        Height and width in metres.
    pages
        Whether the first axis counts pages.
    """
    axes = [Axis(name="page", size=shape[0], navigate=True)] if pages else []
    spatial = shape[1:] if pages else shape
    for name, size, metres in zip(("y", "x"), spatial, pixel_size or (0.0, 0.0), strict=False):
        if metres:
            scale, unit = readable_length(metres)
            axes.append(Axis(name=name, size=size, scale=scale, unit=unit))
        else:
            axes.append(Axis(name=name, size=size))
    if len(spatial) == _COLOURS:
        axes.append(Axis(name="channel", size=spatial[2]))
    return tuple(axes)


def readable_length(metres: float) -> tuple[float, str]:
    """Return a length in nm, um or mm, whichever reads best."""
    for limit, factor, unit in _LENGTHS:
        if abs(metres) < limit:
            return metres / factor, unit
    return metres / 1e-3, "mm"


def ini_sections(text: str) -> dict[str, dict[str, str]]:
    """Return the sections of a vendor's ini text; what comes before the first is under ``""``.

    Vendors repeat section names (``[MultiGISGas1]`` once per unit): a repeated one is numbered.
    """
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = sections.setdefault("", {})
    names = _Names()
    for line in lines_of(text):
        entry = line.strip().strip("\0")
        if entry.startswith("[") and entry.endswith("]"):
            current = sections.setdefault(names.unused(entry[1:-1]), {})
        elif "=" in entry:
            key, _, value = entry.partition("=")
            current[key.strip()] = value.strip()
    return {name: section for name, section in sections.items() if section}


def parse_xml(data: bytes) -> Any:
    """Return the root of foreign XML, read without entities, network or size limits lifted.

    Raises
    ------
    UnreadableFileError
        It is not well-formed.
    """
    from lxml import etree  # noqa: PLC0415 - XML only

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False
    )
    try:
        return etree.fromstring(data.strip(b"\0 \r\n\t"), parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableFileError(f"the XML metadata is damaged: {error}") from None


def xml_tree(element: Any) -> Any:
    """Return an element as nested dicts; repeated children are numbered ``name#2``."""
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        return (element.text or "").strip()
    names = _Names()
    return {
        names.unused(child.get("name") or child.tag.rpartition("}")[2]): xml_tree(child)
        for child in children
    }


class _Names:
    """Numbers the names that repeat: ``name``, ``name#2``, ..."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._last: Counter[str] = Counter()

    def unused(self, name: str) -> str:
        """Return the name, or the next number of it."""
        found = name
        while found in self._taken:
            self._last[name] += 1
            found = f"{name}#{self._last[name] + 1}"
        self._taken.add(found)
        return found


def mapped(
    look_up: Callable[[str], Any], fields: tuple[tuple[str, str, str], ...]
) -> Iterator[tuple[str, Value]]:
    """Yield the fields of a table ``(field, vendor's path, unit)``; the first path told wins.

    A unit of ``text`` takes the words as they are; an empty one is a plain number. Where the value
    names a unit of the same kind, that one counts.
    """
    done: set[str] = set()
    for field, path, unit in fields:
        if field in done:
            continue
        value = look_up(path)
        if unit == "text":
            words = str(value or "").strip()
            if words:
                done.add(field)
                yield field, words
        elif found := quantity(value):
            done.add(field)
            told = unit_told(found[1], unit) or unit
            yield field, ((found[0], told) if unit else found[0])


def nested(tree: Mapping[str, Any], *, whole: bool = False) -> Callable[[str], Any]:
    """Return a look-up of slash-separated paths in nested dicts; branches if ``whole``."""

    def look_up(path: str) -> Any:
        node: Any = tree
        for part in path.split("/"):
            node = node.get(part) if isinstance(node, Mapping) else None
        return None if isinstance(node, Mapping) and not whole else node

    return look_up
