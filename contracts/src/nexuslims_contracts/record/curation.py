"""What people added to the datasets of a record: taken out of one record, and put into another."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from nexuslims_contracts.events import CuratedDataset
from nexuslims_contracts.record.model import Curation, Dataset, Experiment

Key: TypeAlias = tuple[str, str]
"""Location and name of a dataset."""


def curated(
    experiment: Experiment, additions: Iterable[CuratedDataset], *, judgements: bool
) -> Experiment:
    """Put into a record what people added; datasets that it does not have are left out.

    Parameters
    ----------
    experiment
        The record.
    additions
        What people added, by dataset.
    judgements
        Whether ratings are put in, too: servers with the older schema refuse them.
    """
    known = {key_of(one): one for one in additions}
    if not known:
        return experiment
    return _with_datasets(experiment, lambda one: _curated(one, known, judgements=judgements))


def uncurated(experiment: Experiment) -> Experiment:
    """Return a record without descriptions and judgements of its datasets."""
    return _with_datasets(experiment, lambda one: replace(one, descriptions=(), curation=None))


def additions_to(
    ours: Experiment,
    there: Experiment,
    known: Iterable[CuratedDataset],
    *,
    descriptions: bool,
    is_former_remark: Callable[[str], bool] = lambda _: False,
) -> tuple[CuratedDataset, ...]:
    """Find what people added to a record.

    Parameters
    ----------
    ours
        The record as it is written; it may contain what is known.
    there
        The record as people left it.
    known
        What they had added before; it stays for datasets that are not in the record any more.
    descriptions
        Whether people may have changed descriptions: all that are not ours are theirs then.
    is_former_remark
        Whether a description is one that we wrote into an earlier record.
    """
    former = {key_of(one): one for one in known}
    written = {key_of(one): set(one.descriptions) for one in ours.datasets()}
    found = dict(former)
    for dataset in there.datasets():
        key = key_of(dataset)
        before = former[key].descriptions if key in former else ()
        remarks = written.get(key, set()) - set(before)
        texts = tuple(
            text
            for text in dataset.descriptions
            if text in before or not (text in remarks or is_former_remark(text))
        )
        judgement = dataset.curation or Curation()
        found[key] = CuratedDataset(
            location=dataset.location,
            name=dataset.name,
            descriptions=texts if descriptions else before,
            rating=judgement.rating,
            featured=judgement.featured,
        )
    return tuple(one for key, one in sorted(found.items()) if key in former or says_anything(one))


def merged_additions(
    before: Iterable[CuratedDataset],
    theirs: Iterable[CuratedDataset],
    ours: Iterable[CuratedDataset],
) -> tuple[CuratedDataset, ...]:
    """Put together what was added in two places since they said the same.

    Where both changed one value, theirs counts; descriptions of both are kept.

    Parameters
    ----------
    before
        What people had added by then.
    theirs, ours
        What there is in the one place and in the other.
    """
    former, there, here = ({key_of(one): one for one in some} for some in (before, theirs, ours))
    merged = {}
    for key in former.keys() | there.keys() | here.keys():
        nothing = CuratedDataset(location=key[0], name=key[1])
        merged[key] = _merged(*(some.get(key, nothing) for some in (former, there, here)))
    return tuple(one for key, one in sorted(merged.items()) if key in here or says_anything(one))


def key_of(dataset: Dataset | CuratedDataset) -> Key:
    """Return what a dataset is recognised by in another record of the session."""
    return (dataset.location, dataset.name)


def says_anything(one: CuratedDataset) -> bool:
    """Tell whether people added anything to a dataset, or have taken all of it back."""
    return bool(one.descriptions) or one.rating is not None or one.featured is not None


def _merged(before: CuratedDataset, there: CuratedDataset, here: CuratedDataset) -> CuratedDataset:
    taken_back = set(before.descriptions) - set(there.descriptions)
    new = [
        text
        for text in there.descriptions
        if text not in before.descriptions and text not in here.descriptions
    ]
    kept = [text for text in here.descriptions if text not in taken_back]
    changes = {
        name: getattr(there, name)
        for name in ("rating", "featured")
        if getattr(there, name) != getattr(before, name)
    }
    return here.model_copy(update={**changes, "descriptions": (*kept, *new)})


def _curated(dataset: Dataset, known: Mapping[Key, CuratedDataset], *, judgements: bool) -> Dataset:
    addition = known.get(key_of(dataset))
    if addition is None:
        return dataset
    new = tuple(text for text in addition.descriptions if text not in dataset.descriptions)
    rated = addition.rating is not None or addition.featured is not None
    judgement = Curation(addition.rating, addition.featured) if rated and judgements else None
    return replace(dataset, descriptions=(*dataset.descriptions, *new), curation=judgement)


def _with_datasets(experiment: Experiment, change: Callable[[Dataset], Dataset]) -> Experiment:
    return replace(
        experiment,
        activities=tuple(
            replace(activity, datasets=tuple(map(change, activity.datasets)))
            for activity in experiment.activities
        ),
    )
