"""The checker of the chaos finds planted errors of every kind, and none where none is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from benchmarks.chaos_checker import KINDS, Expected, Facts, check

from nexuslims_contracts.dead_letters import DeadLetter
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.testing import SessionEvents, recorded
from nexuslims_shared.session.status import Status

XML = b"<r/>"
DONE, GONE = SessionEvents("file-1"), SessionEvents("file-2")


def whole() -> Facts:
    """A facility in order: one session is done, one was cancelled."""
    events = recorded([*DONE.history(), DONE.uploaded(), *GONE.inputs(), GONE.cancelled(after=90)])
    built = next(one.event for one in events if one.event.kind() == "record-built")
    return Facts(
        expected={
            "file-1": Expected(Status.COMPLETED, built.title, 3),  # type: ignore[attr-defined]
            "file-2": Expected(Status.CANCELLED, "", 3),
        },
        events=events,
        seen={one.sequence: one.envelope.id for one in events},
        records={built.record.path: XML},  # type: ignore[attr-defined]
        held={"archive": {"file-1": [XML]}},
        live={"file-1": 1, "file-2": 2},
        fresh={"file-1": 1, "file-2": 2},
    )


def without(events: Any, kind: str) -> list[Recorded]:
    return [one for one in events if one.event.kind() != kind]


LETTER = DeadLetter(consumer="builder", sequence=3, subject="nexus.events.file-1.x", reason="?")
ERRORS: dict[str, tuple[str, Callable[[Facts], dict[str, Any]]]] = {
    "a stored event vanished": ("lost", lambda f: {"events": f.events[:-1]}),
    "a session was never harvested": (
        "lost",
        lambda f: {"expected": {**f.expected, "file-3": Expected(Status.COMPLETED, "", 1)}},
    ),
    "a destination has no record": ("lost", lambda _: {"held": {"archive": {}}}),
    "a record's file is gone": ("lost", lambda _: {"records": {}}),
    "a destination has two": ("twice", lambda _: {"held": {"archive": {"file-1": [XML, XML]}}}),
    "a fact was stated twice": (
        "twice",
        lambda f: {"events": [*f.events, replace(f.events[0], sequence=99)]},
    ),
    "a session is not done": (
        "stuck",
        lambda f: {"events": without(f.events, "session-indexed"), "seen": {}},
    ),
    "a dead letter is left": ("stuck", lambda _: {"letters": [LETTER]}),
    "a destination has other bytes": (
        "divergent",
        lambda _: {"held": {"archive": {"file-1": [b"<other/>"]}}},
    ),
    "a withdrawn record is shown": (
        "divergent",
        lambda f: {"held": {"archive": {**f.held["archive"], "file-2": [XML]}}},
    ),
    "a file has other bytes": (
        "divergent",
        lambda f: {"records": dict.fromkeys(f.records, b"<other/>")},
    ),
    "a former file stayed": ("divergent", lambda f: {"records": {**f.records, "old.xml": XML}}),
    "a staged file stayed": ("divergent", lambda _: {"left": [".file-1.staged/x"]}),
    "the read model has another row": ("divergent", lambda _: {"live": {"file-1": 1}}),
    "the calendar's last word was not heard": (
        "divergent",
        lambda f: {"expected": {**f.expected, "file-1": Expected(Status.COMPLETED, "New", 3)}},
    ),
    "all was said to be well": ("false green", lambda _: {"greens": ["the broker was away"]}),
    "the doctor finds nothing": ("false green", lambda _: {"letters": [LETTER]}),
}


def test_a_facility_in_order_has_none() -> None:
    assert check(whole()) == []


@pytest.mark.parametrize("error", ERRORS)
def test_a_planted_error_is_found(error: str) -> None:
    kind, plant = ERRORS[error]
    facts = whole()
    found = check(replace(facts, **plant(facts)))
    assert kind in {one.kind for one in found}
    assert all(one.what for one in found)


def test_every_kind_of_error_is_planted() -> None:
    assert {kind for kind, _ in ERRORS.values()} == set(KINDS)
