"""Where notifications go: e-mail by the incumbent's settings, a web hook.

A channel is a plugin: an entry point of the group ``nexuslims.notifications`` whose object is a
factory ``() -> Channel | None``; None if it has no settings.
"""

import smtplib
import ssl
from dataclasses import asdict
from email.message import EmailMessage
from typing import Annotated, Final, Protocol
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field, SecretStr

from nexuslims_console.errors import ConsoleError
from nexuslims_console.notifications.digest import Digest
from nexuslims_contracts.plugins import installed
from nexuslims_shared.network import Network, Token, tls_context
from nexuslims_shared.settings import Environment, any_given, read

CHANNELS: Final = "nexuslims.notifications"
_SECONDS: Final = 30.0


class NotificationError(ConsoleError):
    """A channel does not take a message: it is sent again the next time."""


class Channel(Protocol):
    """Takes messages to people."""

    def send(self, digest: Digest) -> None:
        """Send a message; blocks.

        Raises
        ------
        NotificationError
            If it was not taken.
        """
        ...


class EmailSettings(Environment, env_prefix="NX_EMAIL_"):
    """E-mail to those who look after the system."""

    smtp_host: Annotated[str, Field(min_length=1, description="Server that takes the mail")]
    sender: Annotated[str, Field(min_length=1, description="Address that it comes from")]
    recipients: Annotated[str, Field(min_length=1, description="Addresses, separated by commas")]
    smtp_port: Annotated[int, Field(ge=1, le=65535, description="Of the server")] = 587
    smtp_username: Annotated[str, Field(description="If the server wants one")] = ""
    smtp_password: Annotated[SecretStr | None, Field(description="If the server wants one")] = None
    use_tls: Annotated[bool, Field(description="Encrypt by STARTTLS")] = True


def _web_address(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an address such as https://chat.example.org/hooks/1")
    return value


class WebhookSettings(Environment, env_prefix="NX_WEBHOOK_"):
    """A web hook that takes the message as JSON: ``text``, and ``groups`` for programs."""

    url: Annotated[
        SecretStr,
        AfterValidator(_web_address),
        Field(description="Address that takes a POST; chats put a secret into its path"),
    ]
    token: Annotated[Token | None, Field(description="Sent as a bearer token")] = None


def channels() -> dict[str, Channel]:
    """Return the channels that have settings, by name.

    Raises
    ------
    SettingsError
        If those of one are wrong.
    """
    made = {name: plugin.load()() for name, plugin in installed(CHANNELS).items()}
    return {name: channel for name, channel in made.items() if channel is not None}


class Email:
    """E-mail through one server."""

    def __init__(self, settings: EmailSettings, network: Network) -> None:
        self._settings, self._network = settings, network

    def send(self, digest: Digest) -> None:
        """Send a message; see the port."""
        message = EmailMessage()
        message["Subject"] = digest.subject
        message["From"] = self._settings.sender
        message["To"] = self._settings.recipients
        message.set_content(digest.text)
        try:
            with smtplib.SMTP(
                self._settings.smtp_host, self._settings.smtp_port, timeout=_SECONDS
            ) as server:
                if self._settings.use_tls:
                    server.starttls(context=self._trust())
                if self._settings.smtp_password:
                    password = self._settings.smtp_password.get_secret_value()
                    server.login(self._settings.smtp_username, password)
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise NotificationError(
                f"no mail through {self._settings.smtp_host}: {error}; correct NX_EMAIL_*"
            ) from error

    def _trust(self) -> ssl.SSLContext:
        return tls_context(self._network)


class Webhook:
    """A POST to an address."""

    def __init__(self, settings: WebhookSettings, client: httpx.Client) -> None:
        self._settings, self._client = settings, client

    def send(self, digest: Digest) -> None:
        """Send a message; see the port."""
        token = self._settings.token
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        body = {
            "text": f"{digest.subject}\n\n{digest.text}",
            "groups": [asdict(one) for one in digest.groups],
        }
        try:
            address = self._settings.url.get_secret_value()
            self._client.post(address, json=body, headers=headers).raise_for_status()
        except httpx.HTTPError as error:
            raise NotificationError(
                f"the web hook does not take a message: {_cause(error)}; correct NX_WEBHOOK_URL"
            ) from None  # the error names the address, which is a secret


def _cause(error: httpx.HTTPError) -> str:
    """Say what went wrong without the address."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answers {error.response.status_code}"
    return type(error).__name__


def email() -> Email | None:
    """Return the channel by e-mail, if it has settings."""
    if not any_given(EmailSettings.prefix):
        return None
    return Email(read(EmailSettings), read(Network))


def webhook() -> Webhook | None:
    """Return the channel by web hook, if it has settings."""
    if not any_given(WebhookSettings.prefix):
        return None
    network = read(Network)
    client = httpx.Client(verify=tls_context(network), timeout=network.http_timeout)
    return Webhook(read(WebhookSettings), client)
