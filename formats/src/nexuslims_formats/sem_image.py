"""PNG, JPEG and BMP of scanning microscopes: the metadata is in a text beside, or XML within."""

from dataclasses import replace
from pathlib import Path

from nexuslims_formats.errors import UnreadableFileError, UnsafeFileError
from nexuslims_formats.model import Moment, ParsedFile, Signal
from nexuslims_formats.plain import IMAGE_HEADS, PlainImageExtractor
from nexuslims_formats.quantities import number, pixel_size
from nexuslims_formats.tiff.hitachi import read_hitachi
from nexuslims_formats.tiff.jeol_sem import read_jeol
from nexuslims_formats.tiff.phenom import described_by_phenom, phenom_tree, phenom_xml_of
from nexuslims_formats.tiff.sidecar_text import SemText, described_by, misfit_of, text_beside
from nexuslims_formats.tiff.tescan_header import Sections, core_fields, header_beside
from nexuslims_formats.tiff.vendor import Described, describe_signal
from nexuslims_formats.times import first_moment, moment
from nexuslims_formats.values import leaves


class SemImageExtractor:
    """Reads an image together with the text or header that a scanning microscope left beside it."""

    name = "sem_image"
    version = "1.0"
    priority = 60
    extensions = ("png", "jpg", "jpeg", "bmp")

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the file beside it, one that cannot be read too, or by Phenom's XML."""
        if not head.startswith(IMAGE_HEADS):
            return False
        text, problem = _text(path)
        beside = text is not None or bool(problem) or any(header_beside(path))
        return beside or bool(phenom_xml_of(path))

    def open(self, path: Path) -> ParsedFile:
        """Read the image as a plain one, and describe it by the file beside it."""
        plain = PlainImageExtractor().open(path)
        (signal,) = plain.signals
        rows, columns = signal.shape[:2]
        problems = list(plain.problems)
        text, problem = _text(path)
        described = None
        if text is not None:
            problem = misfit_of(text, (columns, rows))
            described = described_by(text, (columns, rows), _acquired(text, signal))
        elif any(header := header_beside(path)):
            sections, unread = header
            problem = problem or unread
            described = _by_header(sections, rows, signal) if sections else None
        elif xml := phenom_xml_of(path):
            tree, problem = phenom_tree(xml)
            described = described_by_phenom(tree, rows, signal.acquired)
        if problem:
            problems.append(problem)
        return replace(
            plain,
            signals=[describe_signal(signal, described) if described else signal],
            problems=tuple(problems),
        )


def _text(path: Path) -> tuple[SemText | None, str]:
    """Return JEOL's or Hitachi's text beside an image, and why one that is there tells nothing."""
    try:
        beside = text_beside(path)
    except (UnreadableFileError, UnsafeFileError) as error:
        return None, str(error)
    return read_jeol(beside) or read_hitachi(beside), ""


def _acquired(text: SemText, signal: Signal) -> Moment | None:
    stated = moment("date and time of the microscope's text", text.date, text.clock)
    return first_moment(stated, signal.acquired)


def _by_header(sections: Sections, rows: int, signal: Signal) -> Described:
    """Describe an image by Tescan's header; a strip of words may hang below it."""
    metadata, main = core_fields(sections), sections["MAIN"]
    strip = int(number(main.get("ImageStripSize")) or 0)
    return Described(
        data_type="SEM_Imaging",
        metadata=metadata,
        extensions=dict(leaves(sections, "tescan")),
        acquired=first_moment(
            moment("header Date and Time", main.get("Date"), main.get("Time")), signal.acquired
        ),
        pixel_size=pixel_size(metadata.get("pixel_height"), metadata.get("pixel_width")),
        rows=rows - strip if 0 < strip < rows else None,
        warnings=("operator",) if "operator" in metadata else (),
    )
