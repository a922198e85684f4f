"""The server that a destination speaks to, and the errors that are reported about it."""

from dataclasses import dataclass
from typing import TypeVar

from nexuslims_shared.network import retry_after
from nexuslims_shared.secrets import hide, remember
from nexuslims_uploader.errors import (
    MisconfiguredError,
    PermanentUploadError,
    RefusedError,
    TransientUploadError,
)

P = TypeVar("P", bound=PermanentUploadError)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is spoken to.

    Parameters
    ----------
    destination
        Its name.
    address, access
        The settings that say where it is and how to get in, for messages: ``NX_CDCS_URL``,
        ``NX_CDCS_TOKEN``.
    secrets
        What must not be repeated from its answers, nor in any other message.
    """

    destination: str
    address: str
    access: str
    secrets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for secret in self.secrets:
            remember(secret)

    def transient(
        self, reason: str, session: str, remedy: str = "", *, asked: str = ""
    ) -> TransientUploadError:
        """Make a transient error.

        Parameters
        ----------
        reason
            What went wrong, without secrets.
        session
            Token of the session it is about; empty for none.
        remedy
            What somebody can do about it; a general one if not given.
        asked
            The server's ``Retry-After``, if it gave one.
        """
        return TransientUploadError(
            hide(reason),
            destination=self.destination,
            session=session,
            remedy=remedy or "it is tried again by itself; see to the server if it lasts",
            retry_after=retry_after(asked),
        )

    def misconfigured(self, reason: str, session: str, remedy: str) -> MisconfiguredError:
        """Make an error that lasts until a setting is corrected.

        Parameters
        ----------
        reason
            What went wrong, without secrets.
        session
            Token of the session it is about; empty for none.
        remedy
            What somebody can do about it; a general one if not given.
        """
        return self._permanent(MisconfiguredError, reason, session, remedy)

    def refused(self, reason: str, session: str, remedy: str) -> RefusedError:
        """Make an error that lasts until the record is another.

        Parameters
        ----------
        reason
            What went wrong, without secrets.
        session
            Token of the session it is about; empty for none.
        remedy
            What somebody can do about it; a general one if not given.
        """
        return self._permanent(RefusedError, reason, session, remedy)

    def not_the_service(self, asked: str, session: str) -> MisconfiguredError:
        """Make the error of an address at which something else answers.

        Parameters
        ----------
        asked
            The request.
        session
            Token of the session it is about; empty for none.
        """
        return self.misconfigured(
            f"a web page instead of JSON answers {asked}",
            session,
            f"{self.address} must be the address of the service itself",
        )

    def _permanent(self, kind: type[P], reason: str, session: str, remedy: str) -> P:
        return kind(
            hide(reason),
            destination=self.destination,
            session=session,
            remedy=remedy,
        )
