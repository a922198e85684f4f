"""Every user of the broker against everything that can be asked of it."""

import base64
import json
import os
import re
import socket
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nats.errors
import nkeys
import pytest

from nexuslims_contracts import events, subjects, topology
from nexuslims_contracts.periods import Period
from nexuslims_shared.accounts.access import Access
from nexuslims_shared.accounts.keys import new_seed, public_key, read_seed
from nexuslims_shared.accounts.rights import OBSERVER, OPERATOR, SERVICES, USERS, Rights, rights_of
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.broker_address import BROKER_FILE
from nexuslims_shared.embedded import EmbeddedBroker, find_server, start_embedded
from nexuslims_shared.errors import SettingsError, TopologyError

REFUSAL = re.compile(r"-ERR 'Permissions Violation for (?:Publish|Subscription) to \"(\S+)\"'")
pytestmark = pytest.mark.broker

PERIOD = Period.named("2026-07")
LOG = (topology.EVENTS.name, PERIOD.stream)
STREAMS = (
    PERIOD.stream,
    *(stream.name for stream in topology.STREAMS),
    *(f"KV_{bucket.name}" for bucket in topology.BUCKETS),
    "ANOTHER",
)
OF_A_STREAM = (
    "STREAM.CREATE.{}",
    "STREAM.UPDATE.{}",
    "STREAM.DELETE.{}",
    "STREAM.PURGE.{}",
    "STREAM.INFO.{}",
    "STREAM.MSG.GET.{}",
    "STREAM.MSG.DELETE.{}",
    "STREAM.SNAPSHOT.{}",
    "STREAM.RESTORE.{}",
    "STREAM.PEER.REMOVE.{}",
    "STREAM.LEADER.STEPDOWN.{}",
    "DIRECT.GET.{}",
    "DIRECT.GET.{}.any.subject",
    "CONSUMER.CREATE.{}",
    "CONSUMER.CREATE.{}.mine",
    "CONSUMER.CREATE.{}.mine.any.subject",
    "CONSUMER.NAMES.{}",
    "CONSUMER.LIST.{}",
)
OF_A_CONSUMER = (
    "CONSUMER.DURABLE.CREATE.{}.{}",
    "CONSUMER.CREATE.{}.{}",
    "CONSUMER.DELETE.{}.{}",
    "CONSUMER.INFO.{}.{}",
    "CONSUMER.MSG.NEXT.{}.{}",
    "CONSUMER.PAUSE.{}.{}",
    "CONSUMER.RESET.{}.{}",
    "CONSUMER.UNPIN.{}.{}",
    "CONSUMER.LEADER.STEPDOWN.{}.{}",
)
OF_THE_SERVER = (
    "INFO",
    "STREAM.NAMES",
    "STREAM.LIST",
    "META.LEADER.STEPDOWN",
    "SERVER.REMOVE",
    "ACCOUNT.PURGE.$G",
    "ACCOUNT.STREAM.MOVE.$G.NEXUS_EVENTS",
)

NAMES = ("person-1", "salt")
KEYS = {
    topology.PEOPLE: dict.fromkeys(NAMES, ("console", "harvester")),
    topology.OPERATORS: dict.fromkeys(NAMES, ("console", "extractor")),
    topology.LEASES: {
        "nemo-1-usage-1": ("uploader",),
        "destination.cdcs": ("uploader",),
        "builder.earlier-records": ("builder",),
    },
    topology.CALENDARS: {
        "swept.nemo-1": ("harvester",),
        "held.nemo-1": ("harvester",),
        "settled.nemo-1": ("harvester",),
        "held.files.Titan": ("indexer",),
        "settled.files.Titan": ("indexer",),
        "approved.nemo-1": ("console",),
        "approved.files.Titan": ("console",),
        "another": (),
    },
    topology.READERS: {"kinds": ("extractor",), "another": ()},
    topology.PROBES: {
        f"{kind}{service}.0123": (service,)
        for kind in ("", "at-work.")
        for service in topology.STATED_BY
    },
    topology.SESSIONS: {"nemo-1-usage-1": ("harvester",)},
    topology.PERIODS: {"2026-07": ("console",)},
}
"""Keys of each bucket, and the services that write them."""


