"""JEOL and Hitachi TIFF: the image is a plain one, its metadata a text beside it or in it."""

from pathlib import Path

from nexuslims_contracts.file_kinds import Companion
from nexuslims_formats.errors import UnreadableFileError, UnsafeFileError
from nexuslims_formats.locales.encodings import decode
from nexuslims_formats.model import Moment, ParsedFile
from nexuslims_formats.tiff.camera import time_of_tag
from nexuslims_formats.tiff.hitachi import read_hitachi
from nexuslims_formats.tiff.jeol_sem import MAKER_NOTE, NOTE_HEAD, read_jeol
from nexuslims_formats.tiff.sidecar_text import SemText, described_by, misfit_of, text_beside
from nexuslims_formats.tiff.tags import (
    DESCRIPTION,
    HEIGHT,
    WIDTH,
    Tiff,
    is_tiff,
    read_tiff,
)
from nexuslims_formats.tiff.vendor import Described, image_signals
from nexuslims_formats.times import first_moment, moment


class SemTextTiffExtractor:
    """Reads the text of a scanning microscope, and the directory of its image."""

    name = "sem_text_tiff"
    version = "1.0"
    priority = 60
    extensions = ("tif", "tiff")
    companions = (Companion(ending=".txt", of=("tif", "tiff", "bmp", "jpg")),)

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the text; by one that cannot be read too, so that it is reported."""
        if not is_tiff(head):
            return False
        text, problem = _read(read_tiff(path))
        return text is not None or bool(problem)

    def open(self, path: Path) -> ParsedFile:
        """Read the text; without it, the image alone is still a dataset."""
        tiff = read_tiff(path)
        text, problem = _read(tiff)
        problems = [problem] if problem else []
        if text is not None and (misfit := misfit_of(text, _size(tiff))):
            problems.append(misfit)
        return ParsedFile(
            signals=image_signals(tiff, _described(tiff, text)),
            native=dict(text.entries) if text else {},
            reader=f"tiff tags {self.version}",
            problems=tuple(problems),
        )


def _read(tiff: Tiff) -> tuple[SemText | None, str]:
    """Return what the text tells, in the file or beside it, and why one that is there does not."""
    note = tiff.raw(MAKER_NOTE)
    embedded = decode(note[len(NOTE_HEAD) + 1 :])[0] if note.startswith(NOTE_HEAD) else ""
    if text := read_jeol(embedded) or read_hitachi(tiff.text(DESCRIPTION)):
        return text, ""
    try:
        beside = text_beside(tiff.path)
    except (UnreadableFileError, UnsafeFileError) as error:
        return None, str(error)
    return read_jeol(beside) or read_hitachi(beside), ""


def _described(tiff: Tiff, text: SemText | None) -> Described:
    if text is None:
        when = time_of_tag(tiff)
        return Described(data_type="Image", metadata={}, extensions={}, acquired=when)
    return described_by(text, _size(tiff), _acquired(tiff, text))


def _size(tiff: Tiff) -> tuple[int, int]:
    return tiff.integer(WIDTH), tiff.integer(HEIGHT)


def _acquired(tiff: Tiff, text: SemText) -> Moment | None:
    """Return the time of the text, or else that of the image's own tag."""
    stated = moment("date and time of the microscope's text", text.date, text.clock)
    return first_moment(stated, time_of_tag(tiff))
