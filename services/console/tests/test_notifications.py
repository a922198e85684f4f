"""People are told of sessions that need them: at least once, and not twice a day."""

import json
import smtplib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from nexuslims_console.notifications.channels import (
    Email,
    EmailSettings,
    NotificationError,
    Webhook,
    WebhookSettings,
)
from nexuslims_console.notifications.digest import (
    Digest,
    Notified,
    make_digest,
    to_notify,
    trouble_of,
)
from nexuslims_console.notifications.notify import notify
from nexuslims_console.notifications.testing import ChannelBehaviour
from nexuslims_console.views import SessionRow, session_row
from nexuslims_contracts.testing import SessionEvents, recorded
from nexuslims_shared.network import Network
from nexuslims_shared.session.state import fold

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PLAIN = session_row(fold(recorded(SessionEvents("file-1").history())))


def row(name: str, status: str = "ERROR", reason: str = "the disk is full") -> SessionRow:
    return replace(PLAIN, session=name, status=status, phase="stuck", reason=reason)


class Sent:
    """A channel that remembers, and refuses as often as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        self.digests: list[Digest] = []
        self.refusals = refusals

    def send(self, digest: Digest) -> None:
        if self.refusals:
            self.refusals -= 1
            raise NotificationError("the server is away")
        self.digests.append(digest)


@pytest.mark.parametrize("status", ["COMPLETED", "NO_CONSENT", "TO_BE_BUILT", "CANCELLED"])
def test_a_session_that_is_well_or_at_work_needs_nobody(status: str) -> None:
    assert trouble_of(row("a", status)) == ""


def test_one_trouble_is_told_once(tmp_path: Path) -> None:
    channel = Sent()
    for hours in (0, 1, 48):
        notify([row("a")], {"mail": channel}, tmp_path, NOW + timedelta(hours=hours))
    assert [one.subject for one in channel.digests] == ["NexusLIMS: 1 session needs a person"]


def test_another_trouble_is_told_the_next_day(tmp_path: Path) -> None:
    channel = Sent()
    notify([row("a")], {"mail": channel}, tmp_path, NOW)
    other = [row("a", reason="another one")]
    notify(other, {"mail": channel}, tmp_path, NOW + timedelta(hours=1))
    assert len(channel.digests) == 1
    notify(other, {"mail": channel}, tmp_path, NOW + timedelta(hours=25))
    assert channel.digests[-1].groups[0].reason == "another one"


def test_what_was_not_taken_is_sent_again(tmp_path: Path) -> None:
    channel, other = Sent(refusals=1), Sent()
    for _ in range(2):
        notify([row("a")], {"mail": channel, "hook": other}, tmp_path, NOW)
    assert (len(channel.digests), len(other.digests)) == (1, 1)


def test_sessions_with_one_trouble_are_one_group_with_a_remedy() -> None:
    digest = make_digest([row("a"), row("b"), row("c", "BUILT_NOT_EXPORTED", "no such template")])
    assert [one.sessions for one in digest.groups] == [("a", "b"), ("c",)]
    assert digest.groups[0].remedy == "nexuslims retry --status ERROR"
    assert digest.groups[1].remedy == "nexuslims retry c"
    assert "no such template" in digest.text


_TROUBLES = st.lists(
    st.tuples(st.integers(0, 72), st.sampled_from(["", "disk", "server"])), max_size=30
)


@given(_TROUBLES)
def test_nobody_is_told_twice_a_day_of_one_session(story: list[tuple[int, str]]) -> None:
    notified: dict[str, Notified] = {}
    last: datetime | None = None
    moment = NOW
    for hours, reason in story:
        moment += timedelta(hours=hours)
        now = row("a", reason=reason) if reason else row("a", "COMPLETED")
        if to_notify([now], notified, moment):
            if last is not None:
                assert moment - last >= timedelta(days=1)
            last, notified["a"] = moment, Notified(trouble_of(now), moment)
    if any(reason for _, reason in story):
        assert notified


def test_a_mail_is_sent_by_the_incumbents_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    class Server:
        def __init__(self, host: str, port: int, timeout: float) -> None:
            calls.append((host, port, timeout > 0))

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            calls.append("closed")

        def starttls(self, context: Any) -> None:
            calls.append(("tls", context.check_hostname))

        def login(self, user: str, password: str) -> None:
            calls.append((user, password))

        def send_message(self, message: EmailMessage) -> None:
            calls.append((message["To"], message.get_content()))

    monkeypatch.setattr(smtplib, "SMTP", Server)
    settings = EmailSettings(
        smtp_host="mail.example.org",
        sender="lims@example.org",
        recipients="ada@example.org, eve@example.org",
        smtp_username="lims",
        smtp_password=SecretStr("secret"),
    )
    digest = make_digest([row("a")])
    Email(settings, Network()).send(digest)
    assert calls == [
        ("mail.example.org", 587, True),
        ("tls", True),
        ("lims", "secret"),
        ("ada@example.org, eve@example.org", digest.text),
        "closed",
    ]


def test_a_web_hook_gets_text_and_groups() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200 if len(asked) == 1 else 500)

    client = httpx.Client(transport=httpx.MockTransport(answer))
    settings = WebhookSettings(
        url=SecretStr("https://chat.example.org/hooks/1"), token=SecretStr("planted-token")
    )
    hook = Webhook(settings, client)
    hook.send(make_digest([row("a")]))
    assert str(asked[0].url) == "https://chat.example.org/hooks/1"
    assert asked[0].headers["Authorization"] == "Bearer planted-token"
    assert b'"sessions":["a"]' in asked[0].content
    with pytest.raises(NotificationError, match="does not take a message"):
        hook.send(make_digest([row("a")]))


class TestWebhook(ChannelBehaviour):
    """A web hook is a channel like those of plugins."""

    @pytest.fixture
    def answers(self) -> list[int]:
        return [200, 200]

    @pytest.fixture
    def bodies(self) -> list[str]:
        return []

    @pytest.fixture
    def channel(self, answers: list[int], bodies: list[str]) -> Webhook:
        def handle(request: httpx.Request) -> httpx.Response:
            status = answers.pop()
            if status == 200:
                bodies.append(json.loads(request.content)["text"])
            return httpx.Response(status)

        address = SecretStr("https://chat.example.org/hooks/1")
        client = httpx.Client(transport=httpx.MockTransport(handle))
        return Webhook(WebhookSettings(url=address), client)

    @pytest.fixture
    def taken(self, bodies: list[str]) -> Callable[[], list[str]]:
        return lambda: list(bodies)

    @pytest.fixture
    def refuse(self, answers: list[int]) -> Callable[[], None]:
        return lambda: answers.append(503)
