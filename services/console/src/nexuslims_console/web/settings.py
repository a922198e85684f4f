"""The settings of the web console."""

from ipaddress import ip_network
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from nexuslims_shared.settings.groups import Environment

DEFAULT_PORT: Final = 8600


class ConsoleSettings(Environment, env_prefix="NX_CONSOLE_"):
    """Where the console is served, and who may do what there."""

    host: Annotated[str, Field(description="Address at which the console is served")] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535, description="Port at which it is served; 0: it is not")
    ] = DEFAULT_PORT
    address: Annotated[
        str, Field(description="By which people reach it, where a reverse proxy stands before it")
    ] = ""
    names: Annotated[
        tuple[str, ...],
        Field(description="Host names by which people reach it; others are refused"),
    ] = ()
    title: Annotated[str, Field(description="Name of the facility, above all pages")] = "NexusLIMS"
    trace_url: Annotated[
        str,
        Field(description="Address of a session's traces, with {session}; no links if empty"),
    ] = ""
    services: Annotated[
        tuple[str, ...],
        Field(description="Services on other machines, as uploader=http://uploader:8080"),
    ] = ()
    reading: Annotated[
        Literal["open", "signed-in"], Field(description="Who may read: everybody, or who signed in")
    ] = "open"
    raw_files: Annotated[
        Literal["off", "signed-in", "open"],
        Field(description="Who may download the microscope's files of a record"),
    ] = "off"
    sign_in: Annotated[
        Literal["off", "oidc", "proxy"],
        Field(description="How people sign in; off: nobody can change anything in the console"),
    ] = "off"
    secret: Annotated[
        SecretStr | None,
        Field(description="Signs cookies; made anew at each start if unset: people sign in again"),
    ] = None
    operators: Annotated[
        tuple[str, ...],
        Field(description="Who may change something; all who signed in if empty"),
    ] = ()
    proxy_header: Annotated[
        str, Field(description="Header in which a reverse proxy names who signed in")
    ] = "X-Forwarded-User"
    proxy_addresses: Annotated[
        tuple[str, ...],
        Field(description="Addresses, or networks, of reverse proxies whose header counts"),
    ] = ("127.0.0.1", "::1")
    oidc_issuer: Annotated[
        str, Field(description="Address of the OpenID provider, such as a Keycloak realm's")
    ] = ""
    oidc_client_id: Annotated[str, Field(description="Of the console at the provider")] = ""
    oidc_client_secret: Annotated[
        SecretStr | None, Field(description="Of the console at the provider")
    ] = None
    oidc_user_claim: Annotated[
        str, Field(description="Claim that names the user: sub, email, preferred_username")
    ] = "email"

    @field_validator("names", "services", "operators", "proxy_addresses", mode="before")
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        """Take names separated by commas."""
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("proxy_addresses")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            ip_network(one, strict=False)
        return value

    @field_validator("services")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            name, _, address = one.partition("=")
            if not name or not address.startswith(("http://", "https://")):
                raise ValueError(f"{one!r} is not of the form uploader=http://uploader:8080")
        return value

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("not an address such as https://console.example.org")
        return value.rstrip("/")

    @field_validator("trace_url")
    @classmethod
    def _is_template(cls, value: str) -> str:
        if value and (not value.startswith(("http://", "https://")) or "{session}" not in value):
            raise ValueError("not an address with {session} in it")
        return value

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.sign_in == "oidc" and not (self.oidc_issuer and self.oidc_client_id):
            raise ValueError(
                "NX_CONSOLE_SIGN_IN=oidc: set NX_CONSOLE_OIDC_ISSUER and NX_CONSOLE_OIDC_CLIENT_ID"
            )
        if self.sign_in == "off" and "signed-in" in (self.reading, self.raw_files):
            raise ValueError(
                "NX_CONSOLE_SIGN_IN=off: nobody can sign in, as NX_CONSOLE_READING or"
                " NX_CONSOLE_RAW_FILES wants; set it to oidc or proxy"
            )
        return self

    @property
    def hosts(self) -> list[str]:
        """Host names that requests may name; any where it is open to a network and none is set."""
        names = [*self.names, *filter(None, [urlsplit(self.address).hostname])]
        if names:
            return [*names, "localhost", "127.0.0.1", "[::1]"]
        loopback = self.host in ("127.0.0.1", "::1", "localhost")
        return ["localhost", "127.0.0.1", "[::1]"] if loopback else ["*"]

    @property
    def service_addresses(self) -> dict[str, str]:
        """Addresses of services on other machines, by name."""
        pairs = (one.partition("=") for one in self.services)
        return {name: address.rstrip("/") for name, _, address in pairs}
