"""How the files of a session are grouped in its record, and how that is corrected."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from nexuslims_builder.assemble import clusters_of, corrected
from nexuslims_builder.corrections import correction
from nexuslims_builder.decide import files_of
from nexuslims_builder.errors import CorrectionError
from nexuslims_builder.grouping import Grouping
from nexuslims_builder.inputs import FileInput
from nexuslims_builder.readings import read_signals
from nexuslims_contracts.envelope import envelop
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import say
from nexuslims_shared.errors import ConflictError
from nexuslims_shared.facility import command_context
from nexuslims_shared.session.repository import SessionRepository
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.settings import Settings, read_settings
from nexuslims_shared.store.port import EventStore

SOURCE: Final = "nexuslims/builder"


def of_session(
    session: str,
    sensitivity: float | None,
    method: str | None,
    split: Sequence[str],
    merge: Sequence[str],
) -> Grouping:
    """Group the files of a session as its record does, and correct that if asked to.

    Parameters
    ----------
    session
        Its token.
    sensitivity, method
        In place of the settings'; None for those.
    split, merge
        Names of files with which an activity is to begin, and of those whose activity is to join
        the one before it.

    Raises
    ------
    CorrectionError
        If there is no such session or file, or somebody else corrected the session meanwhile.
    """
    changes = {"clustering_sensitivity": sensitivity, "clustering_method": method}
    given = {name: value for name, value in changes.items() if value is not None}
    settings = read_settings().model_copy(update=given)
    return run(_of_session(settings, session, split, merge))


async def _of_session(
    settings: Settings, session: str, split: Sequence[str], merge: Sequence[str]
) -> Grouping:
    async with command_context(settings, "builder") as context:
        activities = await correct(context.store, settings, session, split, merge)
    if split or merge:
        say(f"{session}: corrected; its record is built again")
    return _grouping(activities)


async def correct(
    store: EventStore,
    settings: Settings,
    session: str,
    split: Sequence[str] = (),
    merge: Sequence[str] = (),
) -> list[list[FileInput]]:
    """Return the activities of a session's record, after what is to be corrected.

    Parameters
    ----------
    store
        Where the events are.
    settings
        How files are clustered, and where artifacts are.
    session
        Its token.
    split, merge
        As for :func:`of_session`; nothing is stated if both are empty.

    Raises
    ------
    CorrectionError
        As for :func:`of_session`.
    """
    state = await _opened(store, session)
    activities = await _activities(store, settings, state)
    if not split and not merge:
        return activities
    event = correction(state, activities, split, merge)
    try:
        stored = await store.append(envelop(event, source=SOURCE), expect=event.after)
    except ConflictError as error:
        raise CorrectionError(
            f"somebody else corrected {session} meanwhile: look at it again"
        ) from error
    return await _activities(store, settings, await _opened(store, session, stored.sequence))


async def _opened(store: EventStore, session: str, through: int = 0) -> SessionState:
    state = await SessionRepository(store).open(session, through=through)
    if not state.session:
        raise CorrectionError(f"there is no folder and no session {session!r}")
    return state


async def _activities(
    store: EventStore, settings: Settings, state: SessionState
) -> list[list[FileInput]]:
    files = files_of(state, await read_signals(store, state, settings))
    clusters = clusters_of(
        files,
        sensitivity=settings.clustering_sensitivity,
        method=settings.clustering_method,
        evidence=settings.clustering_evidence,
    )
    event = state.correction.event if state.correction else None
    return corrected(files, clusters, event.splits if event else (), event.merges if event else ())


def _grouping(activities: Sequence[Sequence[FileInput]]) -> Grouping:
    """Show activities of a record; a boundary is half way between two of them."""
    files = [file for activity in activities for file in activity]
    numbers = iter(range(len(files)))
    return Grouping(
        [file.path for file in files],
        [file.mtime for file in files],
        [[next(numbers) for _ in activity] for activity in activities],
        tuple((one[-1].mtime + other[0].mtime) / 2 for one, other in pairwise(activities)),
    )
