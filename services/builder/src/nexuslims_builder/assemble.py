"""Assembling the record of a session from what its events say."""

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from nexuslims_builder.clustering import NO_EVIDENCE, Clusters, Evidence, cluster
from nexuslims_builder.inputs import FileInput, RecordInput
from nexuslims_builder.signals import separate
from nexuslims_contracts import events
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.paths import readable
from nexuslims_contracts.record import CHEMICAL_ELEMENTS
from nexuslims_contracts.record.curation import curated
from nexuslims_contracts.record.model import (
    Activity,
    Dataset,
    Experiment,
    Notes,
    Parameter,
    Project,
    Sample,
    TextEntry,
)
from nexuslims_contracts.record.provenance import SOURCE, made_of

_NOT_FILE_NAME: Final = re.compile(r"[^\w.+-]+")
_LONGEST_NAME: Final = 150
_MOST_NAMES: Final = 20

_FAR: Final = timedelta(days=1)
"""How far a file's own time may be from its session: clocks are wrong by hours, zones too."""

_AWAY: Final = "This file was missing when its folder was looked at last"


def assemble(
    record: RecordInput, *, sensitivity: float = 1.0, method: str = "gaps", evidence: bool = True
) -> Experiment:
    """Assemble the record of a session.

    Parameters
    ----------
    record
        What it is made of; its files in the order of time.
    sensitivity, method
        How its files are clustered into activities; see :mod:`nexuslims_builder.clustering`.
    evidence
        Whether techniques and acquisition times count beside the times of files.
    """
    clusters = clusters_of(record.files, sensitivity=sensitivity, method=method, evidence=evidence)
    activities = corrected(record.files, clusters, record.splits, record.merges)
    experiment = Experiment(
        title=record.title,
        id=record.event_id,
        url=record.url,
        experimenters=record.experimenters,
        collaborators=record.collaborators,
        instrument=record.instrument_name,
        instrument_pid=record.instrument_pid,
        start=record.start.isoformat(),
        end=record.end.isoformat(),
        motivation=record.motivation,
        samples=tuple(map(_sample, record.samples)),
        projects=tuple(map(_project, record.projects)),
        activities=tuple(_activity(files, record) for files in activities),
        notes=(Notes((TextEntry(_remarks(record)),), source=SOURCE),),
    )
    return curated(experiment, record.additions, judgements=False)


def _remarks(record: RecordInput) -> tuple[str, ...]:
    """Say what is not in the record, and what it was made of."""
    unread = [file for file in record.files if not file.signals]
    partial = [file for file in record.files if file.signals and file.failure]
    away = [file for file in record.files if file.away]
    remarks = [
        f"{len(files)} of {len(record.files)} files {trouble}: {_listed(files)}"
        for files, trouble in (
            (unread, "could not be read"),
            (partial, "could be read in part"),
            (away, "were missing when their folder was looked at last"),
        )
        if files
    ]
    return (*remarks, made_of(record.session, record.through, record.digest))


def _listed(files: Sequence[FileInput]) -> str:
    names = [readable(file.path.rpartition("/")[2]) for file in files[:_MOST_NAMES]]
    more = len(files) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def clusters_of(
    files: Sequence[FileInput], *, sensitivity: float, method: str, evidence: bool
) -> Clusters:
    """Cluster files.

    Parameters
    ----------
    files
        In the order of time.
    sensitivity, method, evidence
        As for :func:`assemble`.
    """
    return cluster(
        [file.mtime for file in files],
        sensitivity=sensitivity,
        method=method,
        evidence=_evidence(files) if evidence else NO_EVIDENCE,
    )


def corrected(
    files: Sequence[FileInput],
    clusters: Clusters,
    splits: Collection[str],
    merges: Collection[str],
) -> list[list[FileInput]]:
    """Divide files into activities, by their clusters and by what an operator wants otherwise.

    Parameters
    ----------
    files
        In the order of time.
    clusters
        Of them.
    splits, merges
        Tokens of files with which an activity begins, and with which none does.
    """
    first = {activity[0] for activity in clusters.activities}
    activities: list[list[FileInput]] = []
    for index, file in enumerate(files):
        begins = index in first and file.token not in merges
        if not activities or begins or file.token in splits:
            activities.append([])
        activities[-1].append(file)
    return activities


