"""Headers and messages are read as nats-py reads them, in less time."""

import asyncio
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from nexuslims_shared.broker_client import BrokerClient

_texts = st.text(st.sampled_from("ab: \t-é"), max_size=6)
_lines = st.lists(st.tuples(_texts, st.sampled_from([":", ": ", ":  ", ""]), _texts), max_size=4)
_DIRECT, _OTHER = 7, 8


def reference(raw: bytes) -> dict[str, str]:
    """Read well-formed lines, one by one."""
    headers = {}
    for line in raw.decode().split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and " " not in name and name.isascii():
            headers[name] = value.strip()
    return headers


@given(st.lists(_lines, min_size=1, max_size=4))
@example([[("ce-id", ": ", "a"), ("ce-type", ": ", "")]] * 2)
@example([[("a", ": ", "b ")], [("a", ": ", " c: d")]])
@example([[("a:b", ": ", "c")]] * 2)
@example([[("a", ": ", "b"), ("a", ": ", "c")]] * 2)
def test_headers_are_the_same_by_the_quick_way(blocks: list[list[tuple[str, str, str]]]) -> None:
    client = BrokerClient()
    for lines in blocks:
        raw = "\r\n".join("".join(line) for line in lines).encode() + b"\r\n\r\n"
        assert client._parse_header_lines(raw) == reference(raw)
        for _ in range(2):  # the second time as others before
            assert client._read_headers(raw) == reference(raw)


class Listening(BrokerClient):
    """Notes what comes, in order, and from which subscription."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[int, dict[str, str], bytes]] = []
        self.pings = 0
        self._receivers[_DIRECT] = lambda headers, payload: self.received.append(
            (_DIRECT, headers, payload)
        )

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        if sid == _OTHER:
            self.received.append((sid, {}, data))
        else:
            await super()._process_msg(sid, subject, reply, data, headers)

    async def _process_ping(self) -> None:
        self.pings += 1


def message(number: int, kind: str) -> tuple[bytes, tuple[int, dict[str, str], bytes] | None]:
    """Return what the broker sends, and what is to come of it."""
    payload = b"x\r\nHMSG a 7 1 2\r\n" * (number % 3) + str(number).encode()
    match kind:
        case "ping":
            return b"PING\r\n", None
        case "status":
            head = b"NATS/1.0 204 EOB\r\nNats-Num-Pending: 3\r\n\r\n"
            known = {"Status": "204", "Description": "EOB", "Nats-Num-Pending": "3"}
            payload, sid = b"", _DIRECT
        case "other":
            wire = b"MSG some.subject %d %d\r\n%s\r\n" % (_OTHER, len(payload), payload)
            return wire, (_OTHER, {}, payload)
        case _:
            sid = _DIRECT
            head = b"NATS/1.0\r\nNats-Sequence: %d\r\nce-id: a b\r\n\r\n" % number
            known = {"Nats-Sequence": str(number), "ce-id": "a b"}
    sizes = sid, len(head), len(head) + len(payload)
    return b"HMSG _INBOX.a %d %d %d\r\n%s%s\r\n" % (*sizes, head, payload), (sid, known, payload)


@given(
    st.lists(st.sampled_from(["direct", "direct", "status", "other", "ping"]), max_size=12),
    st.lists(st.integers(0, 1_000), max_size=12),
)
def test_messages_arrive_whole_however_they_are_cut(kinds: list[str], cuts: list[int]) -> None:
    made = [message(number, kind) for number, kind in enumerate(kinds)]
    wire = b"".join(sent for sent, _ in made)
    client = Listening()

    async def receive() -> None:
        edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
        for begin, end in pairwise(edges):
            await client._ps.parse(wire[begin:end])

    asyncio.run(receive())
    assert client.received == [expected for _, expected in made if expected is not None]
    assert client.pings == kinds.count("ping")
