"""What a reader that was taken over can still do: nothing."""

import json
import os
import re
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest

from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_extractor.cage import child, landlock, seccomp, syscalls
from nexuslims_extractor.cage.child import Kind, Reply, run
from nexuslims_extractor.cage.reading import Job, _checked
from nexuslims_extractor.cage.walls import Cage, Walls, companions
from nexuslims_extractor.checks import check_walls
from nexuslims_extractor.errors import WorkerError
from nexuslims_extractor.extraction import Extraction, FileFacts, from_bytes, to_bytes
from nexuslims_extractor.workers import WorkerPool
from nexuslims_formats.errors import UnsafeFileError
from nexuslims_formats.model import NOBODY, InstrumentContext
from nexuslims_shared.settings import Settings

needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
needs_seccomp = pytest.mark.skipif(not seccomp.is_available(), reason="no seccomp here")

ATTACKS = """
import ctypes, json, os, signal, socket, sys
from nexuslims_extractor.profiles import Profile

libc = ctypes.CDLL(None, use_errno=True)
HERE = {here!r}
OTHER = {other!r}

def opens(path, flags=os.O_RDONLY):
    descriptor = libc.open(os.fsencode(path), flags, 0o600)
    return descriptor >= 0

def forks():
    if (child := libc.fork()) == 0:
        os._exit(0)
    return child > 0

def runs():
    arguments = (ctypes.c_char_p * 2)(b"/bin/true", None)
    libc.execve(b"/bin/true", arguments, arguments)
    return False  # where it works, it does not return

def attack(signal_, native, path):
    workers = sys.modules["nexuslims_extractor.workers"]
    workers._sandbox._allowed = ()  # the hook is off from here on
    beside = str(path) + ".new"
    attempts = {{
        "read .env": lambda: opens(HERE + "/.env"),
        "read /etc/passwd": lambda: opens("/etc/passwd"),
        "read another's file": lambda: opens(OTHER),
        "read what the service was started with": lambda: opens(f"/proc/{{os.getppid()}}/environ"),
        "read what it was started with": lambda: opens("/proc/self/environ"),
        "read the service's memory": lambda: opens(f"/proc/{{os.getppid()}}/mem"),
        "write beside the file": lambda: opens(beside, os.O_WRONLY | os.O_CREAT),
        "write over the file": lambda: opens(str(path), os.O_RDWR),
        "write a temporary file": lambda: opens("/tmp/attack", os.O_WRONLY | os.O_CREAT),
        "remove the file": lambda: libc.unlink(os.fsencode(path)) == 0,
        "rename the file": lambda: libc.rename(os.fsencode(path), os.fsencode(beside)) == 0,
        "make a link": lambda: libc.symlink(b"/etc", os.fsencode(beside)) == 0,
        "make a folder": lambda: libc.mkdir(os.fsencode(beside), 0o700) == 0,
        "change permissions": lambda: libc.chmod(os.fsencode(path), 0o777) == 0,
        "change times": lambda: libc.utimes(os.fsencode(path), None) == 0,
        "cut the file": lambda: libc.truncate(os.fsencode(path), 0) == 0,
        "list the folder of others": lambda: bool(os.listdir(os.path.dirname(OTHER))),
        "start a process": forks,
        "start a program": runs,
        "run a shell": lambda: libc.system(b"true") == 0,
        "open a socket": lambda: libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0) >= 0,
        "open a local socket": lambda: libc.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0) >= 0,
        "end the service": lambda: libc.kill(os.getppid(), 0) == 0,
        "trace the service": lambda: libc.ptrace(16, os.getppid(), None, None) == 0,
        "mount something": lambda: libc.mount(b"x", b"/mnt", b"tmpfs", 0, None) == 0,
        "have other rights": lambda: libc.setuid(0) == 0,
        "have more memory": lambda: libc.setrlimit(2, (ctypes.c_ulong * 2)(1 << 40, 1 << 40)) == 0,
        "find a secret around it": lambda: any("hunter2" in text for text in os.environ.values()),
        "find what was open": lambda: any(
            os.path.exists(f"/proc/self/fd/{{number}}") for number in range(4, 20)
        ),
    }}
    done = []
    for name, attempt in attempts.items():
        try:
            if attempt():
                done.append(name)
        except OSError:
            continue
    raise ValueError(json.dumps([len(attempts), done]))

Profile_ = Profile(instrument="I", parsers=(attack,))
"""


