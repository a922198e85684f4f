"""One file in, one outcome out: what the formats read, with profile, previews and artifacts."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from nexuslims_contracts.datasets import ArtifactRef, Dataset
from nexuslims_contracts.metadata import with_qudt
from nexuslims_contracts.text import clean_text
from nexuslims_extractor.extraction import Extraction, FileFacts, file_facts
from nexuslims_extractor.operators import with_ids
from nexuslims_extractor.profiles import load_profiles, with_problem, with_profile
from nexuslims_formats.errors import ExtractorError
from nexuslims_formats.json_tree import artifact_paths, to_json_bytes
from nexuslims_formats.model import NOBODY, InstrumentContext, ParsedFile
from nexuslims_formats.reading import Amend, OnStep, Reading, cause_of, read, reason_of
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.errors import DiskError

log = logging.getLogger(__name__)

Write: TypeAlias = Callable[[Path, str, bytes], ArtifactRef]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is written of a file, and where."""

    root: Path | None
    relative: str
    previews: bool
    documents: bool
    write: Write


def extract_file(
    path: Path | str,
    *,
    instrument: InstrumentContext | None = None,
    profiles: Path | None = None,
    relative_path: str | None = None,
    artifacts_root: Path | None = None,
    previews: bool = False,
    documents: bool = True,
    hashed: bool = True,
    people_key: bytes = b"",
    on_step: OnStep | None = None,
    write: Write = write_artifact,
) -> Extraction:
    """Extract the metadata of a file, and its previews and artifacts where they are asked for.

    Parameters
    ----------
    path
        The file; it is only read.
    instrument
        The microscope it comes from: its zone places local times.
    profiles
        Folder with the facility's own profiles of instruments.
    relative_path
        Where the artifacts go below ``artifacts_root``; the file's name by default.
    artifacts_root
        The data folder; without one nothing is written.
    previews
        Whether to draw previews, which reads the data.
    documents
        Whether to write the metadata artifacts, where there is a folder for them.
    hashed
        Whether to read all of the file for its hash; left empty otherwise.
    people_key
        What ids of people are derived with, who then stand for the names that the file has;
        without it, names stay as they are.
    on_step
        Called with what is done next, and by which extractor: should the process not survive it.
    write
        Writes an artifact: takes the data folder, the place below it and the content.

    Returns
    -------
    Extraction
        With outcome ``extracted``; ``partial`` (something could not be read, drawn or validated),
        ``unsupported`` or ``failed``, all three with a reason.

    Raises
    ------
    DiskError
        If an artifact cannot be written: the disk is full, or the folder is not ours.
    """
    path = Path(path)
    before = _stamp(path)
    try:
        facts = file_facts(path, hashed=hashed)
    except (OSError, ValueError, ExtractorError) as error:
        return _unreadable(path, error)
    amend = _by_profile(instrument, profiles)
    reading = read(path, instrument=instrument, amend=amend, on_step=on_step)
    reading, people = with_ids(reading, people_key) if people_key else (reading, {})
    wanted = _Wanted(artifacts_root, relative_path or path.name, previews, documents, write)
    result = replace(_written(facts, reading, wanted), people=people)
    if _stamp(path) != before:
        reason = reason_of(path, ["the file changed while it was read"])
        return replace(result, outcome="failed", reason=reason, failure="changed", datasets=())
    return result


def _unreadable(path: Path, error: Exception) -> Extraction:
    """Return the outcome of a file that could not be opened, or is not there."""
    return Extraction(
        file=FileFacts(str(path), 0, "", ""),
        outcome="failed",
        reason=reason_of(path, [cause_of(error)]),
        failure="missing" if isinstance(error, FileNotFoundError) else "unreadable",
        extractor=NOBODY,
    )


def _by_profile(instrument: InstrumentContext | None, profiles: Path | None) -> Amend:
    """Return what applies the instrument's profile, which is read when a file was."""

    def amend(parsed: ParsedFile, source: Path) -> ParsedFile:
        if instrument is None:
            return parsed
        known = load_profiles(profiles)
        if problem := known.missing(instrument.pid):
            parsed = with_problem(parsed, problem)
        profile = known.by_instrument.get(instrument.pid)
        return with_profile(parsed, profile, source) if profile else parsed

    return amend


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return size and time, in which a file differs from a later state of it."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _written(facts: FileFacts, reading: Reading, wanted: _Wanted) -> Extraction:
    """Return an extraction, with previews and documents written where they are wanted."""
    result = Extraction(
        file=facts,
        outcome=reading.outcome,
        extractor=reading.extractor,
        reason=reading.reason,
        failure=reading.failure,
        datasets=reading.datasets,
    )
    if reading.failed or wanted.root is None:
        return result
    places = artifact_paths(wanted.relative, len(reading.datasets))
    if wanted.previews:
        result = _with_previews(result, reading, wanted, [preview for _, preview in places])
    if wanted.documents:
        written = [
            wanted.write(wanted.root, place, _document(dataset, reading))
            for dataset, (place, _) in zip(result.datasets, places, strict=True)
        ]
        result = replace(result, metadata_artifacts=tuple(written))
    return result


def _with_previews(
    result: Extraction, reading: Reading, wanted: _Wanted, places: Sequence[str]
) -> Extraction:
    problems = list(reading.problems)
    datasets: list[Dataset] = []
    drawn: list[ArtifactRef] = []
    for index, (dataset, place) in enumerate(zip(reading.datasets, places, strict=True)):
        preview, problem = _preview(reading, index, wanted, place)
        if problem:
            problems.append(problem)
        if preview:
            drawn.append(preview)
            datasets.append(dataset.model_copy(update={"preview": preview}))
        else:
            why = problem or f"no preview: {_undrawn(reading, index)}"
            datasets.append(dataset.model_copy(update={"warnings": (*dataset.warnings, why)}))
    return replace(
        result,
        outcome="partial" if problems else "extracted",
        reason=reason_of(reading.path, problems),
        datasets=tuple(datasets),
        previews=tuple(drawn),
    )


def _preview(
    reading: Reading, index: int, wanted: _Wanted, place: str
) -> tuple[ArtifactRef | None, str]:
    """Draw and write a preview; what goes wrong in drawing costs the preview only."""
    name = reading.signals[index].name
    try:
        data = reading.preview(index)
    except DiskError:
        raise
    except Exception as error:
        log.debug("%s: no preview", name, exc_info=True)
        return None, f"no preview of {clean_text(name)!r}: {cause_of(error)}"
    if not data or wanted.root is None:
        return None, ""
    return wanted.write(wanted.root, place, data), ""


def _undrawn(reading: Reading, index: int) -> str:
    """Return in words why a dataset has nothing to draw."""
    signal = reading.signals[index]
    if reasons := signal.undrawn or "; ".join(signal.problems):
        return reasons
    return "its values cannot be read" if signal.shape else "it holds no image"


def _document(dataset: Dataset, reading: Reading) -> bytes:
    """Return the metadata artifact: the normalised fields first, then the vendor's whole tree."""
    normalised = with_qudt(dataset.model_dump(mode="json", exclude={"preview"}))
    return to_json_bytes(
        {
            "nx_meta": normalised,
            "extractor": reading.extractor.model_dump(mode="json"),
            "original_metadata": reading.native,
        }
    )
