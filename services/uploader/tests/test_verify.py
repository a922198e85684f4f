"""Destinations that lose records: it is found out, and made good."""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
import typer
from typer.testing import CliRunner

from nexuslims_contracts.events import RecordLost
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.embedded import start_embedded
from nexuslims_shared.errors import LeaseHeldError
from nexuslims_shared.leases import MemoryLeases
from nexuslims_shared.network import Network
from nexuslims_shared.store.jetstream import JetStreamEventStore
from nexuslims_shared.store.port import read_session
from nexuslims_uploader import destination_calls
from nexuslims_uploader.archive import ArchiveDestination
from nexuslims_uploader.cdcs.client import CdcsClient
from nexuslims_uploader.cdcs.destination import CdcsDestination
from nexuslims_uploader.cdcs.previews import Previews
from nexuslims_uploader.cdcs.settings import CdcsSettings
from nexuslims_uploader.cli import verify as verify_command
from nexuslims_uploader.elabftw.client import ElabftwClient
from nexuslims_uploader.elabftw.destination import ElabftwDestination
from nexuslims_uploader.elabftw.settings import ElabftwSettings
from nexuslims_uploader.findings import Finding
from nexuslims_uploader.guarded_calls import ATTEMPTS_BEFORE_FAILURE
from nexuslims_uploader.testing import FakeDestination, small_record_xml
from nexuslims_uploader.testing.cdcs import FakeCdcs
from nexuslims_uploader.testing.elabftw import FakeElabftw
from nexuslims_uploader.verify import Verifier, sessions_with_uploads

SESSIONS = [f"file-{number}" for number in range(6)]


async def begin(harness, session: str) -> bytes:
    """Have the record of a session built."""
    number = int(session.rpartition("-")[2])
    events, xml = SessionEvents(session), small_record_xml(number=number, session=session)
    artifact = write_artifact(harness.settings.records, f"2018_{number}.xml", xml)
    await harness.append(events.matched(), events.ended(), events.built(2, xml, record=artifact))
    return xml


async def handle(harness, session: str) -> None:
    events = await read_session(harness.store, session)
    await harness.uploader.handle(tuple(events[-1:]))


async def verify(harness, *destinations, repair: bool = False):
    progress = []
    verifier = Verifier(harness.context(), destinations, MemoryLeases(), repair=repair)
    sessions = await sessions_with_uploads(harness.store)
    result = await verifier.verify(sessions, lambda done, total: progress.append((done, total)))
    assert [done for done, _ in progress] == list(range(1, len(sessions) + 1))
    return result


async def test_every_second_record_is_lost_at_three_destinations_and_comes_back(
    harness, tmp_path
) -> None:
    async with AsyncExitStack() as stack:
        cdcs = await stack.enter_async_context(FakeCdcs().running())
        elabftw = await stack.enter_async_context(FakeElabftw().running())
        own = CdcsSettings(url=cdcs.url, token="admin-token")  # noqa: S106 - a fake's
        client = CdcsClient(own, Network())
        eln = ElabftwSettings(url=elabftw.url, api_key="1-abc")
        records = harness.settings.records
        destinations = (
            ArchiveDestination(records, tmp_path),
            CdcsDestination(client, own, Previews(client, tmp_path)),
            ElabftwDestination(ElabftwClient(eln, Network()), eln),
        )
        for one in destinations:
            stack.push_async_callback(one.close)
        harness.use(*destinations)
        xml = {session: await begin(harness, session) for session in SESSIONS}
        for session in SESSIONS:
            await handle(harness, session)
        whole = await verify(harness, *destinations)
        assert (whole.records, whole.findings, whole.ok) == (18, (), True)

        for number in (1, 3, 5):
            (records / "uploaded" / f"2018_{number}.xml").unlink()
            cdcs.records.pop(
                next(i for i, r in cdcs.records.items() if r.session == f"file-{number}")
            )
            elabftw.experiments[sorted(elabftw.experiments)[number]].state = 3
        seen = await verify(harness, *destinations)
        assert not seen.ok
        assert {(one.session, one.destination, one.problem) for one in seen.findings} == {
            (f"file-{number}", name, "missing")
            for number in (1, 3, 5)
            for name in ("archive", "cdcs", "elabftw")
        }
        repaired = await verify(harness, *destinations, repair=True)
        assert repaired.ok
        assert all(one.sent_again for one in repaired.findings)
        for session in SESSIONS:
            await handle(harness, session)
        again = await verify(harness, *destinations)
        assert (again.records, again.findings) == (18, ())
        assert cdcs.held() == {session: [content] for session, content in xml.items()}
        assert len(elabftw.visible()) == len(SESSIONS)
        assert len(list((records / "uploaded").glob("*.xml"))) == len(SESSIONS)


