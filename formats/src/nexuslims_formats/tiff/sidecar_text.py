"""What a scanning microscope tells in plain text: in a file beside the image, or in a tag of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.model import Value
from nexuslims_formats.plain import decode_text
from nexuslims_formats.sidecars import is_usable
from nexuslims_formats.values import quantity, unit_of

_SUFFIXES = (".txt", ".TXT")
_LARGEST = 1 << 20
METRES = {"pm": 1e-12, "nm": 1e-9, "um": 1e-6, "mm": 1e-3, "m": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class SemText:
    """What a text in a vendor's dialect tells."""

    vendor: str
    data_type: str
    told: Mapping[str, str]
    """Every entry, by the vendor's name."""
    metadata: Mapping[str, Value]
    date: str = ""
    clock: str = ""
    size: tuple[int, int] | None = None
    """Columns and rows of the image, without the strip of words that may hang below it."""
    pixel_size: tuple[float, float] | None = None
    """Height and width of a pixel in metres."""


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
            text = sidecar_text(sidecar.read_bytes())
        except OSError as error:
            reason = f"{sidecar.name} beside it cannot be read: {error.strerror}"
            raise UnreadableFileError(reason) from None
        kept = text.rstrip("\0")
        if "\0" in kept or (text and not kept):
            raise UnreadableFileError(f"{sidecar.name} beside it is damaged: it is no text")
        return kept
    return ""


def sidecar_text(raw: bytes) -> str:
    """Return a text in UTF-8, a Windows code page, or UTF-16 with a byte order mark or without."""
    for place, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(raw) > 1 and raw[place] == 0 and raw[1 - place] != 0:
            return raw.decode(encoding, "replace")
    return decode_text(raw)[0]


def told_quantity(text: str, unit: str) -> tuple[float, str] | None:
    """Return ``(number, unit)`` of a text like ``15000 Volt``; ``unit`` where the text has none.

    A unit of another kind stays as it is: the schema refuses and reports it.
    """
    found = quantity(text, unit)
    if found is None:
        return None
    return found[0], unit_of(found[1]) or found[1]


def told_metres(text: str, unit: str = "") -> float | None:
    """Return a positive length in metres; None for another or one whose unit is not known."""
    length = told_quantity(text, unit)
    if length is None or length[0] <= 0 or length[1] not in METRES:
        return None
    return length[0] * METRES[length[1]]


def told_fields(
    told: Mapping[str, str], fields: Iterable[tuple[str, str, str]]
) -> Iterator[tuple[str, Value]]:
    """Yield the fields of a table ``(field, vendor's name, default unit)``; the first told wins.

    A unit of ``text`` takes the words as they are, one of ``number`` the count, if it is of any;
    where the default is empty, only a value that tells its unit is taken.
    """
    done: set[str] = set()
    for field, name, unit in fields:
        text = told.get(name, "").strip()
        if not text or field in done:
            continue
        value = _value(text, unit)
        if value is not None:
            done.add(field)
            yield field, value


def _value(text: str, unit: str) -> Value | None:
    if unit == "text":
        return text
    found = told_quantity(text, "" if unit == "number" else unit)
    if found is None:
        return None
    if unit == "number":
        return found[0] if found[0] > 0 else None
    return found if found[1] else None
