"""Who may change something: whoever signed in, from a form of ours, and nobody else."""

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from services.console.tests.web import ADDRESS, Console
from starlette.testclient import TestClient

from nexuslims_console.web.oidc import Provider
from nexuslims_console.web.settings import ConsoleSettings
from nexuslims_contracts.envelope import Recorded
from nexuslims_contracts.events import RebuildRequested, RetryRequested

PROXY = {"x-forwarded-user": "ned@example.org"}
ISSUER = "https://id.example.org/realms/lab"


async def asked(console: Console) -> list[type]:
    """Return what operators asked for, in order."""
    wanted = (RetryRequested, RebuildRequested)
    events = [one async for one in console.store.read() if isinstance(one, Recorded)]
    return [type(one.event) for one in events if isinstance(one.event, wanted)]


def token_of(client: TestClient, **headers: str) -> str:
    text = client.get("/sessions/a", headers=headers).text
    found = re.search(r'name="token" value="(\w+)"', text)
    return found[1] if found else ""


@pytest.fixture
async def behind_proxy(tmp_path: Path, history: Any) -> Console:
    console = Console(tmp_path, sign_in="proxy", operators="ned@example.org")
    await console.session(history)
    return console


async def test_off_by_default(tmp_path: Path, history: Any) -> None:
    console = Console(tmp_path)
    await console.session(history)
    client = console.client()
    assert token_of(client, **PROXY) == ""
    answer = client.post("/sessions/a/retry", headers=PROXY, data={"token": ""})
    assert answer.status_code == 403
    assert await asked(console) == []


async def test_an_operator_asks_for_a_retry_and_a_rebuild(behind_proxy: Console) -> None:
    client = behind_proxy.client()
    form = {"token": token_of(client, **PROXY)}
    for action in ("retry", "rebuild"):
        answer = client.post(f"/sessions/a/{action}", headers=PROXY, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sessions/a")
    assert await asked(behind_proxy) == [RetryRequested, RebuildRequested]
    await behind_proxy.letters.write("builder", 3, "nexus.events.a.ended", "why")
    answer = client.post("/dead-letters/1/retry", headers=PROXY, data=form)
    assert answer.status_code == 303
    assert client.post("/dead-letters/9/retry", headers=PROXY, data=form).status_code == 409
    assert client.post("/sessions/b/retry", headers=PROXY, data=form).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": ""},
        {"token": "0" * 64},
        {"origin": "https://evil.example.org"},
        {"sec-fetch-site": "cross-site"},
        {"cookie": "nexuslims_form=another"},
        {"x-forwarded-user": "conseil@example.org"},
    ],
)
async def test_forms_of_others_change_nothing(behind_proxy: Console, wrong: dict[str, str]) -> None:
    client = behind_proxy.client()
    form = {"token": token_of(client, **PROXY)} | {k: v for k, v in wrong.items() if k == "token"}
    headers = PROXY | {name: value for name, value in wrong.items() if name != "token"}
    assert client.post("/sessions/a/retry", headers=headers, data=form).status_code == 403
    assert await asked(behind_proxy) == []


async def test_a_header_counts_only_from_the_proxy(behind_proxy: Console) -> None:
    client = TestClient(behind_proxy.app, base_url=ADDRESS, client=("192.0.2.7", 1234))
    assert token_of(client, **PROXY) == ""
    assert "ned@example.org" not in client.get("/", headers=PROXY).text


async def test_a_get_changes_nothing(behind_proxy: Console) -> None:
    assert behind_proxy.client().get("/sessions/a/retry", headers=PROXY).status_code == 405


async def test_reading_may_want_sign_in_too(tmp_path: Path, history: Any) -> None:
    console = Console(tmp_path, sign_in="proxy", reading="signed-in")
    await console.session(history)
    client = console.client()
    assert client.get("/archive/a/record.xml").status_code == 401
    assert client.get("/live").status_code == 401
    assert client.get("/static/console.css").status_code == 200
    assert client.get("/archive/a/record.xml", headers=PROXY).status_code == 200


