"""Writes Grafana's dashboards from what is listed here: ``python -m scripts.dashboards``.

Every query is run by ``tests/test_monitoring.py`` against a real Prometheus that scrapes the
services under load.
"""

from pathlib import Path
from typing import Final

from scripts.grafana import RATE, Chart, Dashboard, Traces, quantile, rate, written

FOLDER: Final = Path(__file__).resolve().parents[1] / "operations" / "grafana" / "dashboards"
HANDLER, EXTRACTION = "nexuslims_handler_seconds", "nexuslims_extraction_seconds"
DESTINATION = "nexuslims_destination_seconds"

FACILITY = Dashboard(
    "facility",
    "Facility",
    "Is all well, and if not, what is not.",
    {
        "Sessions": [
            Chart(
                "Need an operator",
                'sum(max by (status) (nexuslims_sessions{status=~"ERROR|BUILT_NOT_EXPORTED"}))',
                number=True,
            ),
            Chart("Dead letters", "max(nexuslims_dead_letters)", number=True),
            Chart("Stale records", "max(nexuslims_stale_records)", number=True),
            Chart(
                "Oldest without a record",
                "max(nexuslims_oldest_unsettled_seconds)",
                unit="s",
                number=True,
                note="Since its end.",
            ),
            Chart("By status", "max by (status) (nexuslims_sessions)", "{{status}}"),
            Chart("Unreadable events", "max(nexuslims_unreadable_events)"),
        ],
        "What the services depend on": [
            Chart(
                "Services that answer", 'min by (component) (up{job="nexuslims"})', "{{component}}"
            ),
            Chart(
                "Checks that do not hold",
                'max by (component, check, state) (nexuslims_check{state!="ok"})',
                "{{component}}: {{check}}: {{state}}",
                note="What could not be looked at is not well either.",
            ),
            Chart(
                "Folders",
                "min by (component, check)"
                ' (nexuslims_check{state="ok", check=~"mount.*|instrument.*"})',
                "{{component}}: {{check}}",
            ),
            Chart(
                "Calendars: since their last answer",
                "time() - max by (calendar) (nexuslims_calendar_answered_timestamp_seconds)",
                "{{calendar}}",
                "s",
            ),
        ],
        "Destinations": [
            Chart(
                "Away for",
                "max by (destination) (nexuslims_destination_away_seconds)",
                "{{destination}}",
                "s",
            ),
            Chart(
                "Sessions that wait",
                "sum by (destination) (nexuslims_destination_waiting_sessions)",
                "{{destination}}",
            ),
            Chart(
                "Left alone (breaker open)",
                "max by (destination) (nexuslims_breaker_open)",
                "{{destination}}",
            ),
            Chart(
                "People's additions: since the last look",
                "time() - max (nexuslims_curation_looked_timestamp_seconds > 0)",
                "last look",
                "s",
            ),
            Chart(
                "Not well when verified last",
                "max by (place, problem) (nexuslims_verify_findings)",
                "{{place}}: {{problem}}",
            ),
            Chart(
                "Verified by the uploader: since the last record",
                "time() - max (nexuslims_verified_timestamp_seconds > 0)",
                "last record",
                "s",
            ),
            Chart(
                "Calls, by result",
                rate(f"{DESTINATION}_count", "operation, destination, result"),
                "{{operation}} {{destination}}: {{result}}",
                "ops",
            ),
        ],
    },
)

PIPELINE = Dashboard(
    "pipeline",
    "Pipeline",
    "Where work waits, and how fast it goes.",
    {
        "Due work": [
            Chart("Sessions", "max by (service) (nexuslims_due_sessions)", "{{service}}"),
            Chart("Oldest", "max by (service) (nexuslims_due_seconds)", "{{service}}", "s"),
            Chart("Files to read", "max(nexuslims_due_files)"),
            Chart(
                "Events not delivered",
                "max by (stream, consumer) (nexuslims_consumer_pending)",
                "{{stream}} {{consumer}}",
            ),
        ],
        "Handlers: rate, errors, duration": [
            Chart(
                "Rate", rate(f"{HANDLER}_count", "handler, event"), "{{handler}}: {{event}}", "ops"
            ),
            Chart(
                "Not done",
                rate("nexuslims_handler_not_done_total", "handler, outcome"),
                "{{handler}}: {{outcome}}",
                "ops",
                note="later and left wait for their time; failed and unavailable are trouble.",
            ),
            Chart("Median", quantile(0.5, HANDLER, "handler"), "{{handler}}", "s"),
            Chart("95 %", quantile(0.95, HANDLER, "handler"), "{{handler}}", "s"),
            Chart("In flight", "sum by (handler) (nexuslims_handler_in_flight)", "{{handler}}"),
        ],
        "Steps": [
            Chart(
                "Calendar, 95 %",
                quantile(0.95, "nexuslims_poll_seconds", "calendar"),
                "{{calendar}}",
                "s",
            ),
            Chart(
                "Polls",
                rate("nexuslims_poll_seconds_count", "calendar, result"),
                "{{calendar}}: {{result}}",
                "ops",
            ),
            Chart(
                "Build, 95 %",
                quantile(0.95, "nexuslims_build_seconds", "outcome"),
                "{{outcome}}",
                "s",
            ),
            Chart(
                "Destination, 95 %",
                quantile(0.95, DESTINATION, "destination"),
                "{{destination}}",
                "s",
            ),
            Chart("Read model behind", "max(nexuslims_read_model_lag_events)", unit="short"),
        ],
        "Processes": [
            Chart(
                "CPU",
                f'sum by (component) (rate(process_cpu_seconds_total{{job="nexuslims"}}[{RATE}]))',
                "{{component}}",
            ),
            Chart(
                "Memory",
                'max by (component) (process_resident_memory_bytes{job="nexuslims"})',
                "{{component}}",
                "bytes",
            ),
        ],
    },
)

