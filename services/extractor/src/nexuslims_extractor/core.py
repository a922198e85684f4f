"""One file in, one outcome out: never an exception for what is wrong with the file."""

import hashlib
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from nexuslims_contracts.datasets import ArtifactRef, Dataset, ExtractorVersion
from nexuslims_contracts.metadata import with_qudt
from nexuslims_contracts.text import clean_text, printable
from nexuslims_extractor.profiles import profile_of, with_profile
from nexuslims_formats.datasets import to_dataset
from nexuslims_formats.errors import ExtractorError, UnsupportedFileError
from nexuslims_formats.hdf5.links import check_links
from nexuslims_formats.hdf5.signature import is_hdf5
from nexuslims_formats.json_tree import artifact_paths, to_json_bytes
from nexuslims_formats.model import (
    NOBODY,
    Extraction,
    FileFacts,
    InstrumentContext,
    ParsedFile,
    Signal,
)
from nexuslims_formats.registry import HEAD_BYTES, Extractor, choose, is_misnamed
from nexuslims_formats.values import from_mtime
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.errors import DiskError

log = logging.getLogger(__name__)

Step: TypeAlias = Literal["reading", "finishing"]
"""Reading the file's headers; then validating, drawing and writing what they tell."""
OnStep: TypeAlias = Callable[[Step, ExtractorVersion], None]

_CHUNK = 1 << 20
_REASON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is written of a file, and where."""

    root: Path | None
    relative: str
    previews: bool
    documents: bool


def extract_file(
    path: Path | str,
    *,
    instrument: InstrumentContext | None = None,
    relative_path: str | None = None,
    artifacts_root: Path | None = None,
    previews: bool = False,
    documents: bool = True,
    on_step: OnStep | None = None,
) -> Extraction:
    """Extract the metadata of a file, and its previews and artifacts where they are asked for.

    Parameters
    ----------
    path
        The file; it is only read.
    instrument
        The microscope it comes from: its zone places local times.
    relative_path
        Where the artifacts go below ``artifacts_root``; the file's name by default.
    artifacts_root
        The data folder; without one nothing is written.
    previews
        Whether to draw previews, which reads the data.
    documents
        Whether to write the metadata artifacts, where there is a folder for them.
    on_step
        Told what is about to be done, and by which extractor: it may not live to tell itself.

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
    wanted = _Wanted(artifacts_root, relative_path or path.name, previews, documents)
    result = _extract(path, instrument, wanted, on_step or _untold)
    if result.file.sha256 and _stamp(path) != before:
        reason = f"{printable(path.name)}: the file changed while it was read"
        return replace(result, outcome="failed", reason=reason, failure="changed", datasets=())
    return result


def _extract(
    path: Path,
    instrument: InstrumentContext | None,
    wanted: _Wanted,
    on_step: OnStep,
) -> Extraction:
    try:
        facts = file_facts(path)
    except (OSError, ExtractorError) as error:
        return Extraction(
            file=FileFacts(str(path), 0, "", ""),
            outcome="failed",
            reason=f"{printable(path.name)}: {_cause(error)}",
            failure="missing" if isinstance(error, FileNotFoundError) else "unreadable",
            extractor=NOBODY,
        )
    result = Extraction(file=facts, outcome="failed", extractor=NOBODY)
    if facts.bytes == 0:
        return replace(
            result, reason=f"{printable(path.name)}: the file is empty", failure="unreadable"
        )
    plugin: Extractor | None = None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        plugin = choose(path, head)
        result = replace(result, extractor=_version(plugin))
        on_step("reading", result.extractor)
        parsed = _parse(plugin, path, head, instrument)
        result = replace(result, extractor=_version(plugin, parsed))
        on_step("finishing", result.extractor)
        return _finish(result, path, parsed, instrument, wanted)
    except DiskError:
        raise  # a full disk says nothing about the file: whoever asked asks again
    except UnsupportedFileError as error:
        reason = _reason(path, plugin, error)
        return replace(result, outcome="unsupported", reason=reason, failure="unsupported")
    except Exception as error:
        log.debug("%s: extraction failed", path, exc_info=True)
        return replace(
            result,
            outcome="failed",
            reason=_reason(path, plugin, error),
            failure="memory" if isinstance(error, MemoryError) else "failed",
        )


