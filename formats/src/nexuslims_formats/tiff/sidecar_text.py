"""What a scanning microscope tells in plain text: in a file beside the image, or in a tag of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import Moment, Value
from nexuslims_formats.quantities import converted, quantity
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.tiff.vendor import Described, pixel_fields
from nexuslims_formats.values import leaves

_SUFFIXES = (".txt", ".TXT")
_LARGEST = 1 << 20
_FAR = 30.0
"""Times that two scales may differ: a picture is shown larger or smaller, not a thousand times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SemText:
    """What a text of one vendor holds."""

    vendor: str
    data_type: str
    entries: Mapping[str, str]
    """Every entry, by the vendor's name."""
    metadata: Mapping[str, Value]
    date: str = ""
    clock: str = ""
    size: tuple[int, int] | None = None
    """Columns and rows of the image, without the strip of words that may hang below it."""
    pixel_size: tuple[float, float] | None = None
    """Height and width of a pixel in metres."""
    derived: bool = False
    """Whether the pixel size was computed from the magnification, and is as good as that."""
    doubts: tuple[str, ...] = ()
    """What of the scale cannot be read, in words."""


def described_by(text: SemText, size: tuple[int, int], acquired: Moment | None) -> Described:
    """Return what a text tells of an image.

    Parameters
    ----------
    text
        The text.
    size
        Columns and rows of the image that it is beside.
    acquired
        When the image was taken.
    """
    metadata: dict[str, Value] = dict(text.metadata)
    fits = not misfit_of(text, size)
    pixel_size = text.pixel_size if fits else None
    metadata |= pixel_fields(pixel_size)
    doubtful = {"operator", *(("pixel_height", "pixel_width") if text.derived else ())}
    return Described(
        data_type=text.data_type,
        metadata=metadata,
        extensions=dict(leaves(text.entries, text.vendor)),
        acquired=acquired,
        pixel_size=pixel_size,
        rows=text.size[1] if text.size and fits else None,
        warnings=tuple(sorted(doubtful & metadata.keys())),
        doubts=text.doubts,
    )


def misfit_of(text: SemText, size: tuple[int, int]) -> str:
    """Return in words that a text is of another image; empty if it may be of this one.

    The image is as wide as the text tells, and at least as high: words may hang below it.

    Parameters
    ----------
    text
        The text.
    size
        Columns and rows of the image that it is beside.
    """
    if text.size is None or (text.size[0] == size[0] and text.size[1] <= size[1]):
        return ""
    return (
        f"its text is of an image of {text.size[0]} x {text.size[1]} pixels, but it has"
        f" {size[0]} x {size[1]}: no pixel size is taken from it"
    )


def text_beside(path: Path) -> str:
    """Return the text of the ``.txt`` of an image's name; empty where there is none of a sidecar.

    Raises
    ------
    UnreadableFileError
        It is there, but cannot be read or is damaged.
    UnsafeFileError
        It is a link that leads outside its folder.
    """
    for suffix in _SUFFIXES:
        sidecar = path.with_suffix(suffix)
        try:
            if not is_usable(sidecar) or sidecar.stat().st_size > _LARGEST:
                continue
            text = decode(sidecar.read_bytes())[0]
        except OSError as error:
            reason = f"{sidecar.name} beside it cannot be read: {error.strerror}"
            raise UnreadableFileError(reason) from None
        kept = text.rstrip("\0")
        if "\0" in kept or (text and not kept):
            raise UnreadableFileError(f"{sidecar.name} beside it is damaged: it is no text")
        return kept
    return ""


def metres(text: str, unit: str = "", *, comma: bool | None = None) -> float | None:
    """Return a positive length in metres; None for another, or one of an unknown unit.

    Parameters
    ----------
    text
        For example ``12.5 um``.
    unit
        Of a length that comes without one.
    comma
        Whether commas are decimal ones; None where that is not known.
    """
    length = converted(quantity(text, unit, comma=comma), "m")
    return length if length and length > 0 else None


def contradiction(stated: float | None, derived: float | None) -> str:
    """Return in words that a pixel is not nearly what the magnification makes of it.

    Parameters
    ----------
    stated, derived
        Its size in metres by the scale, and by the magnification; None where there is none.
    """
    if not stated or not derived or 1 / _FAR < stated / derived < _FAR:
        return ""
    return f"its scale is {stated / derived:.3g} times that which its magnification means"


def unread_length(name: str, text: str, unit: str = "", *, comma: bool | None = None) -> str:
    """Return in words that what a text states is no length; empty where it is one, or not stated.

    Parameters
    ----------
    name
        Of the entry.
    text
        The words of it.
    unit
        Of a length that comes without one.
    comma
        Whether commas are decimal ones; None where that is not known.
    """
    if not text or converted(quantity(text, unit, comma=comma), "m") is not None:
        return ""
    return f"{name} is {text!r}, which is no length that is known: no scale is taken from it"