@needs_landlock
@needs_seccomp
@pytest.mark.parametrize("start", ["forkserver", "fork"])
async def test_no_attack_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    monkeypatch.setenv("NX_CDCS_TOKEN", "hunter2")
    folder, others, profiles = (tmp_path / name for name in ("mine", "others", "profiles"))
    for one in (folder, others, profiles):
        one.mkdir()
    (tmp_path / ".env").write_text("NX_CDCS_TOKEN=hunter2")
    monkeypatch.chdir(tmp_path)
    (others / "secret_001.tif").write_bytes(b"secret")
    (folder / "image.txt").write_bytes(b"content")
    attacks = ATTACKS.format(here=str(tmp_path), other=str(others / "secret_001.tif"))
    (profiles / "attack.py").write_text(attacks)
    async with WorkerPool(1, start=start) as pool:  # type: ignore[arg-type]
        instrument = InstrumentContext("I", "UTC")
        job = Job(path=folder / "image.txt", instrument=instrument, profiles=profiles)
        found = await pool.extract(job)
    reply = re.search(r"\[\d+, \[.*?\]\]", str(found.reason))
    assert reply is not None, found.reason
    count, done = json.loads(reply[0])
    assert (done, count) == ([], 29)
    assert sorted(path.name for path in folder.iterdir()) == ["image.txt"]


async def test_workers_were_never_given_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NX_CDCS_TOKEN", "hunter2")
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    async with WorkerPool(1) as pool:
        (tmp_path / "a.txt").write_text("content")
        await pool.extract(Job(path=tmp_path / "a.txt"))
        workers = psutil.Process().children(recursive=True)
        assert workers
        for one in workers:
            assert "hunter2" not in str(one.environ())
    assert os.environ["NX_CDCS_TOKEN"] == "hunter2"


@needs_landlock
async def test_a_link_that_is_put_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "files", tmp_path / "outside.txt"
    folder.mkdir()
    outside.write_text("secret")
    (folder / "image.txt").symlink_to(outside)
    async with WorkerPool(1, start="fork") as pool:
        found = await pool.extract(Job(path=folder / "image.txt", within=(folder,)))
    assert found.failure == "unreadable"
    assert "leads out of its folder" in str(found.reason)


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("content")
    (tmp_path / "b.txt").symlink_to("a.txt")

    def work(send: child.Send) -> None:
        send(Kind.RESULT, (tmp_path / "b.txt").read_bytes())

    cage = Cage()
    cage.prepare()
    reply = run(lambda: cage.close_around(tmp_path / "b.txt", [], [tmp_path]), work, seconds=20)
    assert (reply.result, reply.failure) == (b"content", None)
    with pytest.raises(UnsafeFileError, match="leads out"):
        Cage(Walls(0, False)).close_around(tmp_path / "b.txt", [], [tmp_path / "elsewhere"])


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("scan_master.h5", {"scan_master.h5", "scan_data_1.h5"}),
        ("map.emi", {"map.emi", "map_1.ser"}),
        ("map_1.ser", {"map.emi", "map_1.ser"}),
        ("tescan.tif", {"tescan.tif", "tescan-tif.hdr"}),
        ("alone.dm3", {"alone.dm3"}),
        ("warm_Heat raw.csv", {"warm_Metadata.log"}),
    ],
)
def test_companions_are_those_whose_names_begin_alike(
    tmp_path: Path, name: str, seen: set[str]
) -> None:
    for each in ("scan_master.h5", "scan_data_1.h5", "map.emi", "map_1.ser", "alone.dm3"):
        (tmp_path / each).touch()
    for each in ("tescan.tif", "tescan-tif.hdr", "warm_Heat raw.csv", "warm_Metadata.log"):
        (tmp_path / each).touch()
    assert {one.name for one in companions(tmp_path / name)} == seen


def test_a_long_series_is_no_family(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"image_{number:03}.tif").touch()
        (tmp_path / f"scan_{number:03}.h5").touch()
        (tmp_path / f"map_{number}.ser").touch()
    (tmp_path / "image_007.txt").touch()
    (tmp_path / "map.emi").touch()
    assert {one.name for one in companions(tmp_path / "image_007.tif")} == {
        "image_007.tif",
        "image_007.txt",
    }
    assert companions(tmp_path / "scan_001.h5") == [tmp_path]
    assert {one.name for one in companions(tmp_path / "map_42.ser")} == {"map_42.ser", "map.emi"}


def nothing() -> None:
    """No walls."""


