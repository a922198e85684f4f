"""The streams, consumers and buckets of the whole system, in one place.

Everything that provisions, checks or documents the broker reads this module: the ``provision``
command, the services' readiness, the Kubernetes manifests' tests and the AsyncAPI document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from nexuslims_contracts import events, periods, subjects
from nexuslims_contracts.envelope import MAX_EVENT_BYTES
from nexuslims_contracts.periods import Period

MIN_SERVER = (2, 14, 5)
"""Oldest nats-server with sound atomic batches on streams with subject expectations."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream: file storage, limits retention, no age limit, nothing can be deleted from it."""

    name: str
    subjects: tuple[str, ...]
    description: str
    duplicate_window: timedelta = timedelta(minutes=2)
    allow_atomic: bool = False
    append_only: bool = True
    largest: int = -1
    """Bytes of a message at most, with its headers."""


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """A durable pull consumer: one per service and purpose.

    ``max_deliver`` is unlimited on purpose: waiting for files or for a broken destination is not a
    failure, and the services count attempts themselves and write a dead letter with the reason.
    ``ack_wait`` is how long the work of a killed service rests; a living one gives signs of life
    three times as often.
    """

    name: str
    service: str
    filters: tuple[str, ...]
    description: str
    ack_wait: timedelta = timedelta(seconds=15)
    max_ack_pending: int = 1000
    max_deliver: int = -1


@dataclass(frozen=True, slots=True)
class BucketSpec:
    """A key-value bucket that keeps the last revision of each key, for ever or for a while.

    Parameters
    ----------
    name
        Of the bucket.
    description
        What is in it.
    ttl
        How long a key is kept; for ever if not given.
    erasable
        Whether revisions that were replaced or erased are overwritten on the broker's disk. Until
        that is done the broker keeps them, :data:`REVISIONS_TO_ERASE` at most.
    """

    name: str
    description: str
    ttl: timedelta | None = None
    erasable: bool = False


REVISIONS_TO_ERASE = 64
"""Revisions of a key of which none goes away without being overwritten; the broker's limit."""


LARGEST_MESSAGE = MAX_EVENT_BYTES + 16 * 1024
"""An event, and room for its headers."""

EVENTS = StreamSpec(
    name=periods.ALL.stream,
    subjects=(subjects.ALL,),
    description="What happened to every session: the only source of truth",
    allow_atomic=True,
    largest=LARGEST_MESSAGE,
)

DEAD_LETTER_PREFIX = "nexus.dead-letters"

DEAD_LETTERS = StreamSpec(
    name="NEXUS_DEAD_LETTERS",
    subjects=(f"{DEAD_LETTER_PREFIX}.>",),
    description="What a service could not use: where it is, and why",
    append_only=False,
)

STREAMS = (EVENTS, DEAD_LETTERS)

PEOPLE = BucketSpec(
    name="NEXUS_PEOPLE",
    description="Names of people, by the opaque id that events use; erasing a key forgets a person",
    erasable=True,
)

OPERATORS = BucketSpec(
    name="NEXUS_OPERATORS",
    description="How files name the people who used instruments, by the id that events use",
    erasable=True,
)

LEASES = BucketSpec(
    name="NEXUS_LEASES",
    description="Who is at work on a session while nobody else may be; forgotten when it goes away",
    ttl=timedelta(seconds=15),
)

CALENDARS = BucketSpec(
    name="NEXUS_CALENDARS",
    description="When each calendar was last gone over whole; withdrawals that an operator decides",
)

READERS = BucketSpec(
    name="NEXUS_READERS",
    description="Which kinds of files the extractor in use reads; the indexer looks for these",
)

PROBES = BucketSpec(
    name="NEXUS_PROBES",
    description="Notes that each service stores and reads back to see that the broker still stores",
    ttl=timedelta(hours=1),
)

SESSIONS = BucketSpec(
    name="NEXUS_SESSIONS",
    description="Which period each session belongs to, where there is more than one",
)

PERIODS = BucketSpec(
    name="NEXUS_PERIODS",
    description="Periods whose streams were removed after a backup, until they are restored",
    erasable=True,
)

BUCKETS = (PEOPLE, OPERATORS, LEASES, CALENDARS, READERS, PROBES, SESSIONS, PERIODS)

INDEXER = ConsumerSpec(
    name="indexer",
    service="indexer",
    filters=(
        events.SessionStarted.filter(),
        events.SessionEnded.filter(),
        events.SessionRevised.filter(),
        events.SessionCancelled.filter(),
        events.ReservationMatched.filter(),
        events.ConsentDeclined.filter(),
        events.ReservationMissing.filter(),
        events.RetryRequested.filter(),
        events.ExtractionFailed.filter(),
    ),
    description="Whatever decides which files are whose, or says that one changed unread",
    max_ack_pending=10_000,
)

EXTRACTOR = ConsumerSpec(
    name="extractor",
    service="extractor",
    filters=(
        events.FileIndexed.filter(),
        events.RebuildRequested.filter(),
        events.RetryRequested.filter(),
    ),
    description="Files to read",
)

_BEFORE_ANYTHING_IS_DUE = frozenset({events.SessionStarted, events.FileIndexed})
"""Inputs of a record that never make one due: what follows them, an end or an outcome, does."""

BUILDER = ConsumerSpec(
    name="builder",
    service="builder",
    filters=tuple(
        model.filter() for model in events.RECORD_INPUTS if model not in _BEFORE_ANYTHING_IS_DUE
    ),
    description="Whatever may make a record due or stale, or forbid one",
)

