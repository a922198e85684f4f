"""What each of the broker's users may send and receive: no more than the topology asks of it.

A service states its own kinds of events, works from its own consumer, reads and writes its own
buckets, and is answered on subjects on which nobody else listens. Whatever is not listed here is
refused by the broker.

A wildcard of the broker stands for a whole token. The name of a period's stream is one token, so
who reads the log is let to the streams of all names, except to those that are known and not his.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nexuslims_contracts.topology import (
    BUCKETS,
    BUCKETS_READ_BY,
    CONSUMERS,
    DEAD_LETTER_PREFIX,
    DEAD_LETTERS,
    ERASED_BY,
    OPENS_PERIODS,
    OPERATORS,
    PEOPLE,
    REMOVES_DEAD_LETTERS,
    STATED_BY,
    BucketSpec,
    consumer_of,
    keys_written_by,
    subjects_stated_by,
)

OPERATOR: Final = "operator"
"""May do everything: makes streams, consumers and buckets, and runs the commands."""

OBSERVER: Final = "observer"
"""Reads events, dead letters and the state of everything, but no names of people."""

SERVICES: Final = tuple(STATED_BY)
USERS: Final = (*SERVICES, OPERATOR, OBSERVER)

_API: Final = "$JS.API"
_READING: Final = ("STREAM.INFO.{}", "STREAM.MSG.GET.{}", "DIRECT.GET.{}", "DIRECT.GET.{}.>")
_CONSUMING: Final = (
    f"{_API}.CONSUMER.INFO.*.{{}}",
    f"{_API}.CONSUMER.MSG.NEXT.*.{{}}",
    "$JS.ACK.*.{}.>",
)
_LISTING: Final = (
    "STREAM.LIST",
    "CONSUMER.NAMES.*",
    "CONSUMER.LIST.*",
    "CONSUMER.INFO.*.*",
)
_MEASURES: Final = ("console",)
"""Publish the sizes of streams and what waits in consumers, as metrics."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Subjects with wildcards: those to send to, except those denied, and those to listen on."""

    publish: tuple[str, ...]
    denied: tuple[str, ...]
    subscribe: tuple[str, ...]


def rights_of(user: str, inboxes: str, *, periods: bool = False) -> Rights:
    """Return what a user may do.

    Parameters
    ----------
    user
        A service, :data:`OPERATOR` or :data:`OBSERVER`.
    inboxes
        First token of the subjects on which the user is answered.
    periods
        Whether the log has periods. The one who opens them may then create streams and consumers,
        and the server does what a stream's or consumer's definition says in its own name.
    """
    if user == OPERATOR:
        return Rights((">",), (), (">",))
    if user == OBSERVER:
        publish = [f"{_API}.{call}" for call in _LISTING]
        read = tuple(bucket for bucket in BUCKETS if bucket not in (PEOPLE, OPERATORS))
    else:
        publish = _service(user)
        if periods and user == OPENS_PERIODS:
            publish += _opening_periods()
        read = BUCKETS_READ_BY[user]
    publish += [f"{_API}.INFO", f"{_API}.STREAM.NAMES", *_reading("*")]
    denied = [one for bucket in BUCKETS if bucket not in read for one in _reading(_stream(bucket))]
    return Rights(tuple(sorted(publish)), tuple(sorted(denied)), (f"{inboxes}.>",))


def _service(name: str) -> list[str]:
    subjects = [*subjects_stated_by(name), f"{DEAD_LETTER_PREFIX}.{name}"]
    written = keys_written_by(name).items()
    subjects += [f"$KV.{bucket.name}.{key}" for bucket, keys in written for key in keys]
    if consumer := consumer_of(name):
        subjects += [form.format(consumer.name) for form in _CONSUMING]
    if name in _MEASURES:
        subjects += [f"{_API}.{call}" for call in _LISTING]
    removes = [DEAD_LETTERS.name] if name in REMOVES_DEAD_LETTERS else []
    removes += map(_stream, ERASED_BY.get(name, ()))
    return subjects + [f"{_API}.STREAM.MSG.DELETE.{stream}" for stream in removes]


def _opening_periods() -> Iterable[str]:
    """Return what makes a stream and its consumers, but changes and removes none."""
    yield f"{_API}.STREAM.CREATE.*"
    for consumer in CONSUMERS:
        yield f"{_API}.CONSUMER.CREATE.*.{consumer.name}"
        yield f"{_API}.CONSUMER.DURABLE.CREATE.*.{consumer.name}"


def _reading(stream: str) -> Iterable[str]:
    return (f"{_API}.{form.format(stream)}" for form in _READING)


def _stream(bucket: BucketSpec) -> str:
    return f"KV_{bucket.name}"
