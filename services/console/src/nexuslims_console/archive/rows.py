"""What the archive holds of a session: its record and the datasets in it, from its state alone."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final

from nexuslims_console.archive.tables import QUANTITIES
from nexuslims_contracts.datasets import Dataset
from nexuslims_contracts.events import (
    FileIndexed,
    Instrument,
    MetadataExtracted,
    ReservationMatched,
    SessionEnded,
    SessionRevised,
    SessionStarted,
)
from nexuslims_contracts.metadata.fields import FIELDS
from nexuslims_contracts.paths import readable
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.status import withdrawn

_ID_BITS: Final = 20
"""Bits of an identifier below the milliseconds: they tell datasets of one moment apart."""
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_TEXTS: Final = tuple(
    field.name for field in FIELDS.values() if field.kind == "text" and field.name != "operator"
)
"""Fields whose words are searched; who used the instrument is not."""


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record that may be read."""

    session: str
    title: str
    start: datetime | None
    end: datetime | None
    instrument_pid: str
    instrument: str
    samples: str
    elements: str
    path: str
    sha256: str
    size: int
    activities: int
    datasets: int


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset of a record; ``quantities`` are in the fields' preferred units.

    ``id`` is where it is among all datasets by time; another dataset may have the same, until both
    are written.
    """

    id: int
    session: str
    file: str
    number: int
    location: str
    name: str
    preview: str
    taken: datetime
    dataset_type: str
    data_type: str
    shape: str
    elements: str
    text: str
    instrument_pid: str
    quantities: dict[str, float]


def archived(state: SessionState) -> tuple[RecordRow, list[DatasetRow]] | None:
    """Return what the archive holds of a session; None if no record of it may be read.

    Parameters
    ----------
    state
        The session, with the datasets of its files.
    """
    if state.record is None or withdrawn(state):
        return None
    instrument, start, end = _times(state)
    booking = state.booking.event if state.booking else None
    matched = booking if isinstance(booking, ReservationMatched) else None
    samples = matched.samples if matched else ()
    record = state.record.event
    row = RecordRow(
        session=state.session,
        title=record.title,
        start=start,
        end=end,
        instrument_pid=instrument.pid if instrument else "",
        instrument=instrument.name if instrument else "",
        samples=", ".join(sample.name or sample.ref or sample.id for sample in samples),
        elements=" ".join(sorted({one for sample in samples for one in sample.elements})),
        path=record.record.path,
        sha256=record.record.sha256,
        size=record.record.size,
        activities=record.activities,
        datasets=record.datasets,
    )
    shared = [row.title, row.instrument, row.samples, *_booking_words(matched)]
    return row, list(_dataset_rows(state, row, " ".join(filter(None, shared))))


def _times(state: SessionState) -> tuple[Instrument | None, datetime | None, datetime | None]:
    match state.times.event if state.times else None:
        case SessionStarted(instrument=instrument, start=start):
            return instrument, start, None
        case SessionEnded() | SessionRevised() as held:
            return held.instrument, held.start, held.end
        case _:
            return None, None, None


def _booking_words(booking: ReservationMatched | None) -> Iterator[str]:
    if booking is None:
        return
    yield booking.purpose
    for sample in booking.samples:
        yield sample.description
    for project in booking.projects:
        yield f"{project.project_id} {project.name}"


def _dataset_rows(state: SessionState, record: RecordRow, shared: str) -> Iterator[DatasetRow]:
    for token, file in sorted(state.current_files().items()):
        if file.indexed is None or file.extracted is None:
            continue
        if file.outcome is not file.extracted:
            continue  # the last reading of it failed
        for dataset in file.extracted.event.datasets:
            yield _dataset_row(file.indexed.event, file.extracted.event, dataset, record, shared)
        del token


def _dataset_row(
    file: FileIndexed, reading: MetadataExtracted, dataset: Dataset, record: RecordRow, shared: str
) -> DatasetRow:
    location = readable(file.disk_path)
    count = len(reading.datasets)
    name = PurePosixPath(location).name
    if count > 1:
        name = f"{name} ({dataset.index + 1} of {count})"
    texts = [dataset.metadata.get(field) for field in _TEXTS]
    words = [shared, location.replace("_", " "), dataset.name, *filter(_is_text, texts)]
    return DatasetRow(
        id=dataset_id(dataset.creation_time, file.file, dataset.index),
        session=record.session,
        file=file.file,
        number=dataset.index,
        location=location,
        name=name,
        preview=dataset.preview.path if dataset.preview else "",
        taken=dataset.creation_time,
        dataset_type=dataset.dataset_type,
        data_type=dataset.data_type,
        shape=" x ".join(map(str, dataset.dimensions())),
        elements=record.elements,
        text=" ".join(map(str, words)),
        instrument_pid=record.instrument_pid,
        quantities=dict(_quantities(dataset)),
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _quantities(dataset: Dataset) -> Iterator[tuple[str, float]]:
    """Give the numbers of the fields; the contracts have converted them to preferred units."""
    for name in QUANTITIES:
        value = dataset.metadata.get(name)
        number = value.get("value") if isinstance(value, dict) else value
        if isinstance(number, int | float) and not isinstance(number, bool):
            yield name, float(number)


def dataset_id(taken: datetime, file: str, number: int) -> int:
    """Return an identifier that grows with the time of acquisition.

    Parameters
    ----------
    taken
        When the dataset was acquired.
    file, number
        Token of the file, and which of its datasets.
    """
    digest = hashlib.blake2b(f"{file}/{number}".encode(), digest_size=4).digest()
    return first_id(taken) + (int.from_bytes(digest) >> (32 - _ID_BITS))


def first_id(moment: datetime) -> int:
    """Return the least identifier of datasets acquired at a time or later."""
    bounded = min(max(moment, _EARLIEST), _LATEST)
    return round(bounded.timestamp() * 1000) << _ID_BITS
