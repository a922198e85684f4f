"""Artifacts and instruments' files that are lost, changed or moved."""

import hashlib
import os
import shutil
from contextlib import contextmanager, suppress

import pytest

from nexuslims_contracts.events import RebuildRequested, RetryRequested
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.leases import MemoryLeases
from nexuslims_uploader.findings import ARTIFACTS, FILES
from nexuslims_uploader.verify import Scope, Verifier, sessions_with_records
from nexuslims_uploader.verify_files import FileVerifier, Original, compare_file
from nexuslims_uploader.verify_position import Position

CONTENT = b"microscope file"


@pytest.fixture
async def facility(harness, facts):
    """A session with one file that was read, and its record."""
    root = harness.settings.instrument_data_path
    raw = root / "Titan" / "a.dm3"
    raw.parent.mkdir()
    raw.write_bytes(CONTENT)
    status = raw.stat()
    artifact = write_artifact(harness.settings.data_path, "Titan/a.dm3.json", b"{}")
    await harness.append(facts.matched(), facts.ended())
    indexed = facts.indexed(1, path="Titan/a.dm3", size=len(CONTENT), mtime_ns=status.st_mtime_ns)
    sha256 = sha256_of(CONTENT)
    extracted = facts.extracted(1, artifacts=(artifact,), sha256=sha256)
    await harness.append(indexed, extracted)
    await harness.build(b"<r/>", 4)
    harness.raw = raw
    harness.artifact = harness.settings.data_path / artifact.path
    return harness


def sha256_of(content):
    return hashlib.sha256(content).hexdigest()


async def verify(harness, *, hashing=False, repair=False, position=None):
    files = FileVerifier(harness.context(), hashing=hashing, repair=repair)
    verifier = Verifier(harness.context(), (), MemoryLeases(), repair=repair, files=files)
    sessions = await sessions_with_records(harness.store)
    return await verifier.verify(sessions, lambda _done, _total: None, position)


@contextmanager
def stopping(path, **how):
    """A position in a verification that is stopped at the end."""
    with suppress(KeyboardInterrupt), Position(path, **how) as position:
        yield position
        raise KeyboardInterrupt


def problems(result):
    return [(one.destination, one.path, one.problem) for one in result.findings]


@pytest.mark.parametrize("hashing", [False, True])
async def test_what_is_in_its_place_is_well(facility, hashing) -> None:
    result = await verify(facility, hashing=hashing)
    assert (result.files, result.findings, result.ok) == (3, (), True)


async def test_a_lost_artifact_is_asked_for_once(facility) -> None:
    facility.artifact.unlink()
    seen = await verify(facility)
    assert problems(seen) == [(ARTIFACTS, "Titan/a.dm3.json", "missing")]
    assert not seen.ok
    for _ in range(2):
        assert (await verify(facility, repair=True)).ok
    requests = [
        one.event for one in await facility.history() if type(one.event) is RebuildRequested
    ]
    assert [one.re_extract for one in requests] == [True]


async def test_a_lost_record_is_asked_for_once(facility) -> None:
    (facility.settings.records / "file-1.xml").unlink()
    for _ in range(2):
        assert (await verify(facility, repair=True)).ok
    requests = [one for one in await facility.history() if isinstance(one.event, RetryRequested)]
    assert len(requests) == 1


async def test_a_changed_artifact_is_left_alone(facility) -> None:
    facility.artifact.write_bytes(b"theirs")
    result = await verify(facility, repair=True)
    assert problems(result) == [(ARTIFACTS, "Titan/a.dm3.json", "changed")]
    assert not result.ok
    assert facility.artifact.read_bytes() == b"theirs"


@pytest.mark.parametrize("hashing", [False, True])
async def test_a_moved_file_is_named(facility, hashing) -> None:
    there = facility.raw.parent / "old" / "b.dm3"
    there.parent.mkdir()
    shutil.move(facility.raw, there)
    (finding,) = (await verify(facility, hashing=hashing)).findings
    assert (finding.destination, finding.problem) == (FILES, "moved")
    assert "Titan/old/b.dm3" in finding.detail


async def test_a_hash_tells_a_file_from_another_of_its_size_and_name(facility) -> None:
    other = facility.raw.parent / "old" / "a.dm3"
    other.parent.mkdir()
    other.write_bytes(CONTENT[::-1])
    facility.raw.unlink()
    (finding,) = (await verify(facility, hashing=True)).findings
    assert finding.problem == "missing"


async def test_a_file_that_is_not_mounted_is_no_loss(facility) -> None:
    shutil.rmtree(facility.raw.parent)
    (finding,) = (await verify(facility)).findings
    assert finding.problem == "unknown"
    assert "mounted" in finding.detail


async def test_another_content_of_the_same_size_and_time_needs_the_hash(facility) -> None:
    times = facility.raw.stat()
    facility.raw.write_bytes(CONTENT[::-1])
    os.utime(facility.raw, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (await verify(facility)).ok
    assert problems(await verify(facility, hashing=True)) == [(FILES, "Titan/a.dm3", "changed")]
    facility.raw.write_bytes(CONTENT * 2)
    assert problems(await verify(facility)) == [(FILES, "Titan/a.dm3", "changed")]


def test_a_file_on_tape_is_never_read(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.dm3"
    with path.open("wb") as file:
        file.truncate(1_000_000)
    monkeypatch.setattr("nexuslims_uploader.verify_files._sha256", lambda _: pytest.fail("read"))
    original = Original("a.dm3", 1_000_000, path.stat().st_mtime_ns, "0" * 64)
    assert compare_file(tmp_path, original, hashing=False) is None
    found = compare_file(tmp_path, original, hashing=True)
    assert found is not None
    assert found[0] == "unknown"


async def test_it_goes_on_where_it_was_stopped(facility, tmp_path) -> None:
    path = tmp_path / "position"

    with stopping(path) as position:
        await verify(facility, position=position)
    facility.artifact.unlink()
    with Position(path) as position:
        again = await verify(facility, position=position)
    assert (again.files, again.findings) == (3, ()), "it was well, and is not looked at again"
    assert not path.exists()
    assert problems(await verify(facility)) == [(ARTIFACTS, "Titan/a.dm3.json", "missing")]


def test_a_position_is_cut_off_or_too_old_or_not_wanted(tmp_path) -> None:
    path = tmp_path / "position"
    path.write_text("a 1 2\nb 1")
    with stopping(path) as position:
        assert position.well == {"a": (1, 2)}
        position.add("b", 3, 4)
    with stopping(path) as position:
        assert position.well == {"a": (1, 2), "b": (3, 4)}
    with stopping(path, restart=True) as position:
        assert position.well == {}
        position.add("c", 1, 1)
    os.utime(path, (0, 0))
    with Position(path) as position:
        assert position.well == {}


def test_each_scope_has_a_position_of_its_own(settings) -> None:
    scopes = [Scope(), Scope("file-1"), Scope(hashing=True), Scope(repair=True)]
    assert len({scope.position(settings).path for scope in scopes}) == len(scopes)
