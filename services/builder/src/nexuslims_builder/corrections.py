"""An operator's corrections of where activities begin."""

from collections.abc import Sequence

from nexuslims_builder.errors import CorrectionError
from nexuslims_builder.inputs import FileInput
from nexuslims_contracts.events import ActivitiesCorrected
from nexuslims_shared.session.state import SessionState


def correction(
    state: SessionState,
    activities: Sequence[Sequence[FileInput]],
    split: Sequence[str],
    merge: Sequence[str],
) -> ActivitiesCorrected:
    """Add to what was corrected before.

    Parameters
    ----------
    state
        Of the session.
    activities
        As they are now.
    split
        Names of files with which an activity is to begin.
    merge
        Names of files whose activity is to join the one before it.

    Raises
    ------
    CorrectionError
        If a name means no file or several, or the correction would change nothing.
    """
    files = [file for activity in activities for file in activity]
    first = [activity[0] for activity in activities]
    former = state.correction
    splits = set(former.event.splits if former else ())
    merges = set(former.event.merges if former else ())
    for name in split:
        file = named(files, name)
        if file in first:
            raise CorrectionError(f"an activity begins with {file.path} already")
        splits.add(file.token)
        merges.discard(file.token)
    for name in merge:
        file = named(files, name)
        if file not in first[1:]:
            begin = ", ".join(one.path.rpartition("/")[2] for one in first[1:]) or "none"
            raise CorrectionError(
                f"no activity after the first begins with {file.path}; these do: {begin}"
            )
        merges.add(file.token)
        splits.discard(file.token)
    return ActivitiesCorrected(
        session=state.session,
        splits=tuple(sorted(splits)),
        merges=tuple(sorted(merges)),
        after=former.sequence if former else 0,
    )


def named(files: Sequence[FileInput], name: str) -> FileInput:
    """Return the file that a name means.

    Parameters
    ----------
    files
        The files of a session.
    name
        A path below the instrument data path, or the end of one, such as the file's name.

    Raises
    ------
    CorrectionError
        If there is none, or there are several.
    """
    found = [file for file in files if f"/{file.path}".endswith(f"/{name.lstrip('/')}")]
    if not found:
        raise CorrectionError(f"the session has no file {name!r}")
    if len(found) > 1:
        paths = ", ".join(file.path for file in found)
        raise CorrectionError(
            f"several files are called {name!r}: give more of the path of {paths}"
        )
    return found[0]
