"""The traces of a session, from the harvester to the uploader, as a collector receives them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.facility import make_facility

from nexuslims_contracts.events import EVENT_TYPES
from nexuslims_contracts.subjects import template
from nexuslims_shared.session.status import Status, progress
from tests.halting import halting, wait_until_halted
from tests.otlp import Collector, ReceivedSpan, collecting
from tests.system import PIPELINE, running

pytestmark = pytest.mark.broker

SESSION = "file-1001"
FILES = 18
SEND_FILES = "send nexus.events.{session}.file.{file}.file-indexed"
PROCESS_FILE = "process nexus.events.{session}.file.{file}.file-indexed"
PARTS = {"extract", "build record", "upload", "withdraw"}
UNITS = {"state session", "state files", "read file again", "rebuild record"}
TEMPLATES = {template(model.filter()) for model in EVENT_TYPES.values()}
EM_REPLAY = "em.replay"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def facility(tmp_path: Path) -> Path:
    make_facility(tmp_path)
    return tmp_path


def tracing_to(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}


def rebuild(folder: Path, settings: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nexuslims_shared", "rebuild", "--session", SESSION, *arguments],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def has(spans: list[ReceivedSpan], name: str, count: int = 1) -> bool:
    return sum(1 for span in spans if (span.name, span.session) == (name, SESSION)) >= count


def was_read_again(spans: list[ReceivedSpan]) -> bool:
    return has(spans, "read file again", FILES)


@pytest.mark.chaos
@pytest.mark.timeout(300)  # what was in flight comes again after half a minute
async def test_the_traces_of_a_session(facility: Path, collector: Collector) -> None:
    """Through a session's life, an extractor that is killed, and a rebuild."""
    settings = tracing_to(collector)
    others = [name for name in PIPELINE if name != "extractor"]
    async with running(facility, others, **settings) as system:
        program = halting("nexuslims_extractor.app:Reader._read")
        system.start("extractor", program=program, NX_EXTRACTOR_WORKERS="1")
        await asyncio.to_thread(wait_until_halted, system.processes["extractor"])
        system.kill("extractor")
        system.start("extractor")
        states = await system.wait_for_status([SESSION])
        assert progress(states[SESSION]).status is Status.COMPLETED
        settings["NATS_URL"] = system.broker.url
        position = await system.store.last_sequence()
        await asyncio.to_thread(rebuild, facility, settings, "--re-extract")
        await asyncio.to_thread(collector.wait, was_read_again)
        await system.wait_until(
            lambda item: (item.event.session, item.event.kind()) == (SESSION, "record-built"),
            after=position,
        )
        await asyncio.to_thread(rebuild, facility, settings)
        await asyncio.to_thread(collector.wait, lambda spans: has(spans, "rebuild record"))
        for name in PIPELINE:
            await asyncio.to_thread(system.terminate, name)
    spans = {(span.trace, span.id): span for span in collector.spans}
    _check_names_and_attributes(collector)
    _check_links_lead_somewhere(spans)
    _check_units_have_a_trace_each(spans)
    _check_the_live_session(collector, spans)
    _check_what_came_again(collector, spans)
    _check_nobody_is_named(collector)


def _check_names_and_attributes(collector: Collector) -> None:
    assert collector.schemas == {"https://opentelemetry.io/schemas/1.44.0"}
    assert collector.spans
    for span in collector.spans:
        assert span.session, span
        if span.name in PARTS | UNITS:
            continue
        operation, _, destination = span.name.partition(" ")
        assert operation in {"send", "process"}
        assert destination in TEMPLATES | {"nexus.events.{session}.>"}
        assert span.attributes["messaging.system"] == "nats"
        assert span.attributes["messaging.operation.name"] == operation
        assert span.attributes["messaging.operation.type"] == operation
        assert span.attributes["messaging.destination.template"] == destination
        assert span.attributes["messaging.message.conversation_id"] == span.session
        assert span.kind == {"send": 4, "process": 5}[operation]


def _check_links_lead_somewhere(spans: dict[tuple[str, str], ReceivedSpan]) -> None:
    """To a span that stored an event, or to the unit it was begun in; killed ones cannot tell."""
    linked = 0
    for span in spans.values():
        for link in span.links:
            if link in spans:
                linked += 1
                assert spans[link].session == span.session
                assert spans[link].name.partition(" ")[0] in {"send", "process"}
    assert linked > 3 * FILES


