"""What a chaos left behind, held against what the calendar asks for.

A pure function of facts, so that a test can plant an error of each kind and see it found.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from nexuslims_contracts.dead_letters import DeadLetter
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import FileIndexed, MetadataExtracted, SessionStarted
from nexuslims_shared.session.state import SessionState, fold
from nexuslims_shared.session.status import FINAL, Status, progress

KINDS: Final = ("lost", "twice", "stuck", "divergent", "false green")

_ONCE: Final = (SessionStarted, FileIndexed, MetadataExtracted)
"""Facts that are stated once, with one id."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to become of a session: its status, its title, how many files it has."""

    status: Status
    title: str
    files: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is there when everything has come to rest.

    Parameters
    ----------
    expected
        By session, what the calendar asks for.
    events
        The whole log, in order.
    seen
        Sequences and ids of events that were in the log at any time before.
    records
        What stands in the records folder, by name.
    left
        Names of files that were staged and stayed.
    held
        By destination, the records that it holds of each session; a session of no name is
        somebody's record that belongs to none.
    live, fresh
        The rows of the read model that was kept all the time, and of one made at the end.
    letters
        Dead letters.
    doctor_ok
        Whether the doctor finds nothing.
    greens
        Moments in which something was out of order and all was said to be well.
    """

    expected: Mapping[str, Expected]
    events: Sequence[Recorded]
    seen: Mapping[int, str] = field(default_factory=dict)
    records: Mapping[str, bytes] = field(default_factory=dict)
    left: Sequence[str] = ()
    held: Mapping[str, Mapping[str, Sequence[bytes]]] = field(default_factory=dict)
    live: Mapping[str, Any] = field(default_factory=dict)
    fresh: Mapping[str, Any] = field(default_factory=dict)
    letters: Sequence[DeadLetter] = ()
    doctor_ok: bool = True
    greens: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept."""

    kind: str
    what: str


def check(facts: Facts) -> list[Violation]:
    """Return every promise that was not kept."""
    states = _states(facts.events)
    found = [
        *_events(facts),
        *(one for name in facts.expected for one in _session(name, facts, states.get(name))),
        *_folder(facts, states),
        *_read_model(facts),
        *(Violation("stuck", f"dead letter: {one.subject}: {one.reason}") for one in facts.letters),
        *(Violation("false green", one) for one in facts.greens),
    ]
    if facts.doctor_ok and any(one.kind in ("lost", "stuck") for one in found):
        found.append(Violation("false green", "the doctor finds nothing"))
    return found


def settled(expected: Expected, state: SessionState) -> bool:
    """Tell whether a session has become what the calendar asks for.

    Parameters
    ----------
    expected
        What the calendar asks for.
    state
        The session as the events have it.
    """
    if state.started is None:
        return expected.status is Status.CANCELLED  # before anybody looked
    if progress(state).status is not expected.status:
        return False
    record = state.record
    if expected.status is not Status.COMPLETED:
        return progress(state).phase in ("cancelled", "no consent")
    return record is not None and record.event.title == expected.title


def _states(events: Sequence[Recorded]) -> dict[str, SessionState]:
    by_session: dict[str, list[Recorded]] = {}
    for one in events:
        by_session.setdefault(one.event.session, []).append(one)
    return {session: fold(own) for session, own in by_session.items()}


def _events(facts: Facts) -> Iterator[Violation]:
    """Compare the log with what was in it before, and look for facts that are in it twice."""
    there = {one.sequence: one.envelope.id for one in facts.events}
    for sequence, name in facts.seen.items():
        if there.get(sequence) != name:
            yield Violation("lost", f"event {sequence} was stored, and is not there")
    ids = Counter(one.envelope.id for one in facts.events if isinstance(one.event, _ONCE))
    for name, count in ids.items():
        if count > 1:
            yield Violation("twice", f"event {name} is stored {count} times")


def _session(name: str, facts: Facts, state: SessionState | None) -> Iterator[Violation]:
    expected = facts.expected[name]
    if state is None:
        if expected.status is not Status.CANCELLED:
            yield Violation("lost", f"{name} was never harvested")
        return
    at = progress(state)
    if at.status not in FINAL:
        yield Violation("stuck", f"{name} is {at.status}, {at.phase} {at.reason}")
    elif not settled(expected, state):
        yield Violation("divergent", f"{name} is {at.status}, not {expected.status} as wished")
    public = expected.status is Status.COMPLETED and state.record is not None
    if public and len(state.current_files()) != expected.files:
        yield Violation("lost", f"{name} has {len(state.current_files())} files")
    wanted = state.record.event.record.sha256 if public and state.record else ""
    for destination, held in facts.held.items():
        copies = held.get(name, ())
        if len(copies) > 1:
            yield Violation("twice", f"{destination} has {len(copies)} records of {name}")
        elif wanted and not copies:
            yield Violation("lost", f"{destination} has no record of {name}")
        elif [sha256(one).hexdigest() for one in copies] != ([wanted] if wanted else []):
            yield Violation("divergent", f"{destination} has another record of {name}")


def _folder(facts: Facts, states: Mapping[str, SessionState]) -> Iterator[Violation]:
    """Compare the records folder with what the newest event of each session says."""
    named: dict[str, str] = {}
    for name, state in states.items():
        wished = facts.expected.get(name)
        if state.record is not None and wished and wished.status is Status.COMPLETED:
            ref = state.record.event.record
            named[ref.path] = ref.sha256
    there = {path: sha256(content).hexdigest() for path, content in facts.records.items()}
    for path in sorted(named.keys() - there.keys()):
        yield Violation("lost", f"{path} is not in the records folder")
    for path in sorted(there.keys() - named.keys()):
        yield Violation("divergent", f"{path} is in the records folder, and no event names it")
    for path in sorted(there.keys() & named.keys()):
        if there[path] != named[path]:
            yield Violation("divergent", f"{path} is not what its event says")
    for path in facts.left:
        yield Violation("divergent", f"{path} was staged, and is left")


def _read_model(facts: Facts) -> Iterator[Violation]:
    for name in sorted(facts.live.keys() | facts.fresh.keys()):
        if facts.live.get(name) != facts.fresh.get(name):
            yield Violation("divergent", f"the read model's row of {name} is not a fresh one's")
