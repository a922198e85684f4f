"""What who reads a file can reach: what the file names, with the rights of nobody."""

import contextlib
import ctypes
import errno
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from nexuslims_extractor.cage import child, identity, landlock
from nexuslims_extractor.cage.child import Kind, run
from nexuslims_extractor.cage.walls import Cage, Walls, companions

needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")


@pytest.mark.parametrize(
    ("name", "content", "seen"),
    [
        ("project.asw", b"\x0c\0\0\0.\\View.img\0\x0c\0.\\00_View\\View.pts\0",
         {"project.asw", "View.img", "00_View"}),
        ("map.spd", b"MAPSPECTRA_DATA\0" + bytes(32) + rb"C:\data\image.bmp",
         {"map.spd", "map.spc", "image.ipr"}),
        ("scan.xml", b"<root><filename>SCAN_x4_y4.raw</filename></root>",
         {"scan.xml", "scan_x4_y4.raw"}),
        ("scan.xml", "<a name='試料.raw'/>".encode("utf-16"), {"scan.xml", "試料.raw"}),
        ("project.asw", "\x0c.\\試料.raw\0".encode("cp932"), {"project.asw", "試料.raw"}),
        ("scan.xml", b"<a>..\\..\\secret.txt /etc/passwd .. .</a>", {"scan.xml", "secret.txt"}),
    ],
)  # fmt: skip
def test_a_file_that_names_others_has_those_and_no_other(
    tmp_path: Path, name: str, content: bytes, seen: set[str]
) -> None:
    for each in ("View.img", "Other.img", "image.ipr", "map.spc", "scan_x4_y4.raw", "試料.raw",
                 "secret.txt", "private.dm4"):  # fmt: skip
        (tmp_path / each).touch()
    (tmp_path / "00_View").mkdir()
    (tmp_path / name).write_bytes(content)
    assert {one.name for one in companions(tmp_path / name)} == seen


