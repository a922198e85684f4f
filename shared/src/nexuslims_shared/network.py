"""HTTP with servers outside: addresses, tokens, trust, time limits."""

import logging
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from nexuslims_shared.errors import SettingsError
from nexuslims_shared.settings import Environment

log = logging.getLogger(__name__)

_BEGIN = "-----BEGIN"
_PRINTABLE: Final = frozenset(map(chr, range(0x21, 0x7F)))


def _address(value: str) -> str:
    text = value.strip()
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an address such as https://service.example.org/")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("give the address alone: the token has a setting of its own")
    return text.rstrip("/") + "/"


def _token(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    if not text or not set(text) <= _PRINTABLE:
        raise ValueError("not a token: it is one word of letters, digits and signs")
    return SecretStr(text)


Address: TypeAlias = Annotated[str, AfterValidator(_address)]
"""A setting: the address of a service; it ends in a slash, so that paths can follow."""

Token: TypeAlias = Annotated[SecretStr, AfterValidator(_token)]
"""A setting: a secret that grants access."""


class Network(Environment):
    """How servers are reached."""

    cert_bundle: Annotated[
        str, Field(description="Certificates to trust besides the system's: PEM, or its file")
    ] = ""
    disable_ssl_verify: Annotated[
        bool, Field(description="Trust whoever answers; for a test server only")
    ] = False
    http_timeout: Annotated[
        float, Field(gt=0, description="Seconds that a server may be silent in an exchange")
    ] = 60.0


def tls_context(network: Network) -> ssl.SSLContext:
    """Make the context of all connections: certificates are verified, unless a setting forbids it.

    Raises
    ------
    SettingsError
        If the certificates to trust cannot be read.
    """
    context = ssl.create_default_context()
    if network.disable_ssl_verify:
        log.warning(
            "NX_DISABLE_SSL_VERIFY is on: whoever answers is trusted, and is given our tokens;"
            " set NX_CERT_BUNDLE to the server's certificates instead"
        )
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif network.cert_bundle:
        context.load_verify_locations(
            cadata=read_certificates(network.cert_bundle, "NX_CERT_BUNDLE")
        )
    return context


def read_certificates(given: str, setting: str) -> str:
    """Return certificates as PEM, given as themselves or by the path of their file.

    Parameters
    ----------
    given
        The value of the setting.
    setting
        Its variable, for the message.

    Raises
    ------
    SettingsError
        If there are none.
    """
    try:
        # the incumbent's users write the line breaks of a one-line .env entry as \n
        pem = given if _BEGIN in given else Path(given).read_text(encoding="ascii")
        pem = pem.replace("\\n", "\n")
        ssl.create_default_context().load_verify_locations(cadata=pem)
    except (OSError, ValueError) as error:
        source = "the text given" if _BEGIN in given else f"'{given}'"
        raise SettingsError(
            f"{setting}: {source} holds no certificates ({error}):"
            " give PEM, or the path of a file with it"
        ) from error
    return pem


def trust(given: str, setting: str) -> ssl.SSLContext:
    """Make the context of connections to servers with certificates of the facility's own.

    Parameters
    ----------
    given
        The value of the setting: PEM, or the path of a file with it.
    setting
        Its variable, for the message.

    Raises
    ------
    SettingsError
        If it holds no certificates.
    """
    return ssl.create_default_context(cadata=read_certificates(given, setting))


def retry_after(value: str) -> timedelta | None:
    """Read ``Retry-After`` (RFC 9110, 10.2.3): seconds, or a date; None for anything else."""
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=min(int(text), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(aware - datetime.now(UTC), timedelta())
