"""``nexuslims broker init``: its files run a broker that lets its users in, and nobody else."""

import json
import re
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import nats.errors
import pytest
import yaml
from typer.testing import CliRunner

from nexuslims_console.broker_files import certificates, server, write_all
from nexuslims_console.broker_files.kubernetes import secret_of
from nexuslims_shared.accounts.access import Access
from nexuslims_shared.accounts.keys import make_keys, read_seed
from nexuslims_shared.accounts.rights import OBSERVER, OPERATOR, SERVICES, USERS
from nexuslims_shared.broker import connect, missing, provision
from nexuslims_shared.cli.shell import app
from nexuslims_shared.embedded import find_server
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.network import trust

ROOT = Path(__file__).parents[3]
ONE = ("localhost",)


def write(folder: Path, *, tls: bool = True) -> dict[Path, str]:
    return write_all(folder, servers=("nats-1", "nats-2", "nats-3"), names=(), tls=tls)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "broker"
    write(folder)
    return folder


@pytest.fixture
def address(made: Path) -> Iterator[str]:
    with serving(made) as address:
        yield address


@contextmanager
def serving(made: Path) -> Iterator[str]:
    """A server with the configuration that is written, in the place where it is written."""
    keys = make_keys(made / "credentials", USERS)
    text = server.render(ONE, keys, tls=True, mounted=str(made))
    text = text.replace('"/data"', json.dumps(str(made / "data")))
    with _running(made / "nats.conf", text, "client connections") as port:
        yield f"nats://localhost:{port}"


@contextmanager
def _running(config: Path, text: str, what: str) -> Iterator[str]:
    """Run a server with this configuration; the port on which it listens for something."""
    config.write_text(text.replace("http_port: 8222", "").replace("port: 4222", "port: -1"))
    process = subprocess.Popen(
        [find_server(), "--name", "test", "-c", str(config)], stderr=subprocess.PIPE, text=True
    )
    try:
        log, ready, port = "", False, None
        while not (ready and port):
            line = process.stderr.readline() if process.stderr else ""
            assert line, f"the server ended: {log}"
            log += line
            ready |= "Server is ready" in line
            port = port or re.search(rf"Listening for {what} on \S+:(\d+)", line)
        yield port[1]
    finally:
        process.kill()
        process.communicate()


def access(made: Path, address: str, user: str) -> Access:
    tls = trust(str(made / "tls" / "ca.crt"), "NX_NATS_CA")
    return Access.of(address, seed=read_seed(made / "credentials", user), tls=tls)


@pytest.mark.broker
async def test_every_user_is_let_in_over_an_encrypted_connection(made: Path, address: str) -> None:
    client = await connect(access(made, address, OPERATOR), name="test", wait=False)
    await provision(client.jetstream())
    await client.close()
    for user in (*SERVICES, OBSERVER):
        client = await connect(access(made, address, user), name="test", wait=False)
        assert isinstance(
            client._transport._io_writer.get_extra_info("ssl_object"), ssl.SSLObject | ssl.SSLSocket
        )
        assert await missing(client.jetstream(), buckets=()) == []
        await client.close()


@pytest.mark.broker
async def test_who_does_not_prove_itself_is_not_let_in(
    made: Path, address: str, tmp_path: Path
) -> None:
    seed = read_seed(made / "credentials", "indexer")
    write(tmp_path / "another")
    another = trust(str(tmp_path / "another" / "tls" / "ca.crt"), "NX_NATS_CA")
    ours = trust(str(made / "tls" / "ca.crt"), "NX_NATS_CA")
    strangers = (
        Access.of(address, seed=seed),
        Access.of(address, seed=seed, tls=another),
        Access.of(address.replace("localhost", "127.0.0.2"), seed=seed, tls=ours),
        Access.of(address, tls=ours),
        access(tmp_path / "another", address, "indexer"),
    )
    for stranger in strangers:
        with pytest.raises((OSError, nats.errors.Error, TimeoutError)):
            await connect(stranger, name="test", wait=False)


