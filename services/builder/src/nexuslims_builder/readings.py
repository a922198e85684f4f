"""Reading what a record needs beside the state of its session: signals, names, long texts."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from nexuslims_builder.decide import Signals, people_of
from nexuslims_builder.signals import Signal, SignalReader
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import BookingTexts, MetadataExtracted, ReservationMatched
from nexuslims_contracts.subjects import file_subject
from nexuslims_shared.artifacts import commit_artifact, owner_of, read_artifact
from nexuslims_shared.consume import RetryLater
from nexuslims_shared.errors import ArtifactError
from nexuslims_shared.people import Person
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.port import EventStore, Unreadable


async def read_signals(
    store: EventStore,
    state: SessionState,
    settings: Settings,
    people: Mapping[str, str] | None = None,
) -> Signals:
    """Read the signals of a session's files.

    Parameters
    ----------
    store
        Where the events are.
    state
        Of the session; it need not hold what was read from the files.
    settings
        Where artifacts are, as extensions that are too long for an event are in them; and whether
        the vendors' trees of tags are read too.
    people
        Names of those whom files name, by id; if it is not given, the ids stay.

    Raises
    ------
    RetryLater
        If a file was read once more since the state was folded.
    ArtifactError
        If an artifact is missing, or another one.
    UnknownEventError
        If an event is of a newer release.
    """
    current = {
        file.extracted.sequence
        for file in state.current_files().values()
        if file.extracted is not None
    }
    if not current:
        return {}
    signals: dict[str, tuple[Signal, ...]] = {}
    reader = SignalReader(vendor_trees=settings.record_vendor_trees, people=people)
    async with aclosing(_readings(store, state.session, current)) as readings:
        async for recorded in readings:
            event = recorded.event
            if recorded.sequence in current and isinstance(event, MetadataExtracted):
                extensions = await _long_extensions(event, settings.data_path)
                signals[event.file] = reader.read(event, extensions)
    if len(signals) < len(current):
        raise RetryLater(timedelta(seconds=1), f"files of {state.session} are read again")
    return signals


async def signals_held(
    state: SessionState, settings: Settings, people: Mapping[str, str] | None = None
) -> Signals:
    """Return the signals of a state that holds what was read from the files.

    Parameters
    ----------
    state
        Of the session.
    settings
        Where artifacts are, as extensions that are too long for an event are in them; and whether
        the vendors' trees of tags are read too.
    people
        Names of those whom files name, by id; if it is not given, the ids stay.

    Raises
    ------
    ArtifactError
        If an artifact is missing, or another one.
    """
    read = [file.extracted for file in state.current_files().values() if file.extracted is not None]
    reader = SignalReader(vendor_trees=settings.record_vendor_trees, people=people)
    signals: dict[str, tuple[Signal, ...]] = {}
    for extracted in sorted(read, key=lambda one: one.sequence):  # the order of the log, always
        event = extracted.event
        signals[event.file] = reader.read(event, await _long_extensions(event, settings.data_path))
    return signals


class Lookup(Protocol):
    """Finds people by the ids that events have."""

    async def find(self, person_id: str) -> Person | None:
        """Return a person's names, None if they were forgotten."""
        ...


class RecentPeople:
    """People as they were looked up a moment ago: many records in a row name the same ones.

    Parameters
    ----------
    people
        Where names are.
    seconds
        How long an answer counts: a record that is begun that long after a name was erased is
        without it.
    clock
        Tells the time in seconds.
    """

    def __init__(
        self, people: Lookup, *, seconds: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._people, self._seconds, self._clock = people, seconds, clock
        self._found: dict[str, Person | None] = {}
        self._until = 0.0

    async def find(self, person_id: str) -> Person | None:
        """Return a person's names, None if they were forgotten."""
        if self._clock() >= self._until:
            self._found, self._until = {}, self._clock() + self._seconds
        found = self._found
        if person_id not in found:
            found[person_id] = await self._people.find(person_id)
        return found[person_id]


async def read_names(people: Lookup, state: SessionState) -> dict[str, str]:
    """Read the names of the people in a record, by id, without those who were forgotten.

    Parameters
    ----------
    people
        Where names are.
    state
        Of the session.
    """
    names: dict[str, str] = {}
    for person_id in sorted(people_of(state)):
        person = await people.find(person_id)
        if person is not None:
            names[person_id] = person.display
    return names


async def with_long_texts(state: SessionState, data_path: Path) -> SessionState:
    """Put texts that were too long for the booking's event back, from its artifact.

    The title stays as short as in that event: the record's event and its destinations have it too.

    Parameters
    ----------
    state
        Of the session.
    data_path
        Where artifacts are.

    Raises
    ------
    ArtifactError
        If the artifact is missing, or another one.
    """
    booking = state.booking.event if state.booking else None
    if state.booking is None or not isinstance(booking, ReservationMatched):
        return state
    if booking.complete is None:
        return state
    content = await asyncio.to_thread(read_artifact, data_path, booking.complete)
    texts = BookingTexts.model_validate_json(content)
    whole = booking.model_copy(update={**dict(texts), "title": booking.title})
    return replace(state, booking=replace(state.booking, event=whole))


async def _readings(
    store: EventStore, session: str, sequences: Collection[int]
) -> AsyncGenerator[Recorded, None]:
    """Give what was read from the files of a session, as far as it is the last word."""
    filters = (file_subject(session, "*", MetadataExtracted.kind()),)
    last = await store.read_last(filters, through=max(sequences))
    if last is not None and not any(isinstance(item, Unreadable) for item in last):
        for item in last:
            if isinstance(item, Recorded):
                yield item
        return
    async with aclosing(store.read(filters=filters, after=min(sequences) - 1)) as items:
        async for item in items:
            if isinstance(item, Recorded):
                yield item
            elif item.newer:
                raise item.error(session)


async def _long_extensions(
    event: MetadataExtracted, data_path: Path
) -> tuple[Mapping[str, object], ...]:
    if not event.extensions_in_artifact:
        return ()
    return tuple(
        [await asyncio.to_thread(_extensions, data_path, artifact) for artifact in event.artifacts]
    )


def _extensions(data_path: Path, artifact: ArtifactRef) -> Mapping[str, object]:
    try:
        content = read_artifact(data_path, artifact)
    except ArtifactError:  # its extractor may have died before it put the file into its place
        commit_artifact(data_path, artifact, owner=owner_of(artifact.path))
        content = read_artifact(data_path, artifact)
    document = json.loads(content)
    extensions: Mapping[str, object] = document["nx_meta"].get("extensions", {})
    return extensions
