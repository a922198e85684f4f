"""Every metric of the services, by its name; ``/metrics`` serves them to Prometheus.

Labels are few on purpose: names of handlers, kinds of events, calendars and destinations, never a
session, a file or a subject. A session is found by the exemplars of a histogram.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from nexuslims_shared.logs import current_session
from nexuslims_shared.telemetry import tracing

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_LONGEST_EXEMPLAR: Final = 128
"""Characters of names and values together, by the OpenMetrics specification."""


class Durations:
    """How long something took, by what came of it, with the session as exemplar.

    Parameters
    ----------
    name, description
        Of the histogram, in seconds.
    labels
        The last of them are given by what came of it.
    """

    def __init__(self, name: str, description: str, labels: tuple[str, ...]) -> None:
        self._labels = len(labels)
        self._histogram = Histogram(name, description, labels, buckets=SECONDS)

    @contextmanager
    def timing(self, *labels: str) -> Iterator[Callable[..., None]]:
        """Time something; what it yields is called with the last labels.

        Where an exception comes instead, they are ``failed``.
        """
        given: list[str] = []
        begin = time.perf_counter()
        try:
            yield lambda *more: given.extend(more)
        finally:
            missing = self._labels - len(labels) - len(given)
            ends = [*labels, *given, *["failed"] * missing]
            self.observe(time.perf_counter() - begin, *ends)

    def expect(self, *labels: str) -> None:
        """Begin at zero: what appears with the first failure is no increase to Prometheus."""
        self._histogram.labels(*labels)

    def observe(self, seconds: float, *labels: str) -> None:
        """Note one duration.

        Parameters
        ----------
        seconds
            How long it took.
        labels
            Values of the labels, in order.
        """
        self._histogram.labels(*labels).observe(seconds, _exemplar())


def _exemplar() -> dict[str, str] | None:
    """Return which session and trace something was about, as far as the format has room."""
    found: dict[str, str] = {}
    session = current_session()
    known = {"em_session_id": session, "trace_id": tracing.identifiers().get("trace_id", "")}
    for name, value in known.items():
        room = _LONGEST_EXEMPLAR - sum(len(key) + len(text) for key, text in found.items())
        if value and len(name) + len(value) <= room:
            found[name] = value
    return found or None


HANDLED: Final = Durations(
    "nexuslims_handler_seconds",
    "Handling of events delivered together",
    ("handler", "event", "outcome"),
)
NOT_DONE: Final = Counter(
    "nexuslims_handler_not_done_total",
    "Handlings that came to nothing: later, left, unavailable, failed, cancelled",
    ("handler", "outcome"),
)
IN_FLIGHT: Final = Gauge(
    "nexuslims_handler_in_flight", "Deliveries that are handled at the moment", ("handler",)
)
DEAD_LETTERS_WRITTEN: Final = Counter(
    "nexuslims_dead_letters_written_total", "Events that a handler gave up", ("handler",)
)
CHECK: Final = Gauge(
    "nexuslims_check",
    "1 for what a condition of readiness comes to: ok, failed, could not look",
    ("check", "state"),
)
EXTRACTION: Final = Durations(
    "nexuslims_extraction_seconds", "Reading one file", ("extractor", "outcome")
)
EXTRACTION_FAILURES: Final = Counter(
    "nexuslims_extraction_failures_total", "Files that were not read", ("extractor", "failure")
)
BUILD: Final = Durations("nexuslims_build_seconds", "Building one record", ("outcome",))
DESTINATION_CALLS: Final = Durations(
    "nexuslims_destination_seconds",
    "Calls of a destination: accepted, refused, deferred",
    ("operation", "destination", "result"),
)
BREAKER_OPEN: Final = Gauge(
    "nexuslims_breaker_open", "1 while a destination is left alone", ("destination",)
)
DESTINATION_AWAY: Final = Gauge(
    "nexuslims_destination_away_seconds",
    "For how long a destination has not answered; 0 if it answers",
    ("destination",),
)
DESTINATION_WAITING: Final = Gauge(
    "nexuslims_destination_waiting_sessions",
    "Sessions that wait for a destination that does not answer",
    ("destination",),
)
CURATION_LOOKED: Final = Gauge(
    "nexuslims_curation_looked_timestamp_seconds",
    "When the uploader last looked for what people added to a record, in seconds since 1970",
)
VERIFIED: Final = Gauge(
    "nexuslims_verified_timestamp_seconds",
    "When the uploader last verified a record by itself, in seconds since 1970",
)
VERIFY_FINDINGS: Final = Gauge(
    "nexuslims_verify_findings",
    "Records at destinations, artifacts and instruments' files that were not well when last seen",
    ("place", "problem"),
)
POLLS: Final = Durations(
    "nexuslims_poll_seconds", "Asking a calendar: answered, failed", ("calendar", "result")
)
CALENDAR_ANSWERED: Final = Gauge(
    "nexuslims_calendar_answered_timestamp_seconds",
    "When a calendar last answered, in seconds since 1970",
    ("calendar",),
)

SESSIONS: Final = Gauge("nexuslims_sessions", "Sessions by status", ("status",))
OLDEST_UNSETTLED: Final = Gauge(
    "nexuslims_oldest_unsettled_seconds",
    "For how long the session has ended that waits longest for its record; 0 if none waits",
)
DUE_SESSIONS: Final = Gauge(
    "nexuslims_due_sessions", "Sessions with work that is due, by who has to do it", ("service",)
)
DUE_SECONDS: Final = Gauge(
    "nexuslims_due_seconds", "For how long the oldest due work of a service waits", ("service",)
)
DUE_FILES: Final = Gauge("nexuslims_due_files", "Files that are found and not read yet")
STALE_RECORDS: Final = Gauge(
    "nexuslims_stale_records", "Records that lack something that came after them"
)
DEAD_LETTERS: Final = Gauge("nexuslims_dead_letters", "Events that nobody could use")
UNREADABLE_EVENTS: Final = Gauge(
    "nexuslims_unreadable_events", "Stored messages that this release cannot read"
)
READ_MODEL_LAG: Final = Gauge(
    "nexuslims_read_model_lag_events", "Events that the read model does not hold yet"
)
READ_MODEL_TIME: Final = Gauge(
    "nexuslims_read_model_timestamp_seconds", "When the read model last took events in, since 1970"
)
STREAM_MESSAGES: Final = Gauge("nexuslims_stream_messages", "Messages of a stream", ("stream",))
STREAM_BYTES: Final = Gauge("nexuslims_stream_bytes", "Bytes of a stream on a disk", ("stream",))
STREAM_REPLICAS: Final = Gauge(
    "nexuslims_stream_replicas", "Copies of a stream that are up to date", ("stream",)
)
STREAM_REPLICAS_WANTED: Final = Gauge(
    "nexuslims_stream_replicas_wanted", "Copies that a stream should have", ("stream",)
)
CONSUMER_PENDING: Final = Gauge(
    "nexuslims_consumer_pending", "Events not delivered yet", ("stream", "consumer")
)
CONSUMER_ACK_PENDING: Final = Gauge(
    "nexuslims_consumer_ack_pending",
    "Events delivered and not settled, those among them that wait for their time",
    ("stream", "consumer"),
)
CONSUMER_REDELIVERED: Final = Gauge(
    "nexuslims_consumer_redelivered", "Open events delivered more than once", ("stream", "consumer")
)
MEASURED: Final = Gauge(
    "nexuslims_measured_timestamp_seconds", "When the console last measured, since 1970", ("what",)
)
