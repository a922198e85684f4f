"""The HTTP client of destinations: time limits, certificates, and what an answer means.

Every failure becomes one of two errors: a transient one (no answer, a busy or broken server) or a
permanent one, which lasts until somebody changes something (a token, an address, the record).
Redirects are not followed: they turn a POST into a GET. No message holds a token, a header or a
query.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from nexuslims_shared.leases import ensure_held
from nexuslims_shared.network import Network, tls_context
from nexuslims_shared.settings import read
from nexuslims_uploader.answers import asked_for, error_text, is_page, quoted
from nexuslims_uploader.errors import (
    PermanentUploadError,
    TransientUploadError,
    UploadError,
)
from nexuslims_uploader.peer import Peer

_CONNECT_S: Final = 10.0
_WHOLE_EXCHANGE: Final = 5
"""Times the silence allowed: a server that sends a byte now and then ends too."""
_CONNECTIONS: Final = 32
_BUSY: Final = frozenset({408, 425, 429, 502, 503, 504})
_GONE: Final = httpx.codes.NOT_FOUND
_ATTEMPTS: Final = 3

T = TypeVar("T")

Refusal: TypeAlias = Callable[[httpx.Response], str]
"""Says what a server error (500) has against the record; empty if it is its own trouble."""

Complaint: TypeAlias = Callable[[httpx.Response, str], UploadError | None]
"""Reads an error out of an answer of any status, about a session's record; None if it is none."""


