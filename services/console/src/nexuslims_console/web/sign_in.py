"""Who visits: nobody in particular, who signed in by OpenID Connect, or whom a proxy names."""

import hmac
import logging
import secrets
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response

from nexuslims_console.web.oidc import OidcError, Provider
from nexuslims_console.web.settings import ConsoleSettings

log = logging.getLogger(__name__)

SESSION: Final = "nexuslims_session"
FORM: Final = "nexuslims_form"
"""Cookie with a random text that forms of this browser are bound to."""
_FLOW: Final = "nexuslims_sign_in"
_SESSION_S: Final = 12 * 3600
_FLOW_S: Final = 600


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for a page.

    Parameters
    ----------
    user
        Who signed in; empty for nobody.
    may_change
        Whether they may change something.
    token
        What forms of this visitor carry.
    """

    user: str = ""
    may_change: bool = False
    token: str = ""


class SignIn:
    """Recognises visitors, and signs them in and out.

    Parameters
    ----------
    settings
        The console's.
    provider
        The OpenID provider, where that is how people sign in.
    """

    def __init__(self, settings: ConsoleSettings, provider: Provider | None = None) -> None:
        self._settings = settings
        self._provider = provider
        given = settings.secret.get_secret_value() if settings.secret else ""
        self._key = given or secrets.token_urlsafe(32)

    def visitor(self, request: HTTPConnection, form: str) -> Visitor:
        """Return who asks.

        Parameters
        ----------
        request
            What they ask.
        form
            The random text of their browser.
        """
        user = self._user(request)
        operators = self._settings.operators
        may_change = bool(user) and (not operators or user in operators)
        return Visitor(user, may_change, self._token(user, form))

    def is_own_form(self, request: Request, token: str) -> bool:
        """Tell whether a form was sent from a page of ours, by the visitor it was made for.

        Parameters
        ----------
        request
            With which it came.
        token
            That the form carries.
        """
        form = request.cookies.get(FORM, "")
        expected = self._token(self._user(request), form)
        if not form or not hmac.compare_digest(expected.encode(), token.encode()):
            return False
        site = request.headers.get("sec-fetch-site", "same-origin")
        origin = request.headers.get("origin")
        hosts = (request.headers.get("host"), urlsplit(self._settings.address).netloc)
        same = origin is None or urlsplit(origin).netloc in hosts
        return same and site in ("same-origin", "none")

    async def begin(self, request: Request) -> Response:
        """Send a visitor to the provider, from where they come back to :meth:`finish`."""
        if self._provider is None:
            return RedirectResponse("/", 303)
        flow = {
            "state": secrets.token_urlsafe(24),
            "nonce": secrets.token_urlsafe(24),
            "verifier": secrets.token_urlsafe(48),
            "next": _own_path(request.query_params.get("next", "/")),
        }
        address = await self._provider.address(self._back(request), flow)
        answer = RedirectResponse(address, 303)
        self._set_cookie(request, answer, _FLOW, self._signed(_FLOW).dumps(flow), _FLOW_S)
        return answer

    async def finish(self, request: Request) -> Response:
        """Sign in who comes back from the provider.

        Raises
        ------
        OidcError
            If they do not come from where we sent them, or the provider does not vouch for them.
        """
        flow = self._read(request, _FLOW, _FLOW_S)
        if self._provider is None or not flow:
            raise OidcError("signing in took too long, or cookies are off: begin again")
        given = request.query_params.get("state", "")
        if not hmac.compare_digest(given.encode(), str(flow["state"]).encode()):
            raise OidcError("the answer does not belong to this browser's question: begin again")
        user = await self._provider.user(self._back(request), request.query_params, flow)
        log.info("somebody signed in to the console")
        answer = RedirectResponse(flow["next"], 303)
        self._set_cookie(
            request, answer, SESSION, self._signed(SESSION).dumps({"user": user}), _SESSION_S
        )
        answer.delete_cookie(_FLOW)
        return answer

    def end(self, request: Request) -> Response:
        """Sign a visitor out here; the provider may still know them."""
        del request
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(SESSION)
        return answer

    def _user(self, request: HTTPConnection) -> str:
        match self._settings.sign_in:
            case "oidc":
                return str(self._read(request, SESSION, _SESSION_S).get("user", ""))
            case "proxy" if self._is_proxy(request):
                return request.headers.get(self._settings.proxy_header, "").strip()
            case _:
                return ""

    def _is_proxy(self, request: HTTPConnection) -> bool:
        try:
            address = ip_address(request.client.host if request.client else "")
        except ValueError:
            return False
        networks = (ip_network(one, strict=False) for one in self._settings.proxy_addresses)
        return any(address in network for network in networks)

    def _token(self, user: str, form: str) -> str:
        return hmac.digest(self._key.encode(), f"{user}\0{form}".encode(), "sha256").hex()

    def _signed(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._key, salt=purpose)

    def _read(self, request: HTTPConnection, name: str, seconds: int) -> dict[str, Any]:
        """Return what a cookie of ours holds; nothing if it is not there, not ours, or too old."""
        try:
            kept: dict[str, Any] = self._signed(name).loads(
                request.cookies.get(name, ""), max_age=seconds
            )
        except BadSignature:
            return {}
        return kept

    def _back(self, request: Request) -> str:
        """Return where the provider sends people back to."""
        own = request.url_for("signed_in")
        return f"{self._settings.address}{own.path}" if self._settings.address else str(own)

    def _set_cookie(
        self, request: Request, answer: Response, name: str, value: str, seconds: int
    ) -> None:
        secure = "https" in (request.url.scheme, urlsplit(self._settings.address).scheme)
        answer.set_cookie(
            name, value, max_age=seconds, httponly=True, secure=secure, samesite="lax"
        )


def _own_path(text: str) -> str:
    """Return where to go on after signing in: a path of ours, nothing else."""
    parts = urlsplit(text)
    own = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc
    return text if own else "/"
