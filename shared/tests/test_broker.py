"""Headers are read as nats-py reads them, in less time."""

from hypothesis import example, given
from hypothesis import strategies as st

from nexuslims_shared.broker import BrokerClient

_texts = st.text(st.sampled_from("ab: \t-é"), max_size=6)


def reference(raw: bytes) -> dict[str, str]:
    """Read well-formed lines, one by one."""
    headers = {}
    for line in raw.decode().split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and " " not in name and name.isascii():
            headers[name] = value.strip()
    return headers


@given(st.lists(st.tuples(_texts, st.sampled_from([":", ": ", ":  ", ""]), _texts), max_size=4))
@example([("ce-id", ": ", "a"), ("ce-type", ": ", "")])
@example([("a", ": ", "b ")])
@example([("a:b", ": ", "c")])
def test_headers_are_the_same_by_the_quick_way(lines: list[tuple[str, str, str]]) -> None:
    raw = "\r\n".join("".join(line) for line in lines).encode() + b"\r\n\r\n"
    assert BrokerClient._parse_header_lines(raw) == reference(raw)
