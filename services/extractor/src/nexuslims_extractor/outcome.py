"""From an extraction to the event that tells of it."""

from typing import Final

from nexuslims_contracts.envelope import MAX_EVENT_BYTES
from nexuslims_contracts.events import ExtractionFailed, FileIndexed, MetadataExtracted
from nexuslims_extractor.extraction import LONGEST_REASON, Extraction

ROOM_FOR_ENVELOPE: Final = 8 * 1024


def to_event(
    extraction: Extraction, file: FileIndexed, request: str = ""
) -> MetadataExtracted | ExtractionFailed:
    """Tell what became of a file.

    Parameters
    ----------
    extraction
        What was found out.
    file
        The file it was asked for.
    request
        Id of the request to read it again, if one was made.

    Returns
    -------
    MetadataExtracted or ExtractionFailed
        Extensions that are too long for an event are left out of it; they are in the JSON
        artifacts, and the event says so. What is too long without them is a failure.
    """
    if extraction.failed:
        return _failure(extraction, file, request, extraction.reason or "no reason was given")
    event = MetadataExtracted(
        session=file.session,
        file=file.file,
        outcome="partial" if extraction.outcome == "partial" else "extracted",
        reason=(extraction.reason or "")[:LONGEST_REASON],
        extractor=extraction.extractor,
        sha256=extraction.file.sha256,
        datasets=extraction.datasets,
        artifacts=extraction.metadata_artifacts,
        operators=tuple(sorted(extraction.people)),
        request=request,
    )
    if len(event.model_dump_json()) <= MAX_EVENT_BYTES - ROOM_FOR_ENVELOPE:
        return event
    bare = tuple(dataset.model_copy(update={"extensions": {}}) for dataset in event.datasets)
    event = event.model_copy(update={"datasets": bare, "extensions_in_artifact": True})
    if len(event.model_dump_json()) <= MAX_EVENT_BYTES - ROOM_FOR_ENVELOPE:
        return event
    return _failure(extraction, file, request, "its metadata is longer than an event may be")


def _failure(
    extraction: Extraction, file: FileIndexed, request: str, reason: str
) -> ExtractionFailed:
    return ExtractionFailed(
        session=file.session,
        file=file.file,
        failure=extraction.failure or "failed",
        reason=reason[:LONGEST_REASON],
        extractor=extraction.extractor,
        request=request,
    )