UPLOADER = ConsumerSpec(
    name="uploader",
    service="uploader",
    filters=(
        events.RecordBuilt.filter(),
        events.ConsentDeclined.filter(),
        events.ReservationMissing.filter(),
        events.SessionCancelled.filter(),
        events.FilesNotFound.filter(),
        events.RetryRequested.filter(),
        events.WithdrawalRequested.filter(),
        events.RecordLost.filter(),
    ),
    description="Records to take to their destinations, or to take away from there",
    max_ack_pending=10_000,
)

CONSUMERS = (INDEXER, EXTRACTOR, BUILDER, UPLOADER)


STATED_BY_CONSUMERS: tuple[type[events.Event], ...] = (events.HandlingFailed,)
"""The events that each service with a consumer states about its own work."""

STATED_BY: Mapping[str, tuple[type[events.Event], ...]] = {
    "harvester": (
        events.SessionStarted,
        events.SessionEnded,
        events.SessionRevised,
        events.SessionCancelled,
        events.ReservationMatched,
        events.ConsentDeclined,
        events.ReservationMissing,
    ),
    "indexer": (
        events.FileIndexed,
        events.FileSuperseded,
        events.FileMissing,
        events.SessionIndexed,
        events.FilesAwaited,
        events.FilesNotFound,
        *STATED_BY_CONSUMERS,
    ),
    "extractor": (events.MetadataExtracted, events.ExtractionFailed, *STATED_BY_CONSUMERS),
    "builder": (
        events.RecordBuilt,
        events.RecordRejected,
        events.ActivitiesCorrected,
        *STATED_BY_CONSUMERS,
    ),
    "uploader": (
        events.RecordUploaded,
        events.UploadFailed,
        events.RecordWithdrawn,
        events.WithdrawalFailed,
        events.RecordCurated,
        events.RecordLost,
        *STATED_BY_CONSUMERS,
    ),
    "console": (
        events.SessionImported,
        events.RebuildRequested,
        events.RetryRequested,
        events.WithdrawalRequested,
    ),
}
"""Service -> the events that it states, and nobody else but for :data:`STATED_BY_CONSUMERS`."""

PROJECTION = "console"
"""The service that follows the whole stream, without a durable consumer: its read model knows where
it is."""


_OF_EACH = (PROBES, SESSIONS, PERIODS)

BUCKETS_READ_BY: Mapping[str, tuple[BucketSpec, ...]] = {
    "harvester": (*_OF_EACH, PEOPLE, CALENDARS),
    "indexer": (*_OF_EACH, PEOPLE, OPERATORS, READERS, CALENDARS),
    "extractor": (*_OF_EACH, OPERATORS, READERS),
    "builder": (*_OF_EACH, PEOPLE, OPERATORS, LEASES),
    "uploader": (*_OF_EACH, LEASES),
    "console": BUCKETS,
}
"""Service -> the buckets that it looks into."""

KEYS_WRITTEN_BY: Mapping[str, Mapping[BucketSpec, tuple[str, ...]]] = {
    "harvester": {
        PEOPLE: ("*",),
        CALENDARS: ("swept.*", "held.*", "settled.*"),
        SESSIONS: ("*",),
    },
    "indexer": {CALENDARS: ("held.files.*", "settled.files.*")},
    "extractor": {OPERATORS: ("*",), READERS: ("kinds",)},
    "builder": {LEASES: ("builder.*",)},
    "uploader": {LEASES: ("*", "destination.*")},
    "console": {PEOPLE: ("*",), OPERATORS: ("*",), CALENDARS: ("approved.>",), PERIODS: ("*",)},
}
"""Service -> the keys that it writes, by bucket, with the wildcards of subjects. Each writes its
notes of :data:`PROBES` besides; see :func:`keys_written_by`."""

ERASED_BY: Mapping[str, tuple[BucketSpec, ...]] = {
    "harvester": (PEOPLE,),
    "console": (PEOPLE, OPERATORS),
}
"""Service -> the buckets in which it puts something in the place of a name, and overwrites that."""

REMOVES_DEAD_LETTERS = ("harvester", *(one.service for one in CONSUMERS), "console")
"""The services that remove dead letters: each closes its own when what they are about is done."""

OPENS_PERIODS = "harvester"
"""The service that states what comes first of a session. So it creates the stream of a period that
a session is the first of, with its consumers, where nobody has yet; see :func:`events_of`."""


def events_of(period: Period) -> StreamSpec:
    """Return the stream of a period."""
    if period == periods.ALL:
        return EVENTS
    return replace(
        EVENTS,
        name=period.stream,
        subjects=(period.subject(subjects.ALL),),
        description=f"What happened to the sessions of {period.name}: the only source of truth",
    )


def consumer_in(period: Period, consumer: ConsumerSpec) -> ConsumerSpec:
    """Return a consumer in the stream of a period: the same name, the period's subjects.

    Parameters
    ----------
    period
        The period.
    consumer
        The consumer as it is of all periods.
    """
    return replace(consumer, filters=tuple(map(period.subject, consumer.filters)))


def subjects_stated_by(service: str) -> tuple[str, ...]:
    """Return the subjects a service publishes events on, with wildcards, in whatever period."""
    filters = (model.filter() for model in STATED_BY.get(service, ()))
    return tuple(subject for each in filters for subject in periods.any_period(each))


def keys_written_by(service: str) -> Mapping[BucketSpec, tuple[str, ...]]:
    """Return the keys a service writes, by bucket: ``*`` stands for a token, ``>`` for the rest."""
    return {PROBES: (f"{service}.*", f"at-work.{service}.*"), **KEYS_WRITTEN_BY[service]}


def consumer_of(service: str) -> ConsumerSpec | None:
    """Return the consumer of a service; the harvester and the console have none."""
    return next((spec for spec in CONSUMERS if spec.service == service), None)
