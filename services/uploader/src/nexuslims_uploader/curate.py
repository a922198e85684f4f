"""``nexuslims curate``: what people added to a session's record; adding to it, or taking back."""

from typing import Final

from nexuslims_contracts.envelope import envelop
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.events import RecordCurated, UploadPlan
from nexuslims_contracts.record.reader import read_record
from nexuslims_shared.artifacts import read_artifact
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.errors import ArtifactError, ConflictError
from nexuslims_shared.facility import command_context
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.port import read_session
from nexuslims_uploader.curation import (
    OPERATOR,
    Addition,
    Change,
    additions_of,
    brought_up_to_date,
    curated_anew,
    find_dataset,
)
from nexuslims_uploader.errors import CurationError

SOURCE: Final = "nexuslims/curate"
_ATTEMPTS: Final = 5
"""Others may state something at the same time, so often in a row."""


async def curate(
    settings: Settings, session: str, dataset: str, change: Change | None
) -> tuple[Addition, ...]:
    """Add to a session's record, or take back from it; return what people have added to it.

    Parameters
    ----------
    settings
        The facility's.
    session
        Its token.
    dataset
        The name or the path of the dataset to change; empty for all that have something.
    change
        What to add or take back; None to look only.

    Raises
    ------
    CurationError
        If the session has no record, or the dataset is not in it.
    """
    async with command_context(settings, "curate") as context:
        if change is not None:
            await state_change(context, session, dataset, change)
        elif (await SessionRepository(context.store, files=False).open(session)).record is None:
            raise _without_record(session)
        return additions_of(await read_session(context.store, session, files=False))


async def state_change(context: ServiceContext, session: str, dataset: str, change: Change) -> None:
    """State what an operator adds or takes back, if it is not known already.

    Parameters
    ----------
    context
        The event store, and the settings.
    session
        Its token.
    dataset
        The name or the path of the dataset; empty for all that have something.
    change
        What to add or take back.

    Raises
    ------
    CurationError
        If the session has no record, or the dataset is not in it, or others keep changing it.
    """
    sessions = SessionRepository(context.store, files=False)
    for _ in range(_ATTEMPTS):
        before = await sessions.open(session)
        statement = _statement(context.settings, before, dataset, change)
        now = await sessions.open(session)
        event = statement and brought_up_to_date(statement, before, now)
        if event is None:
            return
        expected = now.destination_subjects.get(event.subject, 0)
        try:
            await context.store.append(envelop(event, source=SOURCE), expect=expected)
        except ConflictError:
            continue
        return
    raise CurationError(f"{session} is being changed by others: try again")


def _statement(
    settings: Settings, state: SessionState, name: str, change: Change
) -> RecordCurated | None:
    """Return the event that states a change; None if nothing changes."""
    if state.record is None:
        raise _without_record(state.session)
    artifact = state.record.event.record
    known = state.curated_datasets()
    dataset = None
    if name:
        try:
            record = read_record(read_artifact(settings.records, artifact))
        except (ArtifactError, UnreadableRecordError) as error:
            raise CurationError(f"{error}; `nexuslims rebuild` makes it again") from error
        dataset = find_dataset(record.datasets(), name)
    datasets = curated_anew(known, dataset, change)
    if datasets == known:
        return None
    plan = UploadPlan(
        strategy=settings.export_strategy, destinations=tuple(settings.destinations or ())
    )
    return RecordCurated(
        session=state.session,
        destination=OPERATOR,
        record_sha256=artifact.sha256,
        plan=plan,
        datasets=datasets,
        after=max((one.sequence for one in state.curations.values()), default=0),
    )


def _without_record(session: str) -> CurationError:
    return CurationError(
        f"{session} has no record that people could add to: see `nexuslims session {session}`"
    )
