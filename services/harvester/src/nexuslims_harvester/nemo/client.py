"""Asking NEMO's API: few requests, each with a time limit, repeated after passing errors.

The token is in one header and in nothing that is logged or raised.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from nexuslims_harvester.errors import CalendarUnavailableError, RequestRefusedError
from nexuslims_harvester.nemo.settings import NemoSettings
from nexuslims_shared.network import Network, retry_after, tls_context
from nexuslims_shared.settings import read

log = logging.getLogger(__name__)

PAGE: Final = 4000
"""Objects asked for at once: some megabytes and seconds of NEMO; without a size it gives all."""
IDS: Final = 200
"""Ids in one query: addresses longer than some kilobytes are refused by web servers."""
ATTEMPTS: Final = 6
PATIENCE_S: Final = 60.0
"""A longer ``Retry-After`` is kept without waiting for it."""
_CONNECT_S: Final = 10.0
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

Query = Mapping[str, str]


class _PassingError(Exception):
    """An error after which the same request may succeed."""

    def __init__(self, problem: str, retry_after: float = 0.0) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class NemoClient:
    """A connection to one NEMO.

    Parameters
    ----------
    name
        Of the calendar, for messages.
    number
        Of its settings, for messages.
    settings
        Where it is and how to get in.
    transport
        Another way to its server, for tests.
    first_wait
        Seconds that the first pause between two attempts lasts at most; later ones double.

    Raises
    ------
    SettingsError
        If the settings of the network are wrong.
    """

    def __init__(
        self,
        name: str,
        number: str,
        settings: NemoSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        first_wait: float = 1.0,
    ) -> None:
        self._name = name
        self._number = number
        self._settings = settings
        self._transport = transport
        self._network = read(Network)
        self._trust = tls_context(self._network)
        self._backoff = wait_random_exponential(multiplier=first_wait, max=30)
        self._open_again = 0.0
        self._http = self._connection()

    def use(self, settings: NemoSettings) -> None:
        """Take settings that were read again: a token may have been rotated.

        Parameters
        ----------
        settings
            For the connections that are opened from now on.
        """
        self._settings = settings

    async def __aenter__(self) -> Self:
        """Open a connection; what was learned from earlier ones is kept."""
        self._http = self._connection()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self._http.aclose()

    def _connection(self) -> httpx.AsyncClient:
        token = self._settings.token.get_secret_value()
        return httpx.AsyncClient(
            base_url=self._settings.address,
            headers={
                "Authorization": f"Token {token}",
                "Accept": "application/json",
                "User-Agent": "nexuslims-harvester",
            },
            timeout=httpx.Timeout(self._network.http_timeout, connect=_CONNECT_S),
            transport=self._transport,
            verify=self._trust,
            follow_redirects=False,  # whoever it leads to would be given the token
        )

    async def by_ids(self, endpoint: str, ids: Sequence[int]) -> list[Any]:
        """Return the objects with these ids; unknown ones are missing in the answer.

        Parameters
        ----------
        endpoint
            For example ``users``.
        ids
            So many that several requests may be needed; no id, no request.
        """
        found: list[Any] = []
        for start in range(0, len(ids), IDS):
            some = ids[start : start + IDS]
            found += await self.all(endpoint, {"id__in": ",".join(map(str, some))})
        return found

    async def all(self, endpoint: str, query: Query) -> list[Any]:
        """Return all objects that a query matches, page by page.

        Parameters
        ----------
        endpoint
            For example ``usage_events``.
        query
            Filters of NEMO's API.

        Raises
        ------
        CalendarUnavailableError
            If NEMO cannot be asked, refuses, or answers with anything but a list of objects.
        """
        objects: list[Any] = []
        page = 1
        while True:
            document = await self._ask(
                endpoint, {**query, "page_size": str(PAGE), "page": str(page)}
            )
            results = document.get("results") if isinstance(document, dict) else document
            if not isinstance(results, list):
                raise self._unavailable(endpoint, "answered with no list of objects")
            objects += results
            if not isinstance(document, dict) or not document.get("next"):
                return objects
            page += 1

    async def _ask(self, endpoint: str, query: Query) -> Any:
        closed = self._open_again - time.monotonic()
        if closed > 0:
            raise self._unavailable(endpoint, f"wants to be left alone for {closed:.0f} s more")
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(_PassingError),
            wait=self._wait,
            stop=stop_after_attempt(ATTEMPTS),
            retry_error_callback=lambda state: self._give_up(endpoint, state),
            before_sleep=lambda state: log.info(
                "%s: %s: %s", self._name, endpoint, _problem(state)
            ),
        ):
            with attempt:
                return self._document(endpoint, await self._get(endpoint, query))
        raise AssertionError("the loop ends by an answer or an error")

    async def _get(self, endpoint: str, query: Query) -> httpx.Response:
        try:
            return await self._http.get(f"{endpoint}/", params=dict(query))
        except httpx.TimeoutException as error:
            raise _PassingError("does not answer in time") from error
        except httpx.TransportError as error:
            raise _PassingError(f"cannot be reached ({error or type(error).__name__})") from error

    def _document(self, endpoint: str, response: httpx.Response) -> Any:
        self._require_success(endpoint, response)
        try:
            return response.json()
        except ValueError as error:
            if "html" in response.headers.get("content-type", ""):
                raise self._unavailable(
                    endpoint,
                    "answered with a web page instead of JSON:"
                    f" NX_NEMO_ADDRESS_{self._number} must be the address of the API, .../api/",
                ) from error
            raise _PassingError(f"answered with damaged JSON ({error})") from error

    def _require_success(self, endpoint: str, response: httpx.Response) -> None:
        status = response.status_code
        if status in (401, 403):
            raise self._unavailable(
                endpoint,
                f"refuses us ({status}): NX_NEMO_TOKEN_{self._number} must be the token of an"
                " active user who may view tools, users, projects, reservations, usage events",
            )
        if status in _BUSY:
            asked = retry_after(response.headers.get("retry-after", "")) or timedelta()
            wait = asked.total_seconds()
            if wait > PATIENCE_S:
                self._open_again = time.monotonic() + wait
                raise self._unavailable(endpoint, f"is busy ({status}) for {wait:.0f} s")
            raise _PassingError(f"is in trouble ({status})", wait)
        if response.is_redirect:
            raise self._unavailable(
                endpoint,
                f"is at {response.headers.get('location', 'another place')}:"
                f" correct NX_NEMO_ADDRESS_{self._number}",
            )
        if not response.is_success:
            problem = f"refuses the request ({status}){_detail(response)}"
            raise self._unavailable(endpoint, problem, RequestRefusedError)

    def _wait(self, state: RetryCallState) -> float:
        """Pause as long as NEMO asks for, at least a random and growing time."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, _PassingError) else 0.0
        return asked + self._backoff(state)

    def _give_up(self, endpoint: str, state: RetryCallState) -> Any:
        raise self._unavailable(endpoint, f"{_problem(state)}, {state.attempt_number} times")

    def _unavailable(
        self,
        endpoint: str,
        problem: str,
        kind: type[CalendarUnavailableError] = CalendarUnavailableError,
    ) -> CalendarUnavailableError:
        message = f"{self._name} at {self._settings.address} {problem} (asked for {endpoint})"
        token = self._settings.token.get_secret_value()
        return kind(message.replace(token, "(hidden)"))


def _problem(state: RetryCallState) -> str:
    return str(state.outcome.exception()) if state.outcome else ""


def _detail(response: httpx.Response) -> str:
    """Return what NEMO says about a refusal, if it says it in JSON."""
    is_json = "json" in response.headers.get("content-type", "")
    return f": {response.text[:200]}" if is_json else ""
