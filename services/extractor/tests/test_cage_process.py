"""What a process that reads a file says, and what becomes of it: none of it is trusted."""

import os
from pathlib import Path

import pytest

from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_extractor.cage import child, reading
from nexuslims_extractor.cage.child import Kind, Reply, run
from nexuslims_extractor.cage.reading import Job, _checked
from nexuslims_extractor.cage.walls import Cage
from nexuslims_extractor.errors import WorkerError
from nexuslims_extractor.extraction import (
    LONGEST_REASON,
    Extraction,
    FileFacts,
    from_bytes,
    to_bytes,
)
from nexuslims_formats.model import NOBODY
from nexuslims_formats.sandbox import Sandbox


def nothing() -> None:
    """No walls."""


def test_a_process_says_what_it_found_and_how_it_ended() -> None:
    assert run(nothing, lambda send: send(Kind.RESULT, b"x" * 300_000), seconds=20) == Reply(
        result=b"x" * 300_000
    )
    assert run(nothing, lambda send: os._exit(3), seconds=20).exitcode == 3
    assert run(nothing, lambda send: os.kill(os.getpid(), 11), seconds=20).exitcode == -11
    assert run(nothing, lambda send: 1 // 0, seconds=20).failure == (  # type: ignore[arg-type]
        "ZeroDivisionError: integer division or modulo by zero"
    )


def test_a_process_that_takes_too_long_or_says_too_much_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()

    def wait(send: child.Send) -> None:
        send(Kind.STEP, b"finishing")
        os.read(reading, 1)

    def talk(send: child.Send) -> None:
        while True:
            send(Kind.STEP, b"x" * 100_000)

    monkeypatch.setattr(child, "_open_descriptors", set)
    reply = run(nothing, wait, seconds=0.2)
    assert (reply.late, reply.step) == (True, "finishing")
    monkeypatch.setattr(child, "_LARGEST", 1_000_000)
    assert run(nothing, talk, seconds=20).exitcode == -9
    os.close(reading)
    os.close(writing)


def test_what_a_process_prints_is_passed_on_within_bounds_and_obeyed_by_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work(send: child.Send) -> None:
        os.write(2, b"half of it \x1b]0;evil\x07\n" + b"x" * 60_000)
        os.write(1, b"y" * 60_000 + b"\n")
        send(Kind.RESULT, b"found")

    assert run(nothing, work, seconds=20).result == b"found"
    first, second, *more = capsys.readouterr().err.splitlines()
    assert (first, set(second), more) == (r"half of it \x1b]0;evil\x07", {"x", "y"}, [])
    assert len(second) < child._MOST_PRINTED


def extraction(**changes: object) -> Extraction:
    facts = FileFacts("image.txt", 7, "2026-01-01T00:00:00+00:00", "")
    values = {"file": facts, "outcome": "extracted", "extractor": NOBODY, **changes}
    return Extraction(**values)  # type: ignore[arg-type]


def test_what_a_process_made_must_be_its_own_and_what_it_says(tmp_path: Path) -> None:
    job = Job(path=Path("image.txt"), artifacts_root=tmp_path, relative_path="T/image.txt")
    claimed = ArtifactRef(path="records/x.xml", sha256="0" * 64, size=1)
    for found, made in [
        (extraction(), {"../../evil": b"x"}),
        (extraction(), {"records/x.xml": b"x"}),
        (extraction(previews=(claimed,)), {}),
        (extraction(previews=(claimed,)), {"records/x.xml": b"y"}),
    ]:
        with pytest.raises(WorkerError, match="something else"):
            _checked(found, Reply(artifacts=made), job)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reply", "failure", "reason"),
    [
        (Reply(result=b"\xff[{"), "failed", "nobody understands"),
        (Reply(result=b"[" * 100_000), "failed", "nobody understands"),
        (Reply(result=b"{}"), "failed", "nobody understands"),
        (Reply(result=to_bytes(extraction()), artifacts={"../x": b""}), "failed", "something else"),
        (Reply(failure="ValueError: \x1b[2J" + "x" * 5_000, step="reading {}"),
         "failed", r"ValueError: \x1b[2Jx"),
        (Reply(failure="UnsafeFileError: \x1b[2J"), "unreadable", r"\x1b[2J"),
        (Reply(failure="MemoryError", step="\ufffd {not json"), "memory", ""),
        (Reply(step="reading [[[["), "crashed", ""),
    ],
)  # fmt: skip
def test_whatever_a_process_says_costs_its_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Reply, failure: str, reason: str
) -> None:
    monkeypatch.setattr(reading, "run", lambda *_, **__: reply)
    job = Job(path=tmp_path / "a.txt", artifacts_root=tmp_path)
    lost = reading.read_behind_walls(Cage(), Sandbox(), job, 1)
    assert isinstance(lost, reading.Lost)
    assert (lost.failure, lost.extractor, reason in lost.reason) == (failure, NOBODY, True)
    assert len(lost.reason) <= LONGEST_REASON + len(r"\x1b")
    assert lost.reason.isprintable()


def test_a_process_that_fails_before_its_file_says_nothing_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "run", lambda *_, **__: Reply(failure="OSError: no wall"))
    with pytest.raises(WorkerError, match="no wall"):
        reading.read_behind_walls(Cage(), Sandbox(), Job(path=tmp_path / "a.txt"), 1)


def test_an_extraction_is_the_same_behind_the_pipe() -> None:
    found = extraction(reason="half of it: é", failure=None)
    assert from_bytes(to_bytes(found), Path("image.txt")) == found
    odd = os.fsdecode(b"\xff.txt")
    assert from_bytes(to_bytes(found), Path(odd)).file.path == odd
