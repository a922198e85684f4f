"""What people added to a session's record: since when it stands, and one view of several places."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import RecordBuilt, RecordCurated, RecordUploaded
from nexuslims_contracts.record.curation import key_of, merged_additions, says_anything
from nexuslims_contracts.record.model import Dataset
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_uploader.errors import CurationError

OPERATOR: Final = "operator"
"""Stands in events for the destination, where an operator added something by the command."""


@dataclass(frozen=True, slots=True)
class Addition:
    """What people added to one dataset.

    Parameters
    ----------
    dataset
        What they added.
    destination
        Where it was added or changed last; :data:`OPERATOR` for the command.
    time
        When that was found there.
    """

    dataset: CuratedDataset
    destination: str
    time: datetime


def additions_of(history: Iterable[Recorded]) -> tuple[Addition, ...]:
    """List what people added to a session's record and have not taken back, by dataset.

    Parameters
    ----------
    history
        The events of the session, in order.
    """
    found: dict[tuple[str, str], Addition] = {}
    for recorded in history:
        event = recorded.event
        if isinstance(event, RecordCurated):
            for one in event.datasets:
                former = found.get(key_of(one))
                if former is None or former.dataset != one:
                    found[key_of(one)] = Addition(one, event.destination, recorded.envelope.time)
    return tuple(one for _, one in sorted(found.items()) if says_anything(one.dataset))


def additions_uploaded(history: Sequence[Recorded], destination: str) -> tuple[CuratedDataset, ...]:
    """Return what the record contained of people's additions that was uploaded last.

    That is what was known when it was built, and what was found at the destination with the upload.

    Parameters
    ----------
    history
        The events of the session, in order.
    destination
        Where it was uploaded.
    """
    last, sha256 = 0, ""
    for one in history:
        if isinstance(one.event, RecordUploaded) and one.event.destination == destination:
            last, sha256 = one.sequence, one.event.record_sha256
    built = max(
        (
            one.sequence
            for one in history
            if isinstance(one.event, RecordBuilt)
            and one.sequence < last
            and one.event.record.sha256 == sha256
        ),
        default=0,
    )
    contained = [
        one
        for one in history
        if one.sequence <= built
        or (
            isinstance(one.event, RecordCurated)
            and one.event.destination == destination
            and one.sequence <= last
        )
    ]
    return fold(contained).curated_datasets()


def written_before(history: Iterable[Recorded], destination: str) -> tuple[str, ...]:
    """Return what a destination recognised its own changes by, at each upload, oldest first.

    Parameters
    ----------
    history
        The events of the session, in order.
    destination
        Where it was uploaded.
    """
    return tuple(
        one.event.written or one.event.record_sha256
        for one in history
        if isinstance(one.event, RecordUploaded) and one.event.destination == destination
    )


def brought_up_to_date(
    event: RecordCurated, before: SessionState, now: SessionState
) -> RecordCurated | None:
    """Add to a statement what was stated elsewhere since it was made; None if all of it is known.

    Parameters
    ----------
    event
        What is to be stated.
    before, now
        The session when the statement was made, and now.
    """
    known = now.curated_datasets()
    if known == before.curated_datasets():
        return event
    datasets = merged_additions(before.curated_datasets(), event.datasets, known)
    if datasets == known:
        return None
    latest = max((one.sequence for one in now.curations.values()), default=0)
    return event.model_copy(update={"datasets": datasets, "after": max(event.after, latest)})


def find_dataset(datasets: Iterable[Dataset], name: str) -> CuratedDataset:
    """Find a dataset in a record by its name, its path, or the end of its path.

    Parameters
    ----------
    datasets
        Those of the record.
    name
        What the operator calls it.

    Raises
    ------
    CurationError
        If there is none, or more than one.
    """
    every = list(datasets)
    found = [one for one in every if name in (one.name, one.location)] or [
        one for one in every if one.location.endswith(f"/{name.lstrip('/')}")
    ]
    if len(found) != 1:
        some = ", ".join(f"{one.location} ({one.name})" for one in (found or every)[:10])
        what = "more than one dataset is" if found else "no dataset is"
        raise CurationError(f"{what} called {name!r}: give the path of one, of {some}")
    return CuratedDataset(location=found[0].location, name=found[0].name)


@dataclass(frozen=True, slots=True)
class Change:
    """What an operator adds to a dataset, or takes back from it.

    Parameters
    ----------
    description
        A text; empty for none.
    rating
        1 to 5; None to leave it.
    featured
        True to mark the dataset as featured; None to leave that.
    undo
        Take these back, or everything if nothing is given.
    """

    description: str = ""
    rating: int | None = None
    featured: bool | None = None
    undo: bool = False

    def of(self, dataset: CuratedDataset) -> CuratedDataset:
        """Return what there is of a dataset after the change.

        Parameters
        ----------
        dataset
            What people have added to it so far.
        """
        nothing = not self.description and self.rating is None and self.featured is None
        if self.undo and nothing:
            return CuratedDataset(location=dataset.location, name=dataset.name)
        others = tuple(text for text in dataset.descriptions if text != self.description)
        new = (self.description,) if self.description and not self.undo else ()
        changes: dict[str, object] = {"descriptions": (*others, *new)}
        for name, value in (("rating", self.rating), ("featured", self.featured)):
            if value is not None:
                changes[name] = None if self.undo else value
        return dataset.model_copy(update=changes)


def curated_anew(
    known: Iterable[CuratedDataset], dataset: CuratedDataset | None, change: Change
) -> tuple[CuratedDataset, ...]:
    """Return all that people have added after an operator's change.

    Parameters
    ----------
    known
        What they have added so far.
    dataset
        The one to change; None for all that people added something to.
    change
        What to do with it.
    """
    changed = {key_of(one): one for one in known}
    for one in [dataset] if dataset else list(changed.values()):
        changed[key_of(one)] = change.of(changed.get(key_of(one), one))
    return tuple(one for _, one in sorted(changed.items()))
