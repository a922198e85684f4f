"""What each answer of a server, and each silence, becomes."""

import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx
import pytest

from nexuslims_shared.network import Network
from nexuslims_uploader.answers import error_text
from nexuslims_uploader.errors import (
    MisconfiguredError,
    PermanentUploadError,
    RefusedError,
    TransientUploadError,
)
from nexuslims_uploader.http import Api, open_client
from nexuslims_uploader.peer import Peer
from nexuslims_uploader.testing import FAULTS, Answer, FakeServer, Request

SECRET = "t0p-s3cret"
PEER = Peer("far", "NX_FAR_URL", "NX_FAR_TOKEN", (SECRET,))


class Scripted(FakeServer):
    """Gives one answer to everything."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = Answer.json(200, {"ok": True})

    def handle(self, request: Request) -> Answer:
        return self.answer


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with Scripted().running() as running:
        yield running


@pytest.fixture
async def api(server) -> AsyncIterator[Api]:
    client = open_client(
        f"{server.url}/api/",
        headers={"Authorization": f"Token {SECRET}"},
        network=Network(http_timeout=0.2),
    )
    api = Api(client, PEER, refusal=_schema_message)
    yield api
    await api.close()


def _schema_message(response: httpx.Response) -> str:
    return error_text(response) if "not expected" in response.text else ""


async def ask(api: Api, **content: object) -> object:
    return await api.json("POST", "things/", session="file-1", **content)


async def test_an_answer(api, server) -> None:
    assert await ask(api, json={"name": "Körner"}) == {"ok": True}
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/api/things/")
    assert request.json() == {"name": "Körner"}
    assert request.headers["authorization"] == f"Token {SECRET}"


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_passes(api, server, fault) -> None:
    server.fail(fault)
    with pytest.raises(TransientUploadError, match="POST things/"):
        await ask(api)
    assert await ask(api) == {"ok": True}


@pytest.mark.parametrize(
    ("fault", "times"),
    [("busy", 3), ("broken", 3), ("cut before", 3), ("cut after", 3), ("silent", 1)],
)
async def test_what_may_be_repeated_is_at_once_but_not_in_silence(api, server, fault, times):
    server.fail(*[fault] * times)
    with pytest.raises(TransientUploadError):
        await api.json("GET", "things/", session="file-1")
    assert len(server.requests) == times


async def test_what_makes_something_is_sent_once(api, server) -> None:
    server.fail("cut after")
    with pytest.raises(TransientUploadError):
        await ask(api)
    assert len(server.requests) == 1


async def test_a_short_disturbance_is_not_reported(api, server) -> None:
    server.fail("broken", "cut midway")
    assert await ask(api, repeatable=True) == {"ok": True}
    assert len(server.requests) == 3


async def test_nobody_is_there() -> None:
    async with Scripted().running() as gone:
        url = gone.url
    api = Api(open_client(url, network=Network(http_timeout=0.5)), PEER)
    with pytest.raises(TransientUploadError, match="NX_FAR_URL"):
        await ask(api)
    await api.close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_busy_or_broken_server_may_say_when_to_come_again(api, server, status) -> None:
    server.answer = Answer(status, b"later", "text/plain", {"Retry-After": "7"})
    with pytest.raises(TransientUploadError, match=f"{status}: later") as caught:
        await ask(api)
    assert caught.value.retry_after == (timedelta(seconds=7) if status != 500 else None)


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (Answer.json(401, {"detail": "no"}), MisconfiguredError, "NX_FAR_TOKEN"),
        (Answer.json(403, {"detail": "Invalid token."}), MisconfiguredError, "Invalid token"),
        (Answer.json(400, {"message": {"title": ["blank"]}}), RefusedError, "blank"),
        (Answer.json(404, {"message": "gone"}), RefusedError, "NX_FAR_URL"),
        (Answer.json(500, {"message": "Element 'a' not expected"}), RefusedError, "Element 'a'"),
        (Answer(200, b"<html>Log in</html>", "text/html"), MisconfiguredError, "a web page"),
        (Answer(200, b" <!DOCTYPE html>", "text/plain"), MisconfiguredError, "NX_FAR_URL"),
        (Answer(404, b"<html>?</html>", "text/html"), RefusedError, "a web page"),
        (Answer(200, b'{"a":', "application/json"), TransientUploadError, "damaged"),
    ],
)
async def test_what_lasts(api, server, answer, kind, says) -> None:
    server.answer = answer
    with pytest.raises(kind, match=says) as caught:
        await ask(api)
    assert isinstance(caught.value, PermanentUploadError) == (kind is not TransientUploadError)
    assert caught.value.session == "file-1"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(api, server, status) -> None:
    place = "https://new.example.org/api/things/?token=1"
    server.answer = Answer(status, headers={"Location": place})
    with pytest.raises(MisconfiguredError, match=r"sent on to .*new\.example\.org") as caught:
        await ask(api)
    assert "token=1" not in str(caught.value)
    assert [request.method for request in server.requests] == ["POST"]


async def test_an_expected_status_is_an_answer(api, server) -> None:
    server.answer = Answer.json(404, {})
    assert (await api.send("GET", "x", session="", expected=(404,))).status_code == 404


async def test_no_secret_in_messages_or_logs(api, server, caplog) -> None:
    caplog.set_level(logging.INFO)
    server.answer = Answer.json(400, {"message": f"Token {SECRET} is odd"})
    with pytest.raises(RefusedError) as caught:
        await ask(api, params={"sig": SECRET})
    assert "Token (hidden) is odd" in caught.value.explanation
    assert SECRET not in str(caught.value) + caplog.text


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b'{"message": {"title": ["blank"]}}', "application/json", '{"title": ["blank"]}'),
        (b'["a", 1]', "application/json", '["a", 1]'),
        (b"two\r\n\x1b[31mlines ", "text/plain", "two [31mlines"),
        (b"", "text/plain", ""),
        (b"x" * 1000, "text/plain", "x" * 400 + " ..."),
    ],
)
def test_what_a_server_says_is_one_short_line(body, kind, text) -> None:
    assert error_text(httpx.Response(400, content=body, headers={"Content-Type": kind})) == text


def test_who_may_be_trusted(caplog) -> None:
    make: Callable[..., httpx.AsyncClient] = open_client
    make("https://x", network=Network())
    assert not caplog.records
    make("https://x", network=Network(disable_ssl_verify=True))
    assert "NX_DISABLE_SSL_VERIFY" in caplog.text