class FakeProvider:
    """An OpenID provider that signs in whoever comes."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.signs_with = self.key
        self.claims: dict[str, Any] = {}
        self.forms: list[dict[str, list[str]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        match request.url.path.rpartition("/")[2]:
            case "openid-configuration":
                return httpx.Response(
                    200,
                    json={
                        "issuer": ISSUER,
                        "authorization_endpoint": f"{ISSUER}/auth",
                        "token_endpoint": f"{ISSUER}/token",
                        "jwks_uri": f"{ISSUER}/certs",
                    },
                )
            case "certs":
                public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
                return httpx.Response(200, json={"keys": [{**public, "kid": "1", "alg": "RS256"}]})
            case _:
                self.forms.append(parse_qs(request.content.decode()))
                signed = jwt.encode(self.claims, self.signs_with, "RS256", headers={"kid": "1"})
                return httpx.Response(200, json={"id_token": signed})


@pytest.fixture
async def oidc(tmp_path: Path, history: Any) -> tuple[Console, FakeProvider]:
    given = {"sign_in": "oidc", "oidc_issuer": ISSUER, "oidc_client_id": "console"}
    console = Console(tmp_path, **given)
    await console.session(history)
    provider = FakeProvider()
    client = httpx.AsyncClient(transport=httpx.MockTransport(provider))
    console.app.state.sign_in._provider = Provider(ConsoleSettings(**given), client)
    return console, provider


def signed_in(client: TestClient, provider: FakeProvider, **claims: Any) -> httpx.Response:
    """Sign in, with claims that are different."""
    begun = client.get("/sign-in", params={"next": "/sessions/a"})
    question = parse_qs(urlsplit(begun.headers["location"]).query)
    now = int(time.time())
    usual = {
        "iss": ISSUER, "aud": "console", "sub": "1", "email": "ned@example.org",
        "iat": now, "exp": now + 60, "nonce": question["nonce"][0],
    }  # fmt: skip
    state = claims.pop("state", question["state"][0])
    provider.claims = {**usual, **claims}
    return client.get("/sign-in/done", params={"code": "c", "state": state})


async def test_somebody_signs_in_changes_something_and_signs_out(
    oidc: tuple[Console, FakeProvider],
) -> None:
    console, provider = oidc
    client = console.client()
    assert "Sign in" in client.get("/").text
    answer = signed_in(client, provider)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sessions/a")
    assert provider.forms[0]["code_verifier"]
    assert "ned@example.org" in client.get("/").text
    form = {"token": token_of(client)}
    assert client.post("/sessions/a/retry", data=form).status_code == 303
    assert await asked(console) == [RetryRequested]
    assert client.post("/sign-out", data=form).status_code == 303
    assert "ned@example.org" not in client.get("/").text
    assert client.post("/sessions/a/retry", data=form).status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.org"},
        {"aud": "another"},
        {"exp": 1},
        {"nonce": "another"},
        {"state": "another"},
        {"email": ""},
        {"email_verified": False},
    ],
)
def test_what_the_provider_does_not_vouch_for_is_refused(
    oidc: tuple[Console, FakeProvider], claims: dict[str, Any]
) -> None:
    console, provider = oidc
    client = console.client()
    assert signed_in(client, provider, **claims).status_code == 403
    assert "ned@example.org" not in client.get("/").text


def test_a_token_signed_by_somebody_else_is_refused(
    oidc: tuple[Console, FakeProvider],
) -> None:
    console, provider = oidc
    provider.signs_with = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    client = console.client()
    assert signed_in(client, provider).status_code == 403


def test_signing_in_leads_nowhere_else(oidc: tuple[Console, FakeProvider]) -> None:
    console, provider = oidc
    for address in ("https://evil.example.org/", "//evil.example.org", "/\\evil.example.org"):
        client = console.client()
        begun = client.get("/sign-in", params={"next": address})
        question = parse_qs(urlsplit(begun.headers["location"]).query)
        now = int(time.time())
        provider.claims = {
            "iss": ISSUER, "aud": "console", "sub": "1", "email": "ned@example.org",
            "iat": now, "exp": now + 60, "nonce": question["nonce"][0],
        }  # fmt: skip
        done = client.get("/sign-in/done", params={"code": "c", "state": question["state"][0]})
        assert done.headers["location"] == "/"


@pytest.mark.parametrize(
    "settings",
    [
        {"sign_in": "oidc"},
        {"reading": "signed-in"},
        {"raw_files": "signed-in"},
        {"sign_in": "proxy", "proxy_addresses": "nonsense"},
        {"services": "uploader"},
        {"address": "console.example.org"},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"NX_CONSOLE|not|address"):
        ConsoleSettings(**settings)
