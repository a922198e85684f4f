"""One file in, one reading out: never an exception for what is wrong with the file."""

import logging
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nexuslims_contracts.datasets import Dataset, ExtractorVersion
from nexuslims_contracts.events import FailureKind
from nexuslims_contracts.text import clean_text, printable
from nexuslims_formats.datasets import to_dataset
from nexuslims_formats.errors import ExtractorError, UnreadableFileError, UnsupportedFileError
from nexuslims_formats.hdf5.links import check_links
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.model import (
    NOBODY,
    InstrumentContext,
    Outcome,
    ParsedFile,
    Signal,
    unknown_signal,
)
from nexuslims_formats.registry import HEAD_BYTES, Extractor, choose, is_misnamed
from nexuslims_formats.stores import head_of, store_of

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

Step: TypeAlias = Literal["reading", "finishing"]
"""Reading the file's headers; then validating, drawing and writing what they hold."""
OnStep: TypeAlias = Callable[[Step, ExtractorVersion], None]
Amend: TypeAlias = Callable[[ParsedFile, Path], ParsedFile]

_REASON_LENGTH = 500
_NAME_LENGTH = 255
_APPLE_DOUBLE = b"\x00\x05\x16\x07"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a file holds: validated datasets, and lazily their pixels.

    ``outcome`` is ``extracted``; ``partial`` where something could not be read or validated;
    ``unsupported`` where the file is sound, but nobody reads it (its one dataset is Unknown);
    ``failed`` where nothing could be read. ``reason`` says why, for all but the first.
    """

    path: Path
    outcome: Outcome
    reason: str | None = None
    failure: FailureKind | None = None
    extractor: ExtractorVersion = NOBODY
    datasets: tuple[Dataset, ...] = ()
    problems: tuple[str, ...] = ()
    """What could not be read or validated, in words."""
    native: Mapping[str, Any] = field(default_factory=dict)
    """The vendor's whole metadata."""
    signals: tuple[Signal, ...] = ()
    """The datasets before validation, which open the pixels."""

    @property
    def failed(self) -> bool:
        """Whether nothing usable came of it."""
        return self.outcome in ("failed", "unsupported")

    def pixels(self, index: int = 0) -> "np.ndarray | None":
        """Open the array of a dataset: a memory map, or read where it is sliced, if possible.

        Parameters
        ----------
        index
            Which dataset.

        Returns
        -------
        numpy.ndarray or None
            Shaped as the dataset (of a long stack some evenly spaced pages); None where the file
            has no pixels, or they cannot be read.
        """
        opener = self.signals[index].pixels
        return opener() if opener else None

    def preview(self, index: int = 0) -> bytes | None:
        """Draw a dataset as PNG; None where there is nothing to show.

        Parameters
        ----------
        index
            Which dataset.

        Raises
        ------
        ExtractorError
            Its pixels are not what the header claims; readers may raise others.
        """
        from nexuslims_formats.previews import render_preview  # noqa: PLC0415 - Pillow is slow

        return render_preview(self.signals[index])

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame``: a row for each dataset, columns named with their units.

        Raises
        ------
        MissingLibraryError
            pandas is not installed.
        """
        from nexuslims_formats.rows import data_frame  # noqa: PLC0415 - with what it is for

        return data_frame(self.datasets)

    def _repr_html_(self) -> str:
        """Return the file as a notebook shows it: what came of it, a table, previews."""
        from nexuslims_formats.notebook import as_html  # noqa: PLC0415 - for notebooks only

        return as_html(self)


def read(
    path: Path | str,
    *,
    instrument: InstrumentContext | None = None,
    amend: Amend | None = None,
    on_step: OnStep | None = None,
) -> Reading:
    """Read the metadata of a microscope file.

    Parameters
    ----------
    path
        The file; it is only read. Of a folder that is one dataset, the folder or the file in it
        that stands for it (:mod:`nexuslims_formats.stores`).
    instrument
        The microscope it comes from: its zone places local times.
    amend
        Changes what the extractor read before it is validated: what is known of the instrument.
    on_step
        Called with what is done next, and by which extractor: should the process not survive it.

    Returns
    -------
    Reading
        Whatever is wrong with the file is in its outcome, never an exception.
    """
    path = store_of(Path(path))
    plugin: Extractor | None = None
    reading = Reading(path=path, outcome="failed")
    try:
        head = _head(path)
        plugin = choose(path, head)
        reading = replace(reading, extractor=_version(plugin))
        if on_step:
            on_step("reading", reading.extractor)
        parsed = _parse(plugin, path, head)
        parsed = amend(parsed, path) if amend else parsed
        reading = replace(reading, extractor=_version(plugin, parsed))
        if on_step:
            on_step("finishing", reading.extractor)
        return _settled(_validated(reading, parsed, instrument))
    except UnsupportedFileError as error:
        unknown = ParsedFile(signals=[unknown_signal(path)])
        return _unsupported(
            _validated(reading, unknown, instrument), [f"{_named(plugin)}{cause_of(error)}"]
        )
    except Exception as error:
        log.debug("%s: not read", path, exc_info=True)
        reason = reason_of(path, [f"{_named(plugin)}{cause_of(error)}"])
        return replace(reading, outcome="failed", reason=reason, failure=_failure(error, plugin))


get_full_meta = read
"""The name by which NexusLIMS's users know it; it returns a :class:`Reading`, not a dict."""