async def test_a_restored_backup_and_an_old_title_are_repaired(harness, tmp_path) -> None:
    """Of two records one is an earlier one of ours, the other as an earlier release titled it."""
    async with FakeCdcs().running() as cdcs:
        own = CdcsSettings(url=cdcs.url, token="admin-token")  # noqa: S106 - a fake's
        client = CdcsClient(own, Network())
        destination = CdcsDestination(client, own, Previews(client, tmp_path))
        harness.use(destination)
        for session in SESSIONS[:2]:
            await begin(harness, session)
            await handle(harness, session)
        former = cdcs.records[1].xml
        events, xml = (
            SessionEvents(SESSIONS[0]),
            small_record_xml("Two", number=0, session=SESSIONS[0]),
        )
        artifact = write_artifact(harness.settings.records, "2018_0.xml", xml)
        await harness.append(events.built(4, xml, record=artifact))
        await handle(harness, SESSIONS[0])
        assert cdcs.held()[SESSIONS[0]] == [xml]

        cdcs.records[1].xml, cdcs.records[2].title = former, SESSIONS[1]
        seen = await verify(harness, destination)
        assert {one.problem for one in seen.findings} == {"outdated"}
        assert (len(seen.findings), seen.ok) == (2, False)
        assert (await verify(harness, destination, repair=True)).ok
        for session in SESSIONS[:2]:
            await handle(harness, session)
        assert (await verify(harness, destination)).findings == ()
        assert cdcs.held()[SESSIONS[0]] == [xml]
        assert [one.title for one in cdcs.records.values()] == ["2018_0", "2018_1"]
        await destination.close()


async def test_what_a_person_changed_is_listed_and_left_alone(harness) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await begin(harness, "file-1")
    await handle(harness, "file-1")
    fake.records["file-1"] = b"theirs"
    result = await verify(harness, fake, repair=True)
    assert [(one.problem, one.sent_again) for one in result.findings] == [("changed", False)]
    assert not result.ok
    await handle(harness, "file-1")
    assert fake.records == {"file-1": b"theirs"}


async def test_a_destination_that_does_not_answer_is_no_loss(harness) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await begin(harness, "file-1")
    await handle(harness, "file-1")
    fake.faults += ["away"] * ATTEMPTS_BEFORE_FAILURE
    (finding,) = (await verify(harness, fake, repair=True)).findings
    assert finding.problem == "unknown"
    assert "no answer" in finding.detail
    events = await read_session(harness.store, "file-1")
    assert not [one for one in events if isinstance(one.event, RecordLost)]


async def test_it_waits_while_another_process_is_at_work_at_a_destination(
    harness, monkeypatch
) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await begin(harness, "file-1")
    await handle(harness, "file-1")
    fake.one_at_a_time = True
    monkeypatch.setattr(destination_calls, "LOOK_AGAIN_AFTER", timedelta())
    busy = iter([True, True, False])

    class Leases(MemoryLeases):
        def hold(self, key):
            if next(busy):
                raise LeaseHeldError("another uploader is at work")
            return super().hold(key)

    verifier = Verifier(harness.context(), (fake,), Leases(), repair=False)
    assert await verifier.look_at("file-1") == (1, 0, [])
    assert next(busy, None) is None


async def test_a_loss_that_two_found_is_stated_once(harness) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await begin(harness, "file-1")
    await handle(harness, "file-1")
    fake.records.clear()
    for _ in range(2):
        await verify(harness, fake, repair=True)
    events = await read_session(harness.store, "file-1")
    assert sum(isinstance(one.event, RecordLost) for one in events) == 1
    await handle(harness, "file-1")
    assert list(fake.records) == ["file-1"]


async def test_a_withdrawn_record_is_not_missed(harness) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await begin(harness, "file-1")
    await handle(harness, "file-1")
    await harness.append(SessionEvents("file-1").declined(after=1))
    await handle(harness, "file-1")
    result = await verify(harness, fake, repair=True)
    assert (result.records, result.findings) == (0, ())


@pytest.mark.parametrize("content", [None, b"other"])
async def test_a_damaged_artifact_is_listed(harness, content) -> None:
    fake = FakeDestination()
    harness.use(fake)
    await begin(harness, "file-1")
    await handle(harness, "file-1")
    artifact = harness.settings.records / "2018_1.xml"
    artifact.unlink()
    if content is not None:
        artifact.write_bytes(content)
    (finding,) = (await verify(harness, fake)).findings
    assert isinstance(finding, Finding)
    assert finding.problem == "unknown"
    assert "nexuslims rebuild" in finding.detail


@pytest.mark.broker
def test_the_command_on_the_real_broker(harness, settings, tmp_path, monkeypatch) -> None:
    """As an operator calls it: a table, an exit code, and the loss in the log."""
    broker = start_embedded(tmp_path)
    monkeypatch.setenv("NATS_URL", broker.url)
    for name in ("instrument_data_path", "data_path", "state_path"):
        monkeypatch.setenv(f"NX_{name.upper()}", str(getattr(settings, name)))

    async def prepare() -> None:
        client = await connect(broker.url, name="test")
        await provision(client.jetstream())
        harness.store = JetStreamEventStore(client.jetstream())
        harness.use(ArchiveDestination(settings.records, settings.data_path))
        await begin(harness, "file-1")
        await handle(harness, "file-1")
        await client.close()

    asyncio.run(prepare())
    app = typer.Typer()
    app.command()(verify_command)
    assert CliRunner().invoke(app, ["--all"]).exit_code == 0
    (settings.records / "uploaded" / "2018_1.xml").unlink()
    seen = CliRunner().invoke(app, ["--all", "--json"])
    assert seen.exit_code == 1
    (finding,) = json.loads(seen.stdout)["findings"]
    assert (finding["session"], finding["problem"]) == ("file-1", "missing")
    repaired = CliRunner().invoke(app, ["--session", "file-1", "--repair"])
    assert repaired.exit_code == 0
    assert "file-1" in repaired.stdout
    assert CliRunner().invoke(app, []).exit_code == 2
    assert CliRunner().invoke(app, ["--all", "--destination", "elsewhere"]).exit_code == 2
    broker.stop()
