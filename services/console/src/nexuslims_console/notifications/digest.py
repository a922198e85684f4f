"""What is said in a notification, and of which sessions: each trouble once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nexuslims_console.views import SessionRow
from nexuslims_contracts.text import counted
from nexuslims_shared.session.status import FINAL, IMPORTED, WELL, Status

AGAIN_AFTER: Final = timedelta(days=1)
"""How long after a message about a session there is no other about it, whatever happens."""
_LISTED: Final = 20

_REMEDIES: Final = {
    Status.ERROR: "nexuslims retry {session}",
    Status.BUILT_NOT_EXPORTED: "nexuslims retry {session}",
}


@dataclass(frozen=True, slots=True)
class Notified:
    """What was said last of a session, and when."""

    trouble: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """Sessions with one trouble, and what to do after a repair."""

    status: str
    reason: str
    sessions: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, slots=True)
class Digest:
    """A message: a subject, and the troubles with the sessions that have them."""

    subject: str
    groups: tuple[Group, ...]

    @property
    def text(self) -> str:
        """The message for people to read."""
        return "\n\n".join(map(_paragraph, self.groups)) + "\n"


def trouble_of(row: SessionRow) -> str:
    """Return what is wrong with a session that needs a person; empty if it needs none."""
    waits = row.status not in FINAL or row.status in WELL or row.phase == IMPORTED
    return "" if waits else f"{row.status}: {row.reason or row.phase}"


def to_notify(
    rows: Iterable[SessionRow], notified: Mapping[str, Notified], now: datetime
) -> list[SessionRow]:
    """Return the sessions in trouble of which nobody was told yet.

    Parameters
    ----------
    rows
        All sessions that may be in trouble.
    notified
        What was said before, by session.
    now
        The time: of one session there are no two messages a day.
    """
    news = []
    for row in rows:
        before = notified.get(row.session)
        known = before and (before.trouble == trouble_of(row) or now - before.at < AGAIN_AFTER)
        if trouble_of(row) and not known:
            news.append(row)
    return news


def make_digest(rows: Sequence[SessionRow]) -> Digest:
    """Make one message of sessions, those with the same trouble together.

    Parameters
    ----------
    rows
        At least one session that needs a person.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        groups.setdefault((row.status, row.reason or row.phase), []).append(row.session)
    things = counted(len(rows), "session needs", "sessions need")
    return Digest(
        f"NexusLIMS: {things} a person",
        tuple(
            Group(status, reason, tuple(sessions), _remedy(status, sessions))
            for (status, reason), sessions in groups.items()
        ),
    )


def _remedy(status: str, sessions: Sequence[str]) -> str:
    if len(sessions) > 1:
        return f"nexuslims retry --status {status}"
    return _REMEDIES[Status(status)].format(session=sessions[0])


def _paragraph(group: Group) -> str:
    listed = list(group.sessions[:_LISTED])
    more = len(group.sessions) - len(listed)
    lines = [f"{group.status}: {group.reason}", *(f"  {one}" for one in listed)]
    lines += [f"  and {more} more"] if more > 0 else []
    return "\n".join([*lines, f"After a repair: {group.remedy}"])