def _settled(reading: Reading) -> Reading:
    """Return a reading as it is, unless nobody but the fallback took the file."""
    if any(dataset.dataset_type != "Unknown" for dataset in reading.datasets):
        return reading
    return _unsupported(reading, reading.problems or ("no reader knows this kind of file",))


def _unsupported(reading: Reading, problems: Sequence[str]) -> Reading:
    """Return a reading of a sound file that nobody reads: its dataset says that it is there."""
    reason = reason_of(reading.path, problems)
    return replace(reading, outcome="unsupported", reason=reason, failure="unsupported")


def _head(path: Path) -> bytes:
    """Return the first bytes of a file; a device or a pipe is never opened."""
    path = head_of(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnreadableFileError("not a regular file")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise UnreadableFileError("the file is empty")
    if head.startswith(_APPLE_DOUBLE):
        raise UnsupportedFileError("a shadow file of macOS: it holds no image")
    return head


def _parse(plugin: Extractor, path: Path, head: bytes) -> ParsedFile:
    if is_hdf5(head):
        check_links(path)
    parsed = plugin.open(path)
    if is_misnamed(path, plugin):
        problem = f"named {printable(path.suffix)}, but the content is of no kind that is known"
        parsed = replace(parsed, problems=(*parsed.problems, problem))
    return parsed


def _validated(
    reading: Reading, parsed: ParsedFile, instrument: InstrumentContext | None
) -> Reading:
    """Return a reading with the datasets that the signals make."""
    problems = list(parsed.problems)
    mtime = reading.path.stat().st_mtime
    datasets: list[Dataset] = []
    signals: list[Signal] = []
    for index, signal in enumerate(parsed.signals):
        dataset, refused = to_dataset(
            signal, index, instrument=instrument, mtime=mtime, file=reading.path.name
        )
        problems += [*refused, *(one for one in signal.problems if one not in problems)]
        datasets.append(dataset)
        signals.append(replace(signal, axes=dataset.axes))
    return replace(
        reading,
        outcome="partial" if problems else "extracted",
        reason=reason_of(reading.path, problems),
        problems=tuple(problems),
        datasets=tuple(datasets),
        signals=tuple(signals),
        native=parsed.native,
    )


def _version(plugin: Extractor, parsed: ParsedFile | None = None) -> ExtractorVersion:
    return ExtractorVersion(
        name=plugin.name, version=plugin.version, reader=parsed.reader if parsed else ""
    )


def _named(plugin: Extractor | None) -> str:
    return f"{plugin.name} {plugin.version}: " if plugin else ""


def _failure(error: Exception, plugin: Extractor | None) -> FailureKind:
    if isinstance(error, FileNotFoundError) and plugin is None:
        return "missing"
    if isinstance(error, MemoryError):
        return "memory"
    return "failed" if plugin else "unreadable"


def reason_of(path: Path, problems: Sequence[str]) -> str | None:
    """Return the problems of a file in one sentence that begins with its name; None without any.

    Parameters
    ----------
    path
        The file.
    problems
        What is wrong with it, in words.
    """
    if not problems:
        return None
    name = printable(path.name or str(path))[:_NAME_LENGTH]
    return clean_text(f"{name}: {'; '.join(problems)}")[:_REASON_LENGTH]


def cause_of(error: Exception) -> str:
    """Return an error in words; one that no reader foresaw is most often a damaged file."""
    if isinstance(error, MemoryError):
        return "needs more memory than allowed"
    words = str(error).strip()
    if isinstance(error, ExtractorError):
        return words
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    kind = type(error).__name__
    return (
        f"the file is damaged, or of an unknown variant ({f'{kind}: {words}' if words else kind})"
    )