def sendings(keys: dict[str, str]) -> list[str]:
    """Every subject on which something happens, or somebody listens."""
    consumers = [spec.name for spec in topology.CONSUMERS] + ["harvester", "console"]
    calls = [form.format(stream) for form in OF_A_STREAM for stream in STREAMS]
    calls += [
        form.format(stream, consumer)
        for form in OF_A_CONSUMER
        for stream in LOG
        for consumer in consumers
    ]
    stated = [model.filter().replace("*", "x") for model in events.EVENT_TYPES.values()]
    return [
        *stated,
        *(PERIOD.subject(subject) for subject in stated),
        "nexus.events.x.made-up",
        *(f"{topology.DEAD_LETTER_PREFIX}.{consumer}" for consumer in consumers),
        *(f"$KV.{bucket.name}.{key}" for bucket, keys in KEYS.items() for key in keys),
        *(f"$JS.API.{call}" for call in (*calls, *OF_THE_SERVER)),
        *(f"$JS.ACK.{stream}.{name}.1.1.1.1.0" for stream in LOG for name in consumers),
        *(f"{rights_of(user, inbox).subscribe[0][:-1]}x" for user, inbox in keys.items()),
        "$SYS.REQ.SERVER.PING",
        "any.subject",
    ]


def listenings(keys: dict[str, str]) -> list[str]:
    """Subjects on which there is something to overhear."""
    own = [pattern for user, inbox in keys.items() for pattern in rights_of(user, inbox).subscribe]
    everything = ("*", "nexus.>", subjects.ALL, f"{topology.DEAD_LETTER_PREFIX}.>", "$KV.>")
    return [*own, *everything, "_INBOX.>", "*.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$SYS.>"]