def open_client(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    network: Network | None = None,
    auth: httpx.Auth | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Open a client with time limits that verifies certificates and follows no redirects.

    Parameters
    ----------
    url
        What the paths of requests are below.
    headers
        Of every request, the token's for example.
    network
        How servers are reached; read from the settings if not given.
    auth
        What each request is signed with.
    transport
        Another way to the server, for tests.

    Raises
    ------
    SettingsError
        If the settings of the network are wrong.
    """
    network = network or read(Network)
    silence = network.http_timeout
    # at INFO it logs addresses with their queries, in which LabArchives is given a signature
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.AsyncClient(
        base_url=url,
        headers={"User-Agent": "nexuslims-uploader", **(headers or {})},
        timeout=httpx.Timeout(silence, connect=min(_CONNECT_S, silence)),
        verify=tls_context(network),
        auth=auth,
        transport=transport,
        limits=httpx.Limits(max_connections=_CONNECTIONS),
        follow_redirects=False,
    )


class Api:
    """The API of a destination.

    Parameters
    ----------
    client
        As :func:`open_client` makes it.
    peer
        Who is spoken to.
    refusal
        Distinguishes a server error that is a refusal from a transient one; by default all are
        transient.
    complaint
        For servers that report errors in their own way, also with a status of success.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        peer: Peer,
        *,
        refusal: Refusal = lambda _: "",
        complaint: Complaint = lambda _, __: None,
    ) -> None:
        self._client = client
        self.peer = peer
        self._refusal = refusal
        self._complaint = complaint

    async def send(
        self,
        method: str,
        path: str,
        *,
        session: str,
        expected: Collection[int] = (),
        repeatable: bool | None = None,
        **content: Any,
    ) -> httpx.Response:
        """Send a request, and return an answer of success.

        A request that may be repeated is sent up to three times in quick succession if its answer
        is lost or the server is busy; a silent server is not asked again.

        Parameters
        ----------
        method, path
            Of the request; the path relative to the client's address.
        session
            Whose record it is about; empty for none.
        expected
            Other statuses to return, 404 for example.
        repeatable
            Whether it may be sent again; by default all but POST.
        **content
            As httpx takes them: ``json``, ``params``, ``files``, ``headers``.

        Raises
        ------
        TransientUploadError
            If there was no answer in time, or one that says to come again.
        MisconfiguredError
            If we are not let in, or the server is elsewhere.
        RefusedError
            If the request is not accepted.
        LeaseLostError
            If the work may be another process's by now.
        """
        may_repeat = method != "POST" if repeatable is None else repeatable
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(is_passing),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            stop=stop_after_attempt(_ATTEMPTS if may_repeat else 1),
            reraise=True,
        ):
            with attempt:
                return await self._send(method, path, session, expected, content)
        raise AssertionError("the loop ends by an answer or an error")

    async def _send(
        self,
        method: str,
        path: str,
        session: str,
        expected: Collection[int],
        content: Mapping[str, Any],
    ) -> httpx.Response:
        asked = f"{method} {path.partition('?')[0]}"
        response = await self._exchange(asked, session, method, path, content)
        if complaint := self._complaint(response, session):
            raise complaint
        if not (response.is_success or response.status_code in expected):
            raise self._error(asked, session, response)
        return response

    async def send_unless_gone(
        self, method: str, path: str, *, session: str
    ) -> httpx.Response | None:
        """Send a request about one thing; None if the service says that it is not there.

        Parameters
        ----------
        method, path
            Of the request; the path relative to the client's address.
        session
            Token of the session it is about; empty for none.

        Raises
        ------
        MisconfiguredError
            Also if it is a web page that does not find it; others as :meth:`send`.
        """
        response = await self.send(method, path, session=session, expected=(_GONE,))
        if response.status_code != _GONE:
            return response
        if is_page(response):
            raise self.peer.not_the_service(asked_for(response), session)
        return None

    async def read(
        self, shape: TypeAdapter[T], method: str, path: str, *, session: str, **content: Any
    ) -> T:
        """Send a request, and return what answers it, in its shape; see :meth:`json`.

        Parameters
        ----------
        method, path
            Of the request; the path relative to the client's address.
        shape
            The type that is expected.
        session
            Token of the session it is about; empty for none.
        **content
            As httpx takes them.

        Raises
        ------
        MisconfiguredError
            Also if the document has another shape: this is not the service we think.
        """
        response = await self.send(method, path, session=session, **content)
        return self.shaped(shape, response, session=session)

    async def json(self, method: str, path: str, *, session: str, **content: Any) -> Any:
        """Send a request, and return the document that answers it; see :meth:`send`.

        Parameters
        ----------
        method, path
            Of the request; the path relative to the client's address.
        session
            Token of the session it is about; empty for none.
        **content
            As httpx takes them.

        Raises
        ------
        MisconfiguredError
            Also if a web page answers.
        TransientUploadError
            Also if the document is damaged.
        """
        response = await self.send(method, path, session=session, **content)
        return self.document(response, session=session)

    def shaped(self, shape: TypeAdapter[T], response: httpx.Response, *, session: str) -> T:
        """Read an answer in its shape; raises as :meth:`read` does.

        Parameters
        ----------
        shape
            The type that is expected.
        response
            The answer.
        session
            Token of the session it is about; empty for none.
        """
        document = self.document(response, session=session)
        try:
            return shape.validate_python(document)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise self.peer.misconfigured(
                f"the answer to {asked_for(response)} is not as expected ({where}: {first['msg']})",
                session,
                f"{self.peer.address} must be the address of the service itself",
            ) from error

    def document(self, response: httpx.Response, *, session: str) -> Any:
        """Read an answer as JSON; raises as :meth:`json` does.

        Parameters
        ----------
        response
            The answer.
        session
            Token of the session it is about; empty for none.
        """
        try:
            return response.json()
        except ValueError as error:
            asked = asked_for(response)
            if is_page(response):
                raise self.peer.not_the_service(asked, session) from error
            raise self.peer.transient(f"the answer to {asked} is damaged JSON", session) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _exchange(
        self, asked: str, session: str, method: str, path: str, content: Mapping[str, Any]
    ) -> httpx.Response:
        ensure_held()
        limit = (self._client.timeout.read or _CONNECT_S) * _WHOLE_EXCHANGE
        try:
            async with asyncio.timeout(limit):
                return await self._client.request(method, path, **content)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise self.peer.transient(f"no answer in time to {asked}", session) from error
        except httpx.RequestError as error:
            what = str(error) or type(error).__name__
            remedy = f"see whether the server runs, and {self.peer.address}"
            if "certificate verify failed" in what.lower():
                remedy = "set NX_CERT_BUNDLE to the certificates that vouch for the server"
            raise self.peer.transient(
                f"{asked} came to nothing ({what})", session, remedy
            ) from error

    def _error(
        self, asked: str, session: str, response: httpx.Response
    ) -> PermanentUploadError | TransientUploadError:
        status, peer = response.status_code, self.peer
        answer = f"{asked} was answered with {status}{quoted(error_text(response))}"
        if status in (401, 403):
            remedy = f"{peer.access} must be valid, and its owner may do this; then retry"
            return self.peer.misconfigured(answer, session, remedy)
        if response.is_redirect:
            place = response.headers.get("location", "elsewhere").partition("?")[0]
            return self.peer.misconfigured(
                f"{asked} was sent on to {place}", session, f"correct {peer.address}, then retry"
            )
        if status in _BUSY:
            return self.peer.transient(
                answer, session, asked=response.headers.get("retry-after", "")
            )
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            refusal = self._refusal(response)
            if not refusal:
                return self.peer.transient(answer, session)
            return self.peer.refused(refusal, session, "correct what it names, and build it again")
        return self.peer.refused(
            answer, session, f"see whether {peer.address} is right, and the record; then retry"
        )


def is_passing(error: BaseException) -> bool:
    """Tell whether to repeat a request at once: not where the server is silent, or says when."""
    return (
        isinstance(error, TransientUploadError)
        and not error.retry_after
        and not isinstance(error.__cause__, httpx.TimeoutException | TimeoutError)
    )