EXTRACTORS = Dashboard(
    "extractors",
    "Extractors",
    "Which files are slow or cannot be read.",
    {
        "Files": [
            Chart(
                "Read",
                rate(f"{EXTRACTION}_count", "extractor, outcome"),
                "{{extractor}}: {{outcome}}",
                "ops",
            ),
            Chart(
                "Failures",
                rate("nexuslims_extraction_failures_total", "extractor, failure"),
                "{{extractor}}: {{failure}}",
                "ops",
            ),
            Chart("Median", quantile(0.5, EXTRACTION, "extractor"), "{{extractor}}", "s"),
            Chart("95 %", quantile(0.95, EXTRACTION, "extractor"), "{{extractor}}", "s"),
            Chart(
                "Share that failed",
                f'sum(rate({EXTRACTION}_count{{outcome=~"failed|unsupported"}}[{RATE}]))'
                f" / sum(rate({EXTRACTION}_count[{RATE}]))",
                unit="percentunit",
            ),
            Chart("Files to read", "max(nexuslims_due_files)"),
        ],
        "Traces": [
            Traces("Slow", '{ name = "extract" && duration > 10s }'),
            Traces("Failed", '{ name = "extract" && status = error }'),
        ],
    },
)

BROKER = Dashboard(
    "broker",
    "Broker",
    "The streams and who follows them.",
    {
        "Streams": [
            Chart("Messages", "max by (stream) (nexuslims_stream_messages)", "{{stream}}"),
            Chart("Bytes", "max by (stream) (nexuslims_stream_bytes)", "{{stream}}", "bytes"),
            Chart(
                "Copies that are missing",
                "max by (stream) (nexuslims_stream_replicas_wanted)"
                " - max by (stream) (nexuslims_stream_replicas)",
                "{{stream}}",
            ),
            Chart(
                "The broker stores and answers",
                'min by (component) (nexuslims_check{check="broker", state="ok"})',
                "{{component}}",
            ),
        ],
        "Consumers": [
            Chart(
                "Not delivered",
                "max by (stream, consumer) (nexuslims_consumer_pending)",
                "{{stream}} {{consumer}}",
            ),
            Chart(
                "Delivered, not settled",
                "max by (stream, consumer) (nexuslims_consumer_ack_pending)",
                "{{stream}} {{consumer}}",
                note="What waits for its time is among them.",
            ),
            Chart(
                "Delivered again",
                "max by (stream, consumer) (nexuslims_consumer_redelivered)",
                "{{stream}} {{consumer}}",
            ),
            Chart(
                "Dead letters written",
                rate("nexuslims_dead_letters_written_total", "handler"),
                "{{handler}}",
                "ops",
            ),
        ],
    },
)

OF_SESSION = '{ span.em.session.id = "$session"'
SESSION = Dashboard(
    "session",
    "One session",
    "What happened to a session, from cause to effect, as on its page in the console.",
    {
        "1 Calendar": [
            Traces("Stated", f'{OF_SESSION} && resource.service.name = "nexuslims-harvester" }}')
        ],
        "2 Files found": [
            Traces("Found", f'{OF_SESSION} && resource.service.name = "nexuslims-indexer" }}')
        ],
        "3 Files read": [
            Traces("All", f'{OF_SESSION} && name = "extract" }}'),
            Traces("Failed", f'{OF_SESSION} && name = "extract" && status = error }}'),
        ],
        "4 Record built": [Traces("Built", f'{OF_SESSION} && name = "build record" }}')],
        "5 Record uploaded": [Traces("Calls", f'{OF_SESSION} && name =~ "upload|withdraw" }}')],
        "What came again": [
            Traces(
                "Delivered again, read again, rebuilt", f"{OF_SESSION} && span.em.replay = true }}"
            ),
            Traces("Errors", f"{OF_SESSION} && status = error }}"),
        ],
    },
    variable="session",
)

DASHBOARDS: Final = (FACILITY, PIPELINE, EXTRACTORS, BROKER, SESSION)


def main() -> None:
    """Write all dashboards."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.name}.json").write_text(written(dashboard), encoding="utf-8")


if __name__ == "__main__":
    main()