def _check_units_have_a_trace_each(spans: dict[tuple[str, str], ReceivedSpan]) -> None:
    """Of files there are many, so none of their spans is in the trace of another's."""
    for span in spans.values():
        if span.name in {PROCESS_FILE, "read file again", "state files", "rebuild record"}:
            assert span.parent == "", span
    for span in spans.values():
        if span.parent:
            assert span.session in {
                other.session for other in spans.values() if other.trace == span.trace
            }
    largest = max(
        sum(1 for span in spans.values() if span.trace == trace)
        for trace in {span.trace for span in spans.values()}
    )
    assert largest < FILES


def _check_the_live_session(
    collector: Collector, spans: dict[tuple[str, str], ReceivedSpan]
) -> None:
    """From effect to cause: uploader, builder, extractor, indexer, harvester."""
    upload = collector.of("upload", em_session_id=SESSION)[0]
    assert upload.attributes["nexus.destination"] == "archive"
    handled = spans[upload.trace, upload.parent]
    assert handled.service == "nexuslims-uploader"
    (cause,) = handled.links
    assert spans[cause].name == "send nexus.events.{session}.record-built"
    assert (handled.trace, handled.parent) == cause, "a first delivery goes on in the same trace"

    build = spans[spans[cause].trace, spans[cause].parent]
    assert build.service == "nexuslims-builder"
    causes = [spans[link] for link in build.links if link in spans]
    files = [one for one in causes if one.name.endswith("metadata-extracted")]
    assert files
    read = spans[files[0].trace, files[0].parent]
    assert read.name == PROCESS_FILE
    assert read.attributes["nexus.file"] == files[0].attributes["nexus.file"]
    (extract,) = (one for one in collector.of("extract") if one.trace == read.trace)
    assert extract.attributes["nexus.extractor"].split()[0]
    assert extract.attributes["nexus.outcome"] == "extracted"

    (found,) = (spans[link] for link in read.links)
    assert found.name == SEND_FILES
    assert found.attributes["messaging.batch.message_count"] == FILES
    manifest = spans[found.trace, found.parent]
    assert (manifest.service, manifest.name) == ("nexuslims-indexer", "state files")
    stated = [spans[link] for link in manifest.links]
    assert stated
    assert {one.service for one in stated} == {"nexuslims-harvester"}


def _check_what_came_again(
    collector: Collector, spans: dict[tuple[str, str], ReceivedSpan]
) -> None:
    again = [one for one in collector.of(PROCESS_FILE) if one.attributes["nexus.attempt"] > 1]
    assert again, "the extractor was killed with files in flight"
    for span in again:
        assert span.attributes[EM_REPLAY] is True
        assert span.links
    first = [one for one in collector.of(PROCESS_FILE) if one.attributes["nexus.attempt"] == 1]
    assert {one.attributes[EM_REPLAY] for one in first} == {False}
    requested = collector.of("read file again", em_session_id=SESSION)
    assert len({one.attributes["nexus.file"] for one in requested}) == FILES
    (rebuilt,) = collector.of("rebuild record", em_session_id=SESSION)
    assert rebuilt.attributes[EM_REPLAY] is True
    assert [spans[link].name for link in rebuilt.links] == [
        "send nexus.events.{session}.record-built"
    ]
    for span in requested:
        assert span.attributes[EM_REPLAY] is True
        (link,) = span.links
        assert spans[link].name == "process nexus.events.{session}.rebuild-requested"


def _check_nobody_is_named(collector: Collector) -> None:
    for name in (b"ned@example.org", b"Land", b"Gold nanoparticles"):
        assert name not in bytes(collector.raw)


def test_nothing_of_opentelemetry_is_imported_unless_it_is_wanted() -> None:
    for variables, imported in (
        ({}, "False False"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
            "False False",
        ),
        ({"OTEL_TRACES_EXPORTER": "none"}, "False False"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "True True"),
    ):
        code = (
            "import sys\n"
            "import nexuslims_shared.service\n"
            "from nexuslims_shared.telemetry import tracing\n"
            "tracing.configure('test')\n"
            "print('opentelemetry.sdk' in sys.modules, 'opentelemetry.trace' in sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == imported, variables
