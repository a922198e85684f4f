"""How a process reaches the broker, and as which of its users."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

from nexuslims_shared.accounts import keys
from nexuslims_shared.secrets import remember

INBOXES: Final = "_INBOX"


@dataclass(frozen=True, slots=True)
class Access:
    """Addresses of the broker, and what proves who we are.

    Parameters
    ----------
    servers
        Addresses of the broker's servers; a name with a password, or a token, may stand in them.
    seed
        Seed of the user's key, where the broker has users with keys.
    tls
        Certificates to trust, where the connection is to be encrypted in any case.
    """

    servers: tuple[str, ...] = field(repr=False)
    seed: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, url: str, *, seed: str = "", tls: ssl.SSLContext | None = None) -> Self:
        """Read addresses in which a seed may stand: ``nats://SEED@broker.example.org:4222``.

        Parameters
        ----------
        url
            One or more addresses, separated by commas.
        seed
            The user's; it wins over those in the addresses.
        tls
            As above.
        """
        servers = [server.strip() for server in url.split(",")]
        found = [_take_seed(server) for server in servers]
        seed = seed or next((own for _, own in found if own), "")
        if seed:
            remember(seed)
        return cls(tuple(server for server, _ in found), seed, tls)

    @property
    def inboxes(self) -> str:
        """First token of the subjects on which this user is answered, and no other one listens."""
        return inboxes_of(keys.public_key(self.seed)) if self.seed else INBOXES

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of nats-py's ``connect``."""
        options: dict[str, Any] = {"inbox_prefix": self.inboxes}
        if self.seed:
            options["nkeys_seed_str"] = self.seed
        if self.tls:  # first of all, so that nobody between can have it left out
            options |= {"tls": self.tls, "tls_handshake_first": True}
        return options


def inboxes_of(public_key: str) -> str:
    """Return the first token of the subjects on which a user is answered."""
    return f"{INBOXES}_{public_key[1:21]}"


def with_seed(address: str, seed: str) -> str:
    """Put a seed into an address.

    Parameters
    ----------
    address
        Such as ``nats://127.0.0.1:4222``.
    seed
        The user's.
    """
    scheme, _, host = address.partition("://")
    return f"{scheme}://{seed}@{host}"


def _take_seed(server: str) -> tuple[str, str]:
    """Return an address without the seed in it, and the seed."""
    parts = urlsplit(server if "://" in server else f"nats://{server}")
    before, at, _ = parts.netloc.rpartition("@")
    if at and keys.looks_like_seed(before):
        return parts._replace(netloc=parts.netloc.removeprefix(f"{before}@")).geturl(), before
    return server, ""