def test_keys_and_certificates_are_kept_and_secret(made: Path) -> None:
    kept = [*(made / "credentials").iterdir(), *(made / "tls").iterdir()]
    before = {path: path.read_bytes() for path in kept}
    (made / "server" / "nats.conf").write_text("")
    written = write(made)
    assert {path: path.read_bytes() for path in kept} == before
    assert (made / "server" / "nats.conf").read_text()
    assert made / "tls" / "server.crt" in written
    secrets = [path for path in kept if path.suffix in (".nk", ".key")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_given_certificates_are_used_and_damaged_ones_are_an_error(made: Path) -> None:
    (made / "tls" / "ca.key").unlink()
    write(made)  # as with an authority elsewhere
    (made / "tls" / "server.crt").write_text("damaged")
    with pytest.raises(SettingsError, match=r"server\.crt: cannot be read as a certificate"):
        write(made)
    (made / "tls" / "server.crt").unlink()
    with pytest.raises(SettingsError, match=r"ca\.key cannot be read"):
        write(made)


def test_a_certificate_that_was_there_and_clients_would_refuse_is_named(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made / "tls" / "server.crt"
    servers = ("nats-1", "NATS-2", "127.0.0.1")
    assert "refuse" not in certificates.write(made / "tls", servers)[path]
    found = certificates.write(made / "tls", (*servers, "nats.nexuslims.svc", "10.0.0.7"))[path]
    assert "refuse it at nats.nexuslims.svc, 10.0.0.7; delete server.crt" in found
    path.unlink()
    assert "refuse" not in certificates.write(made / "tls", ["*.nexuslims.svc"])[path]
    assert "refuse" not in certificates.write(made / "tls", ["nats.nexuslims.svc"])[path]
    path.unlink()
    monkeypatch.setattr(certificates, "_LIFE_OF_SERVER", timedelta(minutes=-1))
    found = certificates.write(made / "tls", servers)[path]
    assert "(over: clients refuse it); delete server.crt" in found


@pytest.mark.broker
async def test_a_certificate_that_is_over_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "_LIFE_OF_SERVER", timedelta(minutes=-1))
    folder = tmp_path / "broker"
    write(folder)
    with serving(folder) as address, pytest.raises((OSError, nats.errors.Error, TimeoutError)):
        await connect(access(folder, address, OPERATOR), name="test", wait=False)


@pytest.mark.broker
def test_who_has_no_password_is_no_server_of_a_cluster_without_certificates(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "server"
    keys = make_keys(tmp_path / "credentials", USERS)
    (path,) = server.write(folder, ("localhost", "127.0.0.1"), keys, tls=False, periods=False)
    text = path.read_text().replace('"/data"', json.dumps(str(tmp_path / "data")))
    (password,) = set(re.findall(r"nats://routes:(\w+)@", text))
    assert stat.S_IMODE((folder / "routes.password").stat().st_mode) == 0o600
    text = text.replace("0.0.0.0:6222", "127.0.0.1:-1").replace(":6222", ":1")
    with _running(path, text, "route connections") as port:
        assert "Authorization Violation" in _answer_to_route(port, {})
        assert "Authorization Violation" in _answer_to_route(port, {"user": "routes", "pass": "no"})
        let_in = _answer_to_route(port, {"user": "routes", "pass": password})
        assert let_in.startswith("PONG")


def _answer_to_route(port: str, proof: dict[str, str]) -> str:
    options = {"name": "STRANGER", "server_id": "STRANGER", "cluster": "nexuslims", **proof}
    with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as connection:
        lines = connection.makefile("r")
        lines.readline()
        connection.sendall(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
        return next(line for line in lines if line.startswith(("-ERR", "PONG")))


def test_the_authority_signs_nothing_but_servers(made: Path) -> None:
    authority = certificates._read(made / "tls" / "ca.crt")
    signed = certificates._read(made / "tls" / "server.crt")
    signed.verify_directly_issued_by(authority)
    names = signed.extensions.get_extension_for_class(certificates.x509.SubjectAlternativeName)
    dns = names.value.get_values_for_type(certificates.x509.DNSName)
    assert dns == ["nats-1", "nats-2", "nats-3", "localhost"]


def test_compose_gives_each_service_its_own_key_and_no_other(made: Path) -> None:
    override = yaml.safe_load((made / "compose.broker.yaml").read_text())
    ours = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert override["services"].keys() <= ours.keys()
    assert set(SERVICES) <= override["services"].keys()
    for name in (*SERVICES, "provision"):
        user = OPERATOR if name == "provision" else name
        assert override["services"][name]["secrets"] == [f"nats-{user}", "nats-ca"]
    for secret in override["secrets"].values():
        assert Path(secret["file"]).exists()
    for name in ("nats-1", "nats-2", "nats-3"):
        assert f"--name={name}" in override["services"][name]["command"]


def test_kubernetes_has_a_secret_for_each_user_with_its_own_key_alone(made: Path) -> None:
    seeds = {user: read_seed(made / "credentials", user) for user in USERS}
    for user in USERS:
        text = (made / "k8s" / f"{secret_of(user)}.json").read_text()
        assert {other for other, seed in seeds.items() if seed in text} == {user}
    for path in (made / "server" / "nats.conf", made / "k8s" / "nexuslims-nats-server.json"):
        assert not [user for user, seed in seeds.items() if seed in path.read_text()]


def test_one_call_makes_all_secrets_that_the_manifests_mount(made: Path) -> None:
    kustomization = yaml.safe_load((made / "k8s" / "kustomization.yaml").read_text())
    secrets = [json.loads((made / "k8s" / one).read_text()) for one in kustomization["resources"]]
    files = {one["metadata"]["name"]: set(one["stringData"]) for one in secrets}
    component = (ROOT / "k8s" / "components" / "broker-keys" / "kustomization.yaml").read_text()
    mounted = re.findall(r"secretName: (nexuslims-nats-\S+)", component)
    assert mounted == [secret_of(user) for user in (*SERVICES, OPERATOR)]
    assert set(mounted) <= files.keys()
    named = set(re.findall(r"value: /run/secrets/nats/(\S+)", component))
    assert all(named == files[name] for name in mounted)
    for overlay in ("small", "three-broker"):
        manifest = (ROOT / "k8s" / "overlays" / overlay / "nats.yaml").read_text()
        assert set(re.findall(r"key: (\S+),", manifest)) == files["nexuslims-nats-server"]


def test_the_command_lists_what_it_wrote(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    arguments = ["broker", "init", str(folder), "--server", "nats", "--no-tls", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert str(folder / "server" / "nats.conf") in json.loads(result.output)
    assert "cluster" not in (folder / "server" / "nats.conf").read_text()
    assert not (folder / "tls").exists()