def _parse(
    plugin: Extractor, path: Path, head: bytes, instrument: InstrumentContext | None
) -> ParsedFile:
    """Have a plugin read the headers, and add what is known of the instrument."""
    if is_hdf5(head):
        check_links(path)
    parsed = plugin.open(path)
    if is_misnamed(path, plugin):
        problem = f"named {printable(path.suffix)}, but the content is of no kind that is known"
        parsed = replace(parsed, problems=(*parsed.problems, problem))
    profile = profile_of(instrument)
    return with_profile(parsed, profile, path) if profile else parsed


def _untold(step: Step, extractor: ExtractorVersion) -> None:
    """Tell nobody."""
    del step, extractor


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from a later state of it: size and time."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def file_facts(path: Path) -> FileFacts:
    """Return what the file system and the content's hash tell of a file.

    Raises
    ------
    OSError
        It is missing or may not be read.
    ExtractorError
        It is not a regular file: a device, a pipe or a folder is never opened.
    """
    # not waiting for a writer, should the name be a pipe
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ExtractorError("not a regular file")
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    when = from_mtime(status.st_mtime).isoformat()
    return FileFacts(str(path), status.st_size, when, digest)


def _version(plugin: Extractor, parsed: ParsedFile | None = None) -> ExtractorVersion:
    return ExtractorVersion(
        name=plugin.name, version=plugin.version, reader=parsed.reader if parsed else ""
    )


def _reason(path: Path, plugin: Extractor | None, error: Exception) -> str:
    """Return why a file failed, naming the extractor and the cause."""
    who = f"{plugin.name} {plugin.version}: " if plugin else ""
    return clean_text(f"{printable(path.name)}: {who}{_cause(error)}")[:_REASON_LENGTH]


def _cause(error: Exception) -> str:
    """Return an error in words; what a reader did not foresee is told as what it mostly is."""
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


def _finish(
    result: Extraction,
    path: Path,
    parsed: ParsedFile,
    instrument: InstrumentContext | None,
    wanted: _Wanted,
) -> Extraction:
    """Validate the signals, draw and write what is asked for."""
    problems = list(parsed.problems)
    mtime = datetime.fromisoformat(result.file.mtime).timestamp()
    datasets: list[Dataset] = []
    written: list[ArtifactRef] = []
    drawn: list[ArtifactRef] = []
    places = artifact_paths(wanted.relative, len(parsed.signals))
    for index, signal in enumerate(parsed.signals):
        dataset, refused = to_dataset(
            signal, index, instrument=instrument, mtime=mtime, file=path.name
        )
        problems += [*refused, *(one for one in signal.problems if one not in problems)]
        if wanted.root is not None and wanted.previews:
            drawable = replace(signal, axes=dataset.axes)
            preview, problem = _preview(drawable, wanted.root, places[index][1])
            problems += [problem] if problem else []
            if preview:
                drawn.append(preview)
                dataset = dataset.model_copy(update={"preview": preview})
        datasets.append(dataset)
    if wanted.root is not None and wanted.documents:
        for dataset, (place, _) in zip(datasets, places, strict=True):
            document = _document(dataset, result, parsed)
            written.append(write_artifact(wanted.root, place, document))
    return replace(
        result,
        outcome="partial" if problems else "extracted",
        reason=clean_text(f"{printable(path.name)}: {'; '.join(problems)}")[:_REASON_LENGTH]
        if problems
        else None,
        datasets=tuple(datasets),
        metadata_artifacts=tuple(written),
        previews=tuple(drawn),
    )


def _preview(signal: Signal, root: Path, place: str) -> tuple[ArtifactRef | None, str]:
    """Draw and write a preview; what goes wrong in it costs the preview only."""
    from nexuslims_formats.previews import render_preview  # noqa: PLC0415 - previews only

    try:
        data = render_preview(signal)
    except Exception as error:
        log.debug("%s: no preview", signal.name, exc_info=True)
        return None, f"no preview of {clean_text(signal.name)!r}: {_cause(error)}"
    return (write_artifact(root, place, data) if data else None), ""


def _document(dataset: Dataset, result: Extraction, parsed: ParsedFile) -> bytes:
    """Return the metadata artifact: the normalised fields first, then the vendor's whole tree."""
    normalised = with_qudt(dataset.model_dump(mode="json", exclude={"preview"}))
    return to_json_bytes(
        {
            "nx_meta": normalised,
            "extractor": result.extractor.model_dump(mode="json"),
            "original_metadata": parsed.native,
        }
    )
