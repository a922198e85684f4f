"""What each of the broker's users may send and receive: no more than the topology asks of it.

A service states its own kinds of events, works from its own consumer, reads and writes its own
buckets, and is answered on subjects on which nobody else listens. Whatever is not listed here is
refused by the broker.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nexuslims_contracts.topology import (
    BUCKETS,
    DEAD_LETTER_PREFIX,
    DEAD_LETTERS,
    EVENTS,
    PEOPLE,
    STATED_BY,
    BucketSpec,
    buckets_of,
    consumer_of,
)

OPERATOR: Final = "operator"
"""May do everything: makes streams, consumers and buckets, and runs the commands."""

OBSERVER: Final = "observer"
"""Reads events, dead letters and the state of everything, but no names of people."""

SERVICES: Final = tuple(STATED_BY)
USERS: Final = (*SERVICES, OPERATOR, OBSERVER)

_API: Final = "$JS.API"
_REMOVES_DEAD_LETTERS: Final = ("console",)


@dataclass(frozen=True, slots=True)
class Rights:
    """Subjects that a user may send to and listen on, with wildcards."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def rights_of(user: str, inboxes: str) -> Rights:
    """Return what a user may do.

    Parameters
    ----------
    user
        A service, :data:`OPERATOR` or :data:`OBSERVER`.
    inboxes
        First token of the subjects on which the user is answered.
    """
    if user == OPERATOR:
        return Rights((">",), (">",))
    publish = _observer() if user == OBSERVER else _service(user)
    return Rights(tuple(sorted(set(publish))), (f"{inboxes}.>",))


def _service(name: str) -> list[str]:
    subjects = [model.filter() for model in STATED_BY[name]]
    subjects.append(f"{DEAD_LETTER_PREFIX}.{name}")
    for stream in (EVENTS.name, DEAD_LETTERS.name):
        subjects += _reading(stream)
    if name in _REMOVES_DEAD_LETTERS:
        subjects.append(f"{_API}.STREAM.MSG.DELETE.{DEAD_LETTERS.name}")
    if consumer := consumer_of(name):
        subjects += _consuming(EVENTS.name, consumer.name)
    for bucket in buckets_of(name):
        subjects += _reading(_stream_of(bucket))
        if name in bucket.written_by:
            subjects.append(f"$KV.{bucket.name}.>")
    return subjects


def _observer() -> list[str]:
    calls = ("INFO", "STREAM.NAMES", "STREAM.LIST", "CONSUMER.NAMES.*", "CONSUMER.LIST.*")
    subjects = [f"{_API}.{call}" for call in (*calls, "CONSUMER.INFO.*.*")]
    open_to_all = (_stream_of(bucket) for bucket in BUCKETS if bucket is not PEOPLE)
    for stream in (EVENTS.name, DEAD_LETTERS.name, *open_to_all):
        subjects += _reading(stream)
    return subjects


def _reading(stream: str) -> Iterable[str]:
    calls = ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET")
    return (*(f"{_API}.{call}.{stream}" for call in calls), f"{_API}.DIRECT.GET.{stream}.>")


def _consuming(stream: str, consumer: str) -> Iterable[str]:
    calls = ("CONSUMER.INFO", "CONSUMER.MSG.NEXT")
    return (
        *(f"{_API}.{call}.{stream}.{consumer}" for call in calls),
        f"$JS.ACK.{stream}.{consumer}.>",
    )


def _stream_of(bucket: BucketSpec) -> str:
    return f"KV_{bucket.name}"
