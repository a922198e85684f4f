"""Trust and patience."""

import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import certifi
import pytest

from nexuslims_shared.errors import SettingsError
from nexuslims_shared.network import Address, Network, Token, retry_after, tls_context
from nexuslims_shared.settings import Environment, read

ONE = ssl.DER_cert_to_PEM_cert(
    ssl.create_default_context(cafile=certifi.where()).get_ca_certs(binary_form=True)[0]
)


def _trusted(network: Network) -> set[bytes]:
    return set(tls_context(network).get_ca_certs(binary_form=True))


def test_certificates_are_verified() -> None:
    context = tls_context(Network())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("form", ["text", "one line", "file"])
def test_a_bundle_is_trusted_besides_the_systems(tmp_path: Path, form) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(ONE)
    given = {"text": ONE, "one line": ONE.replace("\n", "\\n"), "file": str(file)}[form]
    trusted = _trusted(Network(cert_bundle=given))
    assert ssl.PEM_cert_to_DER_cert(ONE) in trusted
    assert trusted >= _trusted(Network())


@pytest.mark.parametrize("given", ["/no/such/file", "-----BEGIN CERTIFICATE-----\nx", "empty"])
def test_a_bundle_without_certificates_is_named(tmp_path: Path, given) -> None:
    (tmp_path / "empty").write_text("")
    with pytest.raises(SettingsError, match="NX_CERT_BUNDLE"):
        tls_context(Network(cert_bundle=str(tmp_path / given) if given == "empty" else given))


def test_trusting_anybody_is_logged_as_a_warning(caplog) -> None:
    assert tls_context(Network(disable_ssl_verify=True)).verify_mode is ssl.CERT_NONE
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), (" 0 ", 0), ("", None), ("soon", None), ("-1", None), ("9" * 30, 10**9)],
)
def test_retry_after(value, seconds) -> None:
    assert retry_after(value) == (None if seconds is None else timedelta(seconds=seconds))


def test_retry_after_a_date() -> None:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    wait = retry_after(format_datetime(soon))
    assert wait is not None
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == timedelta()


class Service(Environment, env_prefix="NX_SERVICE_"):
    """Where a service is, and how to get in."""

    url: Address
    api_key: Token


@pytest.mark.parametrize("url", ["ftp://x", "x.org", "https://a:b@x.org", "https://x.org/?a=1"])
def test_an_address_is_an_address_alone(url) -> None:
    with pytest.raises(SettingsError, match="NX_SERVICE_URL"):
        read(Service, url=url, api_key="abc")


@pytest.mark.parametrize("key", ["", "two words", "kéy"])
def test_a_token_is_one_word_and_never_shown(key) -> None:
    with pytest.raises(SettingsError, match=r"NX_SERVICE_API_KEY=\(hidden\)"):
        read(Service, url="https://x.org", api_key=key)


def test_an_address_ends_in_a_slash() -> None:
    service = read(Service, url=" https://x.org/api ", api_key=" abc ")
    assert service.url == "https://x.org/api/"
    assert service.api_key.get_secret_value() == "abc"
    assert "abc" not in repr(service)


class Other(Environment, env_prefix="NX_OTHER_"):
    """Settings of a plugin."""

    token: str
    size: int = 1


def test_a_group_has_its_prefix_and_its_files(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="NX_OTHER_TOKEN is not set"):
        read(Other)
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / ".env").write_text(f"NX_OTHER_TOKEN_FILE={tmp_path / 'token'}\nNX_OTHER_SIZE=2\n")
    assert read(Other).model_dump() == {"token": "abc", "size": 2}
    monkeypatch.setenv("NX_OTHER_TOKEN", "def")
    assert read(Other).token == "def"


def test_a_secret_is_not_shown(monkeypatch) -> None:
    monkeypatch.setenv("NX_OTHER_TOKEN", "abc")
    monkeypatch.setenv("NX_OTHER_SIZE", "large")
    with pytest.raises(SettingsError, match="NX_OTHER_SIZE='large'"):
        read(Other)
    monkeypatch.delenv("NX_OTHER_SIZE")
    monkeypatch.delenv("NX_OTHER_TOKEN")
    monkeypatch.setenv("NX_OTHER_TOKEN_FILE", "/no/such/file")
    with pytest.raises(SettingsError, match="NX_OTHER_TOKEN_FILE=/no/such/file"):
        read(Other)
