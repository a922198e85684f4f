"""Sessions of the calendars and files of the instruments, without writing an event.

The harvester and the indexer bring the functions, by entry points of the group
``nexuslims.dry_run``: ``calendar`` (``Settings, EventStore or None -> list of dict``, asynchronous)
and ``files`` (``Settings, pid, start, end -> list of paths``).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nexuslims_console.errors import ConsoleError, NotRunningError
from nexuslims_contracts.plugins import installed
from nexuslims_shared.session.window import Window
from nexuslims_shared.settings import Settings
from nexuslims_shared.store.port import EventStore

GROUP: Final = "nexuslims.dry_run"


@dataclass(frozen=True, slots=True)
class Entry:
    """A session as the calendar has it; ``problem`` is why it cannot get a record."""

    session: str
    instrument: str
    start: datetime | None
    end: datetime | None
    title: str
    problem: str

    @property
    def usable(self) -> bool:
        """Whether the entry can become a session; missing consent is no obstacle to that."""
        return self.start is not None

    def over(self, now: datetime) -> bool:
        """Tell whether the session has ended."""
        return self.end is not None and self.end <= now


async def calendar_entries(
    settings: Settings, window: Window, store: EventStore | None
) -> list[Entry]:
    """Sessions that a harvest would ask the calendars for, in a window.

    Parameters
    ----------
    settings
        The facility's.
    window
        Only those in it.
    store
        The events, in which the end of the last harvest is found; None if there are none yet.
    """
    entries = [_entry(row) for row in await _function("calendar")(settings, store)]
    return [entry for entry in entries if window.holds(entry.start, entry.end)]


def files_of(settings: Settings, entry: Entry) -> list[str]:
    """Files that would be found for an entry, relative to the instrument data path.

    Parameters
    ----------
    settings
        The facility's.
    entry
        A session as the calendar has it.

    Raises
    ------
    ConsoleError
        If the instrument's folder cannot be read.
    """
    if entry.start is None or entry.end is None:
        return []
    try:
        found = _function("files")(settings, entry.instrument, entry.start, entry.end)
    except OSError as error:
        raise ConsoleError(
            f"the files of {entry.session} cannot be searched: {error}; is the share mounted?"
        ) from error
    return [str(path) for path in found]


def _function(name: str) -> Any:
    plugins = installed(GROUP)
    if name not in plugins:
        raise NotRunningError(
            f"nothing installed here can list the {name}: install the harvester and the indexer"
        )
    return plugins[name].load()


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        session=str(row["session"]),
        instrument=str(row.get("instrument") or ""),
        start=_time(row.get("start")),
        end=_time(row.get("end")),
        title=str(row.get("title") or ""),
        problem=str(row.get("problem") or ""),
    )


def _time(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) and value else value or None
