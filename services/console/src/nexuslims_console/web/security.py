"""What every answer carries and every request passes: headers, the visitor, who may read."""

import secrets
from typing import Final
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nexuslims_console.web.settings import ConsoleSettings
from nexuslims_console.web.sign_in import FORM, SignIn

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_OPEN: Final = ("/static/", "/sign-in")
"""Paths that need no sign-in even where reading does."""


class Gate:
    """Lets requests in, with who they are from, and sends answers with the headers above.

    Parameters
    ----------
    app
        What answers.
    settings
        The console's.
    sign_in
        Who recognises visitors.
    """

    def __init__(self, app: ASGIApp, settings: ConsoleSettings, sign_in: SignIn) -> None:
        self._app = app
        self._settings = settings
        self._sign_in = sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        form = request.cookies.get(FORM, "")
        new_form = "" if form else secrets.token_urlsafe(24)
        visitor = self._sign_in.visitor(request, form or new_form)
        scope.setdefault("state", {})["visitor"] = visitor

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                if new_form and self._settings.sign_in != "off":
                    secure = "; Secure" if scope["scheme"] == "https" else ""
                    cookie = f"{FORM}={new_form}; Path=/; HttpOnly; SameSite=Strict{secure}"
                    headers.append("set-cookie", cookie)
            await send(message)

        answer = self._refusal(Request(scope), visitor.user)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request, user: str) -> Response | None:
        """Return the answer to who may not read, None to all others."""
        path = request.url.path
        if self._settings.reading == "open" or user or path.startswith(_OPEN):
            return None
        if self._settings.sign_in == "oidc" and request.method == "GET":
            return RedirectResponse(f"/sign-in?next={quote(path)}", 303)
        return PlainTextResponse("sign in first: the reverse proxy does not say who you are", 401)
