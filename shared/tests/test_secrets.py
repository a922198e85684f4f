"""What is secret, and that it is found in whatever somebody says."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from nexuslims_shared import secrets
from nexuslims_shared.logs import JsonFormatter
from nexuslims_shared.secrets import HIDDEN, hide, hide_in, is_secret, remember_credentials
from nexuslims_shared.settings import Environment

PASSWORD = st.text(st.characters(categories=["L", "N"]), min_size=6)
SIGNS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FF), min_size=6).filter(
    lambda text: len(text.strip()) >= 6  # U+0085 is a blank; what is shorter is not searched for
)


@pytest.fixture(autouse=True)
def _forget(monkeypatch) -> None:
    monkeypatch.setattr(secrets, "_known", {})


class Group(Environment, env_prefix="NX_TEST_"):
    """Secrets by type and by name, and two that are none."""

    user: SecretStr
    uid: SecretStr | None = None
    api_key: str = ""
    password: str = ""
    keyboard: str = ""
    monkey: str = ""


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("user", True),
        ("uid", True),
        ("api_key", True),
        ("password", True),
        ("keyboard", False),
        ("monkey", False),
    ],
)
def test_a_setting_is_secret_by_type_or_by_name(name: str, secret: bool) -> None:
    assert is_secret(name, Group.model_fields[name]) is secret


@given(SIGNS)
def test_a_secret_is_found_in_every_form_in_which_it_is_quoted(secret: str) -> None:
    secrets.remember(secret)
    text = secret.strip()
    for message in (f"<{text}>", json.dumps({"a": text}), repr([text])):
        assert text not in hide(message).replace(HIDDEN, "")


@given(PASSWORD, st.sampled_from(["nats", "postgresql+psycopg", "https"]))
def test_the_password_of_an_address_is_never_displayed(password: str, scheme: str) -> None:
    address = f"{scheme}://me:{password}@example.org:4222/path?token={password}"
    assert hide_in(address, secret=False) == f"{scheme}://{HIDDEN}@example.org:4222/path?{HIDDEN}"
    secrets._known.clear()
    assert hide(f"no answer from {address}") == (
        f"no answer from {scheme}://{HIDDEN}@example.org:4222/path?token={HIDDEN}"
    )
    remember_credentials(f"nats://other.example.org,{address}")
    assert hide(f"wrong: {password}") == f"wrong: {HIDDEN}"


def test_a_log_line_has_no_secret_in_its_message_or_its_traceback() -> None:
    secrets.remember('hunter "2"')
    error = ValueError('hunter "2" is no number')
    record = logging.makeLogRecord(
        {"msg": 'refused: hunter "2"', "exc_info": (ValueError, error, None)}
    )
    line = json.loads(JsonFormatter("test").format(record))
    assert line["message"] == f"refused: {HIDDEN}"
    assert line["exception"] == f"ValueError: {HIDDEN} is no number"