class Caller:
    """A connection that speaks the broker's protocol by itself."""

    def __init__(self, broker: EmbeddedBroker, seed: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", broker.port), timeout=10)
        self._lines = self._socket.makefile("rb")
        info = json.loads(self._lines.readline().removeprefix(b"INFO "))
        pair = nkeys.from_seed(bytearray(seed.encode()))
        proof = {
            "nkey": public_key(seed),
            "sig": base64.b64encode(pair.sign(info["nonce"].encode())).decode(),
            "verbose": False,
            "pedantic": False,
        }
        self.heard: set[str] = set()
        self._send(f"CONNECT {json.dumps(proof)}\r\n")
        assert not self.errors()

    def refused(self, form: str, names: Sequence[str]) -> set[str]:
        """Ask for everything in one go, and return the names that were refused."""
        self._send("".join(form.format(name, number) for number, name in enumerate(names)))
        matches = [REFUSAL.match(line.decode()) for line in self.errors()]
        assert all(matches)
        return {match[1] for match in matches if match}

    def ask(self, question: str, body: str, answered_on: Sequence[str], inbox: str) -> None:
        """Ask the same with each subject as the one to answer on, and wait for an answer."""
        subjects = (*answered_on, last := f"{inbox}.{len(self.heard)}.last")
        self._send(f"SUB {inbox}.> 1\r\n")
        self._send("".join(f"PUB {question} {one} {len(body)}\r\n{body}\r\n" for one in subjects))
        while last not in self.heard:
            self.errors()  # the server itself refuses to answer on subjects of acknowledgements

    def errors(self) -> list[bytes]:
        """Return the errors that came until now."""
        self._send("PING\r\n")
        lines = []
        while not (line := self._lines.readline()).startswith(b"PONG"):
            assert line, "the broker ended the connection"
            if line.startswith(b"-ERR"):
                lines.append(line)
            elif line.startswith((b"MSG", b"HMSG")):
                self.heard.add(line.split()[1].decode())
                self._lines.read(int(line.split()[-1]) + 2)
            elif line.startswith(b"PING"):
                self._send("PONG\r\n")
        return lines

    def _send(self, text: str) -> None:
        self._socket.sendall(text.encode())

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    broker = start_embedded(tmp_path)
    yield broker
    broker.stop()


def inboxes(broker: EmbeddedBroker) -> dict[str, str]:
    users = (user for user in USERS if user != OPERATOR)
    return {user: Access.of("", seed=read_seed(broker.credentials, user)).inboxes for user in users}


def is_within(patterns: Sequence[str], subject: str) -> bool:
    return any(subjects.matches(pattern, subject) for pattern in patterns)


def may_send(rights: Rights, subject: str) -> bool:
    return is_within(rights.publish, subject) and not is_within(rights.denied, subject)


def test_whatever_is_outside_a_users_rights_is_refused(broker: EmbeddedBroker) -> None:
    keys = inboxes(broker)
    refused = 0
    for user, inbox in keys.items():
        rights = rights_of(user, inbox)
        caller = Caller(broker, read_seed(broker.credentials, user))
        outside = {one for one in sendings(keys) if not may_send(rights, one)}
        assert caller.refused("PUB {} 0\r\n\r\n", sendings(keys)) == outside
        hidden = set(listenings(keys)) - set(rights.subscribe)
        assert caller.refused("SUB {} {}\r\n", listenings(keys)) == hidden
        refused += len(outside) + len(hidden)
        caller.close()
    print(f"{refused} rights outside their own were refused to {len(keys)} users")  # noqa: T201
    assert refused > 1_000


QUESTIONS = {
    "$JS.API.DIRECT.GET.NEXUS_EVENTS": '{"seq": 1}',  # 404, without a body, is the answer
    "$JS.API.STREAM.INFO.NEXUS_EVENTS": "",
    "$JS.API.CONSUMER.MSG.NEXT.NEXUS_EVENTS.extractor": '{"no_wait": true}',
    "$KV.NEXUS_READERS.kinds": "",
    "$JS.API.INFO": "",
    "$JS.ACK.NEXUS_EVENTS.extractor.1.1.1.1.0": '+NXT {"no_wait": true}',
}
"""The broker answers by itself, on whatever subject it is asked to, whoever may publish there."""


async def test_no_answer_does_what_its_asker_may_not(broker: EmbeddedBroker) -> None:
    client = await connect(broker.url, name="operator", wait=False)
    await provision(client.jetstream())
    names = {one.config.name for one in await client.jetstream().streams_info()}
    listener = Caller(broker, read_seed(broker.credentials, OPERATOR))
    assert not listener.refused("SUB {} {}\r\n", [">"])
    keys = inboxes(broker)
    for user, inbox in keys.items():
        rights = rights_of(user, inbox)
        caller = Caller(broker, read_seed(broker.credentials, user))
        outside = [one for one in sendings(keys) if not may_send(rights, one)]
        for question, body in QUESTIONS.items():
            if may_send(rights, question):
                caller.ask(question, body, outside, inbox)
        assert not listener.errors()
        allowed = (*rights.publish, *ITS_OWN)
        assert not [one for one in listener.heard if not is_within(allowed, one)]
        listener.heard.clear()
        caller.close()
    assert {one.config.name for one in await client.jetstream().streams_info()} == names
    await client.close()
    listener.close()


ITS_OWN = ("_R_.>", "$JS.EVENT.>")
"""Where the server publishes answers between accounts, and what happens to streams."""
MAY_READ = (
    "NEXUS_EVENTS",
    "NEXUS_EVENTS_2026-07",
    "NEXUS_DEAD_LETTERS",
    "ANOTHER",
    *(f"KV_NEXUS_{name}" for name in ("READERS", "PROBES", "SESSIONS", "PERIODS", "OPERATORS")),
)
OWN_OF_THE_EXTRACTOR = {
    "nexus.events.x.file.x.extraction-failed",
    "nexus.events.x.file.x.metadata-extracted",
    "nexus.events.x.handling-failed",
    "nexus.period.2026-07.x.file.x.extraction-failed",
    "nexus.period.2026-07.x.file.x.metadata-extracted",
    "nexus.period.2026-07.x.handling-failed",
    "nexus.dead-letters.extractor",
    "$KV.NEXUS_READERS.kinds",
    "$KV.NEXUS_PROBES.extractor.0123",
    "$KV.NEXUS_PROBES.at-work.extractor.0123",
    "$KV.NEXUS_OPERATORS.person-1",
    "$KV.NEXUS_OPERATORS.salt",
    "$JS.API.STREAM.MSG.DELETE.NEXUS_DEAD_LETTERS",
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    *(
        f"$JS.API.{call}"
        for stream in MAY_READ
        for call in (
            f"STREAM.INFO.{stream}",
            f"STREAM.MSG.GET.{stream}",
            f"DIRECT.GET.{stream}",
            f"DIRECT.GET.{stream}.any.subject",
        )
    ),
    *(
        own
        for stream in ("NEXUS_EVENTS", "NEXUS_EVENTS_2026-07")
        for own in (
            f"$JS.API.CONSUMER.INFO.{stream}.extractor",
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.extractor",
            f"$JS.ACK.{stream}.extractor.1.1.1.1.0",
        )
    ),
}
"""What reads foreign files may do no more than this."""


def test_the_extractor_may_do_what_is_listed_here_and_no_more() -> None:
    rights = rights_of("extractor", "_INBOX_x")
    own = {one for one in sendings({}) if may_send(rights, one)}
    assert own == OWN_OF_THE_EXTRACTOR
    assert rights.subscribe == ("_INBOX_x.>",)


DELETION = "$JS.API.STREAM.MSG.DELETE"
"""Dead letters are closed by whom they are of; names are overwritten when they change or go."""


@pytest.mark.parametrize("periods", [False, True])
@pytest.mark.parametrize("user", [*SERVICES, OBSERVER])
def test_nobody_but_the_operator_changes_streams_or_reads_along(user: str, periods: bool) -> None:
    rights = rights_of(user, "_INBOX_x", periods=periods)
    changing = {"UPDATE", "DELETE", "PURGE", "RESTORE", "META", "MOVE", "PAUSE", "RESET"}
    allowed = {one for one in rights.publish if changing & set(one.split("."))}
    erased = {f"{DELETION}.KV_{bucket.name}" for bucket in topology.ERASED_BY.get(user, ())}
    closed = {f"{DELETION}.NEXUS_DEAD_LETTERS"} if user != OBSERVER else set()
    assert allowed == closed | erased
    assert (f"{DELETION}.KV_NEXUS_PEOPLE" in erased) is (user in ("harvester", "console"))
    creating = any(".CREATE." in one for one in rights.publish)
    assert creating is (periods and user == topology.OPENS_PERIODS)
    assert rights.subscribe == ("_INBOX_x.>",)


def test_each_key_is_written_by_those_alone_whose_it_is() -> None:
    assert KEYS.keys() == set(topology.BUCKETS)
    for bucket, keys in KEYS.items():
        for key, writers in keys.items():
            subject = f"$KV.{bucket.name}.{key}"
            found = [user for user in USERS if may_send(rights_of(user, ""), subject)]
            assert sorted(found) == sorted([*writers, OPERATOR]), subject


def test_each_kind_of_event_is_stated_by_one_service_alone() -> None:
    for model in set(events.EVENT_TYPES.values()) - set(topology.STATED_BY_CONSUMERS):
        subject = model.filter().replace("*", "x")
        states = [user for user in SERVICES if is_within(rights_of(user, "").publish, subject)]
        assert len(states) == 1, model


async def test_without_a_key_or_with_a_strangers_nobody_is_let_in(broker: EmbeddedBroker) -> None:
    for url in (broker.address, broker.url.replace(read_seed(broker.credentials, OPERATOR), "x:y")):
        with pytest.raises((OSError, nats.errors.Error)):
            await connect(url, name="intruder", wait=False)
    with pytest.raises((OSError, nats.errors.Error)):
        await connect(Access.of(broker.address, seed=new_seed()), name="intruder", wait=False)
    client = await connect(broker.url, name="operator", wait=False)
    await provision(client.jetstream())
    await client.close()


def test_only_the_owner_can_read_the_keys(broker: EmbeddedBroker) -> None:
    seeds = {user: broker.credentials / f"{user}.nk" for user in USERS}
    assert {stat.S_IMODE(path.stat().st_mode) for path in seeds.values()} == {0o600}
    assert stat.S_IMODE(broker.credentials.stat().st_mode) == 0o700
    assert stat.S_IMODE(broker.credentials.parent.stat().st_mode) == 0o700
    texts = [
        path.read_text()
        for path in (broker.state / BROKER_FILE, broker.state / "broker/server.conf")
    ]
    for seed in (path.read_text().strip() for path in seeds.values()):
        assert all(seed not in text for text in texts)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_of_the_host_is_refused() -> None:
    with TemporaryDirectory(dir="/tmp") as folder:  # pytest's own folders are closed to others
        state = Path(folder)
        state.chmod(0o755)
        broker = start_embedded(state)
        try:
            assert _read_as_nobody(state / BROKER_FILE) == 0
            assert _read_as_nobody(broker.credentials / "operator.nk") != 0
            assert _read_as_nobody(state / "broker" / "server.conf") != 0
        finally:
            broker.stop()


def _read_as_nobody(path: Path) -> int:
    found = subprocess.run(
        ["/bin/cat", str(path)], user=65534, group=65534, extra_groups=[], cwd="/", check=False
    )
    return found.returncode


def test_a_second_broker_on_a_store_in_use_is_refused(broker: EmbeddedBroker) -> None:
    before = (broker.state / BROKER_FILE).read_text()
    with pytest.raises(TopologyError, match=r"runs on .* already: stop it"):
        start_embedded(broker.state)
    assert (broker.state / BROKER_FILE).read_text() == before
    assert broker.process.poll() is None


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux tells")
def test_a_broker_beside_one_that_was_started_by_hand_is_refused(tmp_path: Path) -> None:
    start_embedded(tmp_path).stop()
    config = Path("broker") / "server.conf"
    by_hand = subprocess.Popen(
        [find_server(), "-c", str(config)], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        assert any("Server is ready" in line for line in by_hand.stderr or ())
        with pytest.raises(TopologyError, match=rf"process {by_hand.pid}\) runs on .* already"):
            start_embedded(tmp_path)
    finally:
        by_hand.kill()
        by_hand.communicate()
    start_embedded(tmp_path).stop()


def test_a_key_is_kept_and_a_damaged_one_is_an_error(tmp_path: Path) -> None:
    first = start_embedded(tmp_path)
    url = first.url
    first.stop()
    second = start_embedded(tmp_path, port=first.port)
    assert second.url == url
    second.stop()
    (second.credentials / "indexer.nk").write_text("SUDAMAGED")
    with pytest.raises(SettingsError, match="58 letters") as caught:
        start_embedded(tmp_path)
    assert "SUDAMAGED" not in str(caught.value)
