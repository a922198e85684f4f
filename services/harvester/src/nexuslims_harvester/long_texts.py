"""Texts that are too long for an event: shortened in the event, complete in an artifact."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Final

from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.events import BookingTexts, Project, Sample
from nexuslims_harvester.calendar import CalendarEntry
from nexuslims_harvester.text import readable, readable_text

FOLDER: Final = "calendar"
LONGEST: Final = 64 * 1024
"""Characters of all texts of an entry together; an event holds four times as many bytes."""
_CUTS: Final = (4000, 400)
"""Characters that are left of one text, so that all fit; the first that does is used."""


def fitting(entry: CalendarEntry, session: str) -> tuple[CalendarEntry, bytes]:
    """Return an entry whose texts fit an event, and the content of the artifact with all of them.

    Parameters
    ----------
    entry
        As the calendar has it.
    session
        Token of the session: it names the artifact.

    Returns
    -------
    tuple
        The same entry and nothing, unless its texts are too long.
    """
    texts = BookingTexts(
        title=readable_text(entry.title),
        purpose=readable_text(entry.purpose),
        samples=entry.samples,
        projects=entry.projects,
        payload=readable(entry.payload),
    )
    if _length(texts) <= LONGEST:
        return entry, b""
    content = texts.model_dump_json(indent=1).encode()
    digest = sha256(content).hexdigest()
    complete = ArtifactRef(path=f"{FOLDER}/{session}.json", sha256=digest, size=len(content))
    for longest in _CUTS:
        short = _cut(texts, longest)
        if _length(short) <= LONGEST:
            break
    shortened = replace(
        entry,
        title=short.title,
        purpose=short.purpose,
        samples=short.samples,
        projects=short.projects,
        payload=None,
        complete=complete,
    )
    return shortened, content


def _length(texts: BookingTexts) -> int:
    return len(json.dumps(texts.model_dump(), ensure_ascii=False))


def _cut(texts: BookingTexts, longest: int) -> BookingTexts:
    def cut(text: str) -> str:
        return text if len(text) <= longest else f"{text[: longest - 1]}…"

    def cut_sample(sample: Sample) -> Sample:
        changes = {"name": cut(sample.name), "description": cut(sample.description)}
        return sample.model_copy(update=changes)

    def cut_project(project: Project) -> Project:
        return project.model_copy(update={"name": cut(project.name)})

    return BookingTexts(
        title=cut(texts.title),
        purpose=cut(texts.purpose),
        samples=tuple(map(cut_sample, texts.samples)),
        projects=tuple(map(cut_project, texts.projects)),
    )