@needs_landlock
def test_what_a_project_names_is_read_and_what_lies_beside_or_elsewhere_is_not(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "mine"
    (folder / "00_View").mkdir(parents=True)
    (tmp_path / "elsewhere.img").write_text("secret")
    for each in ("View.img", "00_View/View.pts", "Other.img"):
        (folder / each).write_text("words")
    project = folder / "project.asw"
    project.write_bytes(b"\0.\\View.img\0.\\00_View\\View.pts\0..\\elsewhere.img\0")

    def work(send: child.Send) -> None:
        done = []
        for each in ("View.img", "00_View/View.pts", "Other.img", "../elsewhere.img"):
            with contextlib.suppress(OSError):
                done.append((folder / each).read_text() and each)
        send(Kind.RESULT, " ".join(done).encode())

    cage = Cage()
    cage.prepare()
    reply = run(lambda: cage.close_around(project, [], []), work, seconds=20)
    assert (reply.result, reply.failure) == (b"View.img 00_View/View.pts", None)


@pytest.mark.skipif(not Walls.of_host().own_user, reason="only root can become another user")
def test_who_reads_for_root_is_nobody_who_may_read(tmp_path: Path) -> None:
    path = tmp_path / "image.txt"
    path.write_text("content")
    path.chmod(0o600)

    def work(send: child.Send) -> None:
        facts = [path.read_text(), *map(str, os.getresuid()), *map(str, os.getgroups())]
        signal_ = ctypes.c_int()
        ctypes.CDLL(None).prctl(2, ctypes.byref(signal_), 0, 0, 0)  # PR_GET_PDEATHSIG
        for attempt in (lambda: os.kill(os.getppid(), 0), lambda: path.write_text("x"),
                        lambda: os.setuid(0), lambda: path.chmod(0o777)):  # fmt: skip
            try:
                attempt()
            except OSError as error:
                facts.append(type(error).__name__)
        send(Kind.RESULT, " ".join([*facts, str(signal_.value)]).encode())

    cage = Cage(Walls(landlock.abi(), seccomp=False, own_user=True))
    cage.prepare()
    reply = run(lambda: cage.close_around(path, [], []), work, seconds=20)
    refused = " ".join(["PermissionError"] * 4)
    assert (reply.result, reply.failure) == (
        f"content 65534 65534 65534 {refused} 9".encode(),
        None,
    )


@pytest.mark.skipif(not Walls.of_host().own_user, reason="only root can become another user")
def test_a_file_that_nobody_could_read_is_read_by_who_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a share that goes by the user: the host's own disks go by capabilities."""
    path = tmp_path / "image.txt"
    path.write_text("content")
    real = os.open

    def refuses(name: str | Path, flags: int, *more: int) -> int:
        if os.geteuid() == identity.NOBODY:
            raise PermissionError(13, "Permission denied")
        return real(name, flags, *more)

    def work(send: child.Send) -> None:
        send(Kind.RESULT, f"{path.read_text()} {os.getresuid()}".encode())

    cage = Cage(Walls(landlock.abi(), seccomp=False, own_user=True))
    cage.prepare()
    monkeypatch.setattr(os, "open", refuses)
    reply = run(lambda: cage.close_around(path, [], []), work, seconds=20)
    assert (reply.result, reply.failure) == (b"content (0, 0, 0)", None)


@pytest.mark.parametrize(
    ("setgroups", "users", "groups", "there"),
    [
        ("allow", "0 0 4294967295", "0 0 4294967295", True),
        ("allow", "0 1000 1\n1 100000 65536", "0 1000 1\n1 100000 65536", True),
        ("allow", "0 1000 1", "0 1000 1", False),
        ("deny", "0 1000 1", "0 1000 1", False),
        ("deny", "0 0 4294967295", "0 0 4294967295", False),
        ("allow", "0 0 4294967295", "0 0 65534", False),
        ("allow", "", "", False),
        (None, None, None, True),
    ],
)
def test_root_of_a_container_without_other_users_stays_who_it_is(
    tmp_path: Path, setgroups: str | None, users: str | None, groups: str | None, there: bool
) -> None:
    for name, text in (("setgroups", setgroups), ("uid_map", users), ("gid_map", groups)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert identity.has_nobody(tmp_path) is there


@pytest.mark.skipif(not identity.has_namespaces(), reason="nobody may have namespaces here")
def test_who_is_not_root_has_nothing_in_common_with_the_service(tmp_path: Path) -> None:
    """Without Landlock and seccomp: neither its memory nor the network, and few threads."""
    user = 65533 if os.geteuid() == 0 else os.geteuid()
    service = subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=user)
    environment = Path(f"/proc/{service.pid}/environ")

    def become_user() -> None:
        if os.geteuid() == 0:
            os.setresuid(user, user, user)

    def enter() -> None:
        become_user()
        Cage(Walls(0, seccomp=False, namespaces=True)).close_around(tmp_path, [], [])

    def work(send: child.Send) -> None:
        facts = [socket.socket().connect_ex(("127.0.0.1", 9)) == errno.ENETUNREACH]
        try:
            facts.append(not environment.read_bytes())
        except PermissionError:
            facts.append(True)
        facts.append("CapPrm:\t0000000000000000\n" in Path("/proc/self/status").read_text())
        facts.append(resource.getrlimit(resource.RLIMIT_NPROC)[0] <= identity.MOST_THREADS)
        send(Kind.RESULT, str(facts).encode())

    try:
        free, caged = (run(one, work, seconds=20) for one in (become_user, enter))
    finally:
        service.communicate()
    assert (free.result or b"")[:13] == b"[False, False"
    assert (caged.result, caged.failure) == (b"[True, True, True, True]", None)


IMPORTS = """
import sys
from pathlib import Path
from nexuslims_extractor.cage.child import Kind, run
from nexuslims_extractor.cage.walls import Cage
from nexuslims_formats.sandbox import Sandbox

path, sandbox, cage = Path(sys.argv[1]), Sandbox(), Cage()
sandbox.install()
cage.prepare()
assert "h5py" not in sys.modules

def work(send):
    with sandbox.only(path, path.parent, read_only=True):
        import h5py
        with h5py.File(path, "r") as file:
            send(Kind.RESULT, str(file["data"][()].tolist()).encode())

reply = run(lambda: cage.close_around(path, [], []), work, seconds=60)
assert reply.failure is None, reply.failure
print(reply.result.decode())
"""


def test_a_library_that_was_not_loaded_before_can_be_loaded_in_the_cage(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = [1, 2, 3]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, tmp_path / "a.h5"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == ("[1, 2, 3]", 0), done.stderr