def _evidence(files: Sequence[FileInput]) -> Evidence:
    return Evidence(
        techniques=[file.signals[0].data_type if file.signals else "" for file in files],
        durations=[max((one.duration for one in file.signals), default=0.0) for file in files],
    )


def file_name(record: RecordInput) -> str:
    """Name of the record's file: ``<start date>_<instrument>_<event id>.xml``.

    What cannot stand in a file's name is replaced; a digest then keeps two sessions apart.
    """
    wished = f"{record.session_start:%Y-%m-%d}_{record.instrument_pid}_{record.event_id}"
    name = _NOT_FILE_NAME.sub("_", wished)[:_LONGEST_NAME]
    return f"{name}.xml" if name == wished else f"{name}_{digest([record.session])[:8]}.xml"


def _sample(sample: events.Sample) -> Sample:
    """Take over a sample; what is no chemical element stands in its description."""
    strange = [symbol for symbol in sample.elements if symbol not in CHEMICAL_ELEMENTS]
    remark = f"Not in the periodic table: {', '.join(strange)}" if strange else ""
    return Sample(
        id=sample.id,
        ref=sample.ref,
        name=sample.name,
        descriptions=tuple(filter(None, (sample.description, remark))),
        elements=tuple(symbol for symbol in CHEMICAL_ELEMENTS if symbol in sample.elements),
    )


def _project(project: events.Project) -> Project:
    return Project(
        id=project.project_id,
        ref=project.ref,
        name=project.name,
        division=project.division,
        group=project.group,
    )


def _activity(files: list[FileInput], record: RecordInput) -> Activity:
    """Make an activity of files in the order of time."""
    setup, rest = separate([signal.parameters for file in files for signal in file.signals])
    own = iter(rest)
    return Activity(
        start=datetime.fromtimestamp(files[0].mtime, ZoneInfo(record.timezone)).isoformat(),
        sample=record.samples[0].id if record.samples else "",
        setup=setup,
        datasets=tuple(
            dataset
            for file in files
            for dataset in _datasets(file, own, (record.session_start, record.end))
        ),
    )


def _datasets(
    file: FileInput,
    parameters: Iterator[tuple[Parameter, ...]],
    session: tuple[datetime, datetime],
) -> Iterator[Dataset]:
    """Make the datasets of a file; one that could not be read is a dataset of an unknown type.

    Parameters
    ----------
    file
        The file.
    parameters
        Of its signals in their order, without those of the setup.
    session
        Its start and end.
    """
    name = readable(file.path.rpartition("/")[2])
    away = (_AWAY,) if file.away else ()
    count = len(file.signals)
    if not count:
        yield Dataset(
            name,
            file.path,
            type="Unknown",
            role="Experimental",
            descriptions=(*_remark("This file could not be read", file.failure), *away),
        )
    for signal in file.signals:
        yield Dataset(
            f"{name} ({signal.index + 1} of {count})" if count > 1 else name,
            file.path,
            type=signal.type,
            role="Experimental",
            descriptions=(
                *_remark("Not all of this file could be read", file.failure),
                *_strange_time(signal.created, session),
                *away,
            ),
            previews=(signal.preview,) if signal.preview else (),
            parameters=next(parameters),
        )


def _strange_time(created: datetime | None, session: tuple[datetime, datetime]) -> tuple[str, ...]:
    """Tell where a file's own time is far from its session, as where a computer's clock is wrong.

    Parameters
    ----------
    created
        The file's own time, if it has one.
    session
        Its start and end.
    """
    start, end = session
    if created is None or start - _FAR <= created <= end + _FAR:
        return ()
    return (f"The time in this file, {created.isoformat()}, is not near that of the session",)


def _remark(trouble: str, reason: str | None) -> tuple[str, ...]:
    return (f"{trouble}: {reason}",) if reason else ()
