"""Building a record: from the state of a session to a file, and the event about it."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import Final

from nexuslims_builder.assemble import assemble, file_name
from nexuslims_builder.decide import Signals, record_input
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.events import RecordBuilt, RecordRejected
from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.record.texts import LONGEST_TEXT
from nexuslims_contracts.record.writer import write_record
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.settings import Settings

_MOST_PROBLEMS: Final = 20
"""Problems of a rejected record that its event names; an event has a size limit."""


def compose(
    state: SessionState, names: Mapping[str, str], signals: Signals, settings: Settings
) -> tuple[RecordBuilt | RecordRejected, bytes]:
    """Compose and validate the record of a session, and write nothing.

    Parameters
    ----------
    state
        A session whose record is due; it need not hold what was read from the files.
    names
        Display names by person id, of those that :func:`~nexuslims_builder.decide.people_of` asks
        for and that are not forgotten.
    signals
        Of the files that were read, by file token.
    settings
        How to cluster.

    Returns
    -------
    tuple
        The event about the record, and its bytes.
    """
    from nexuslims_builder.validation import validate  # noqa: PLC0415 - lxml

    record = record_input(state, names, signals)
    experiment = assemble(
        record,
        sensitivity=settings.clustering_sensitivity,
        method=settings.clustering_method,
        evidence=settings.clustering_evidence,
    )
    xml = write_record(experiment)
    common = {
        "session": state.session,
        "inputs_through_seq": state.last_input,
        "inputs_digest": record.digest,
        "builder": builder_version(),
    }
    if problems := list(_too_long(experiment)) or [str(one) for one in validate(xml)]:
        return RecordRejected(**common, problems=tuple(problems[:_MOST_PROBLEMS])), xml
    built = RecordBuilt(
        **common,
        record=ArtifactRef(
            path=file_name(record), sha256=hashlib.sha256(xml).hexdigest(), size=len(xml)
        ),
        title=record.title,
        activities=len(experiment.activities),
        datasets=sum(1 for _ in experiment.datasets()),
        failures=sum(1 for file in record.files if not file.signals),
    )
    return built, xml


def _too_long(experiment: Experiment) -> Iterator[str]:
    """Name the texts that no parser takes: a line of a record that is not written helps nobody."""
    texts = [("motivation", experiment.motivation)]
    texts += [
        (f"description of sample {sample.id}", text)
        for sample in experiment.samples
        for text in sample.descriptions
    ]
    for what, text in texts:
        size = len(text.encode(errors="replace"))
        if size > LONGEST_TEXT:
            yield f"the {what} has {size:,} bytes; a record holds at most {LONGEST_TEXT:,} of one"


@cache
def builder_version() -> str:
    """Return the version of the builder, as events name it."""
    return version("nexuslims-builder")
