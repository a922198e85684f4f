"""What a reader that was taken over can still do: nothing."""

import contextlib
import ctypes
import json
import os
import re
import struct
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest

from nexuslims_extractor.cage import child, landlock, seccomp, syscalls
from nexuslims_extractor.cage.child import Kind, run
from nexuslims_extractor.cage.reading import Job
from nexuslims_extractor.cage.walls import Cage, Walls, companions
from nexuslims_extractor.checks import check_walls
from nexuslims_extractor.workers import WorkerPool
from nexuslims_formats.errors import UnsafeFileError
from nexuslims_formats.model import InstrumentContext
from nexuslims_shared.settings import Settings

needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
needs_seccomp = pytest.mark.skipif(not seccomp.is_available(), reason="no seccomp here")

ATTACKS = """
import ctypes, json, mmap, os, signal, socket, stat, sys, threading
from nexuslims_extractor.profiles import Profile

libc = ctypes.CDLL(None, use_errno=True)
HERE = {here!r}
OTHER = {other!r}
QUEUE = {queue!r}

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

def runs_from_memory():
    program = libc.memfd_create(b"program", 0)
    os.write(program, open(sys.executable, "rb").read())
    libc.fexecve(program, None, None)
    return False

def watches(folder):
    queue = libc.inotify_init()
    return queue >= 0 and libc.inotify_add_watch(queue, os.fsencode(folder), 0xFFF) >= 0

def marks(path):
    flags, descriptor = ctypes.c_int(), os.open(path, os.O_RDONLY)
    libc.ioctl(descriptor, ctypes.c_ulong(0x80086601), ctypes.byref(flags))
    return libc.ioctl(descriptor, ctypes.c_ulong(0x40086602), ctypes.byref(flags)) == 0

def sends_a_signal_by_a_pipe():
    descriptor = os.pipe()[0]
    return libc.fcntl(descriptor, 8, os.getppid()) == 0 and libc.fcntl(descriptor, 10, 9) == 0

def sets_limits():
    half_zero = 1 << 32  # an address of which a filter may see the lower half only
    libc.mmap.restype = ctypes.c_void_p
    private, at_that_place, writable = 0x22, 0x100000, 3
    place = libc.mmap(
        ctypes.c_void_p(half_zero), ctypes.c_size_t(4096), writable, private | at_that_place, -1, 0
    )
    if place != half_zero:
        return False
    no_core, none = 4, [0, 0]
    (ctypes.c_ulong * 2).from_address(place)[:] = none
    return libc.prlimit(0, no_core, ctypes.c_void_p(place), None) == 0

def received(queue):
    return libc.msgrcv(queue, ctypes.create_string_buffer(64), 16, 0, 0o4000) >= 0

def is_somewhere(descriptor):
    found = os.fstat(descriptor)
    return not stat.S_ISFIFO(found.st_mode) and found.st_rdev != os.stat("/dev/null").st_rdev

def has_threads(count):
    threading.stack_size(32768)
    done, started = threading.Event(), []
    try:
        for _ in range(count):
            started.append(threading.Thread(target=done.wait))
            started[-1].start()
    except RuntimeError:
        return False
    finally:
        done.set()
    return True

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
        "find a log or a terminal": lambda: any(map(is_somewhere, range(3))),
        "type into the terminal": lambda: any(
            libc.ioctl(number, 0x5412, b"x") == 0 for number in range(3)
        ),
        "run a program from memory": runs_from_memory,
        "have memory that is not counted": lambda: bool(mmap.mmap(-1, 1 << 20)),
        "have a file in memory": lambda: libc.memfd_create(b"x", 0) >= 0,
        "have shared memory": lambda: libc.shmget(1, 4096, 0o1666) >= 0,
        "have a queue": lambda: libc.msgget(1, 0o1666) >= 0,
        "have a semaphore": lambda: libc.semget(1, 1, 0o1666) >= 0,
        "have a key": lambda: libc.syscall(248, b"user", b"a", b"b", 1, -3) >= 0,
        "have a ring": lambda: libc.syscall(425, 4, ctypes.create_string_buffer(512)) >= 0,
        "have a namespace": lambda: libc.unshare(0x10000000) == 0,
        "have more threads than others leave": lambda: has_threads(2000),
        "watch the folder of others": lambda: watches(os.path.dirname(OTHER)),
        "watch the whole disk": lambda: libc.fanotify_init(0, 0) >= 0,
        "read another's notes": lambda: libc.getxattr(os.fsencode(OTHER), b"user.x", None, 0) >= 0,
        "mark the file": lambda: marks(path),
        "hold the file back": lambda: libc.fcntl(os.open(path, os.O_RDONLY), 1024, 0) == 0,
        "signal by a pipe": sends_a_signal_by_a_pipe,
        "signal everybody": lambda: libc.kill(-1, 0) == 0 or libc.kill(0, 0) == 0,
        "slow the service down": lambda: libc.setpriority(0, os.getppid(), 5) == 0,
        "move the service": lambda: libc.sched_setaffinity(
            os.getppid(), 8, ctypes.byref(ctypes.c_ulong(1))
        ) == 0,
        "hold a process of the service": lambda: libc.syscall(434, os.getppid(), 0) >= 0,
        "copy the service's memory": lambda: libc.syscall(310, os.getppid(), 0, 0, 0, 0, 0) >= 0,
        "see what the service has open": lambda: bool(os.listdir(f"/proc/{{os.getppid()}}/fd")),
        "see where the service is": lambda: bool(os.readlink(f"/proc/{{os.getppid()}}/cwd")),
        "speak to the kernel": lambda: libc.socket(16, 3, 0) >= 0,
        "have a pair of sockets": lambda: libc.socketpair(1, 1, 0, (ctypes.c_int * 2)()) == 0,
        "set limits past the filter": sets_limits,
        "lock the file": lambda: libc.flock(os.open(path, os.O_RDONLY), 2 | 4) == 0,
        "read another's queue": lambda: received(QUEUE),
        "remove another's queue": lambda: libc.msgctl(QUEUE, 0, None) == 0,
        "take what the machine has of requests": lambda: libc.syscall(
            206, 60000, ctypes.byref(ctypes.c_ulong())
        ) == 0,
        "write all disks": lambda: libc.syncfs(os.open(path, os.O_RDONLY)) == 0,
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


@pytest.fixture
def queue_of_another() -> Iterator[int]:
    """A queue of messages that anybody may use, as other programs of the host have them."""
    libc = ctypes.CDLL(None, use_errno=True)
    queue = libc.msgget(0, 0o1666)
    assert queue >= 0
    message = struct.pack("l16s", 1, b"words of another")
    assert libc.msgsnd(queue, message, 16, 0) == 0
    yield queue
    assert libc.msgctl(queue, 0, None) == 0


@needs_landlock
@needs_seccomp
@pytest.mark.parametrize("start", ["forkserver", "fork"])
async def test_no_attack_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue_of_another: int, start: str
) -> None:
    monkeypatch.setenv("NX_CDCS_TOKEN", "hunter2")
    folder, others, profiles = (tmp_path / name for name in ("mine", "others", "profiles"))
    for one in (folder, others, profiles):
        one.mkdir()
    (tmp_path / ".env").write_text("NX_CDCS_TOKEN=hunter2")
    monkeypatch.chdir(tmp_path)
    (others / "secret_001.tif").write_bytes(b"secret")
    with contextlib.suppress(OSError):  # not every file system has them
        os.setxattr(others / "secret_001.tif", "user.x", b"secret")
    (folder / "image.txt").write_bytes(b"content")
    attacks = ATTACKS.format(
        here=str(tmp_path), other=str(others / "secret_001.tif"), queue=queue_of_another
    )
    (profiles / "attack.py").write_text(attacks)
    async with WorkerPool(1, start=start) as pool:  # type: ignore[arg-type]
        instrument = InstrumentContext("I", "UTC")
        job = Job(path=folder / "image.txt", instrument=instrument, profiles=profiles)
        found = await pool.extract(job)
    reply = re.search(r"\[\d+, \[.*?\]\]", str(found.reason))
    assert reply is not None, found.reason
    count, done = json.loads(reply[0])
    assert (done, count) == ([], 62)
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
    for at, value in enumerate(arguments):
        data |= {16 + 8 * at: value & 0xFFFFFFFF, 20 + 8 * at: value >> 32}
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
    assert decide(machine, number("prlimit64"), 0, 7, 1 << 32) == "refuse"
    for how, verdict in [(1 | 4, "allow"), (2 | 4, "refuse"), (8, "allow")]:
        assert decide(machine, number("flock"), 3, how) == verdict
    for asked, verdict in [(0x5401, "allow"), (0x5412, "refuse"), (0x40086602, "refuse")]:
        assert decide(machine, number("ioctl"), 0, asked) == verdict
    for asked, verdict in [(3, "allow"), (8, "refuse"), (1024, "refuse"), (1030, "allow")]:
        assert decide(machine, number("fcntl"), 0, asked) == verdict
    for flags, verdict in [(0x22, "allow"), (0x01, "allow"), (0x21, "refuse"), (0x23, "refuse")]:
        assert decide(machine, number("mmap"), 0, 0, 0, flags) == verdict
    assert decide(machine, 0, architecture=1) == "kill"
    assert decide(machine, 0x40000000) == "refuse"


# --- what an operator is told ---


async def test_the_doctor_says_which_walls_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = await check_walls(Settings(instrument_data_path=Path(), data_path=Path()))
    assert (finding.what, finding.problem) == ("worker walls", "")
    assert "audit hook" in finding.detail
    assert Walls(0, False).present() == ["audit hook"]
    assert len(Walls(0, False).lacking()) == 4
    assert "not root" in Walls(0, False).lacking()[-2]
    assert "use the network" in Walls(7, False).lacking()[0]
    assert "use the network" not in Walls(7, False, namespaces=True).lacking()[0]
    (threads,) = Walls(7, True).lacking()
    assert "as many threads" in threads
    assert Walls(7, True, namespaces=True).present()[-2] == "namespaces of its own"
    assert Walls(7, True, namespaces=True).lacking() == []
    assert Walls(7, True, own_user=True).lacking() == []
    assert Walls(7, True, own_user=True).present() == [
        "Landlock 7", "seccomp", "a user of its own", "audit hook",
    ]  # fmt: skip