def test_a_process_says_what_it_found_and_how_it_ended() -> None:
    assert run(nothing, lambda send: send(Kind.RESULT, b"x" * 300_000), seconds=20) == Reply(
        result=b"x" * 300_000
    )
    assert run(nothing, lambda send: os._exit(3), seconds=20).exitcode == 3
    assert run(nothing, lambda send: os.kill(os.getpid(), 11), seconds=20).exitcode == -11
    assert run(nothing, lambda send: 1 // 0, seconds=20).failure == (  # type: ignore[arg-type,return-value]
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


def test_an_extraction_is_the_same_behind_the_pipe() -> None:
    found = extraction(reason="half of it: é", failure=None)
    assert from_bytes(to_bytes(found), Path("image.txt")) == found
    odd = os.fsdecode(b"\xff.txt")
    assert from_bytes(to_bytes(found), Path(odd)).file.path == odd


# --- the filter ---

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
TABLES = (
    *(syscalls.PROGRAMS, syscalls.NETWORK, syscalls.PROCESSES, syscalls.FILES, syscalls.SYSTEM),
    syscalls.CONDITIONAL,
)


@pytest.mark.parametrize(("machine", "column"), [("x86_64", 0), ("aarch64", 1)])
def test_the_numbers_are_the_kernels(machine: str, column: int) -> None:
    if not HEADERS[machine].is_file():
        pytest.skip("the kernel's headers are not installed")
    text = HEADERS[machine].read_text()
    real = {
        match[1]: int(match[2])
        for match in re.finditer(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)
    }
    ours = {name: numbers[column] for table in TABLES for name, numbers in table.items()}
    known = {name: number for name, number in ours.items() if name in real}
    assert known == {name: real[name] for name in known}
    assert len(known) > 80


def decide(machine: str, number: int, *arguments: int, architecture: int | None = None) -> str:
    """Run the filter as the kernel does."""
    program = seccomp.compile_filter(machine, 4711)
    assert len(program) < 4096
    native, _ = seccomp._ARCHITECTURES[machine]
    data = {0: number, 4: native if architecture is None else architecture}
    data |= {16 + 8 * at: value for at, value in enumerate(arguments)}
    at, accumulator = 0, 0
    while True:
        code, true, false, operand = program[at]
        at += 1
        match code:
            case seccomp._LOAD:
                accumulator = data.get(operand, 0)
            case seccomp._IF_EQUAL:
                at += true if accumulator == operand else false
            case seccomp._IF_AT_LEAST:
                at += true if accumulator >= operand else false
            case seccomp._IF_ANY_BIT:
                at += true if accumulator & operand else false
            case _:
                return {seccomp._ALLOW: "allow", seccomp._KILL: "kill"}.get(operand, "refuse")


@pytest.mark.parametrize(("machine", "column"), [("x86_64", 0), ("aarch64", 1)])
def test_the_filter_refuses_what_it_should_and_nothing_else(machine: str, column: int) -> None:
    def number(name: str) -> int:
        found = next(table[name][column] for table in TABLES if name in table)
        assert found is not None
        return found

    read_and_exit = {"x86_64": (0, 231), "aarch64": (63, 94)}[machine]
    assert [decide(machine, one) for one in read_and_exit] == ["allow", "allow"]
    for table in TABLES[:-1]:
        for numbers in table.values():
            if (one := numbers[column]) is not None:
                assert decide(machine, one) == "refuse"
    for flags, verdict in [(0, "allow"), (1, "refuse"), (2, "refuse"), (0o100, "refuse")]:
        assert decide(machine, number("openat"), 0, 0, flags) == verdict
    assert decide(machine, number("clone"), 0x00010000) == "allow"
    assert decide(machine, number("clone"), 17) == "refuse"
    assert decide(machine, number("clone3")) == "refuse"
    assert decide(machine, number("tgkill"), 4711) == "allow"
    assert decide(machine, number("kill"), 4712) == "refuse"
    assert decide(machine, number("prlimit64"), 0, 7, 0) == "allow"
    assert decide(machine, number("prlimit64"), 0, 7, 1) == "refuse"
    assert decide(machine, 0, architecture=1) == "kill"
    assert decide(machine, 0x40000000) == "refuse"


# --- what an operator is told ---


async def test_the_doctor_says_which_walls_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = await check_walls(Settings(instrument_data_path=Path(), data_path=Path()))
    assert (finding.what, finding.problem) == ("worker walls", "")
    assert "audit hook" in finding.detail
    assert Walls(0, False).present() == ["audit hook"]
    assert len(Walls(0, False).lacking()) == 3
    assert "not root" in Walls(0, False).lacking()[-1]
    assert Walls(7, True).lacking() == []
    assert Walls(7, True, own_user=True).present() == [
        "Landlock 7", "seccomp", "a user of its own", "audit hook",
    ]  # fmt: skip
