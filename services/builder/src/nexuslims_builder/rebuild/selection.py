"""Which sessions a job is about: one ordered pass over the log."""

import zlib
from dataclasses import dataclass
from typing import Final

from nexuslims_builder.errors import BuilderError
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import SessionEnded, SessionRevised, SessionStarted
from nexuslims_shared.session.window import ALWAYS, Window
from nexuslims_shared.store.port import EventStore

_TIMES: Final = (SessionStarted, SessionEnded, SessionRevised)


@dataclass(frozen=True, slots=True)
class Share:
    """The part of all sessions that one of several jobs does, as in ``2/4``."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Read ``number/of``.

        Raises
        ------
        BuilderError
            If it is no such share.
        """
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise BuilderError(f"{text!r} is no share such as 2/4, the second of four")
        return cls(int(number), int(of))

    def holds(self, session: str) -> bool:
        """Tell whether a session belongs to the share; it belongs to exactly one of all."""
        return zlib.crc32(session.encode()) % self.of == self.number - 1


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sessions are meant.

    Parameters
    ----------
    session
        Only this one; all if empty.
    window
        Only those that overlap this period by their last known times.
    share
        Only those of this share.
    """

    session: str = ""
    window: Window = ALWAYS
    share: Share = Share()


async def select(store: EventStore, selection: Selection) -> list[str]:
    """Return the sessions that are meant, in the order in which the log first names them.

    Parameters
    ----------
    store
        The log.
    selection
        Which are meant.
    """
    if selection.session:
        return [selection.session]
    chosen: dict[str, bool] = {}
    async for item in store.read(filters=[model.filter() for model in _TIMES]):
        name = item.subject.split(".")[2]
        if not selection.share.holds(name):
            continue
        if isinstance(item, Recorded) and isinstance(item.event, _TIMES):
            end = None if isinstance(item.event, SessionStarted) else item.event.end
            chosen[name] = selection.window.holds(item.event.start, end)
        else:
            chosen.setdefault(name, True)  # opening it reports what cannot be read
    return [name for name, wanted in chosen.items() if wanted]
