"""The web application: routes, errors, who may do what."""

import asyncio
import logging
from http import HTTPStatus

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from nexuslims_console.errors import ReadModelError
from nexuslims_console.web import files, live
from nexuslims_console.web.oidc import OidcError, Provider
from nexuslims_console.web.pages import actions, archive, operation, session, sessions
from nexuslims_console.web.responses import page
from nexuslims_console.web.security import Gate
from nexuslims_console.web.sign_in import SignIn
from nexuslims_console.web.site import Site
from nexuslims_console.web.templates import STATIC
from nexuslims_shared.network import Network, tls_context
from nexuslims_shared.settings.groups import read

log = logging.getLogger(__name__)

_ROUTES = [
    Route("/", sessions.show_sessions),
    Route("/sessions", sessions.show_sessions),
    Route("/sessions/{session}", session.show_session),
    Route("/sessions/{session}/events", session.show_events),
    Route("/sessions/{session}/files", session.show_files),
    Route("/sessions/{session}/artifacts/{path:path}", files.send_artifact),
    Route("/sessions/{session}/raw/{path:path}", files.send_raw),
    Route("/sessions/{session}/retry", actions.retry_session, methods=["POST"]),
    Route("/sessions/{session}/rebuild", actions.rebuild_session, methods=["POST"]),
    Route("/archive", archive.search),
    Route("/archive/{session}", archive.show_record),
    Route("/archive/{session}/record.{ending}", archive.download),
    Route("/operation", operation.show_operation),
    Route("/dead-letters", operation.show_dead_letters),
    Route("/dead-letters/{number:int}/retry", actions.retry_dead_letter, methods=["POST"]),
    Route("/instruments", operation.show_instruments),
    Route("/live", live.send_positions),
]


def make_app(site: Site) -> Starlette:
    """Make the web application.

    Parameters
    ----------
    site
        What its pages are made from.
    """
    settings = site.settings
    provider = None
    if settings.sign_in == "oidc":
        client = httpx.AsyncClient(timeout=10, verify=tls_context(read(Network)))
        provider = Provider(settings, client)
    sign_in = SignIn(settings, provider)
    app = Starlette(
        routes=[
            *_ROUTES,
            Route("/sign-in", sign_in.begin),
            Route("/sign-in/done", sign_in.finish, name="signed_in"),
            Route("/sign-out", _sign_out, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts, www_redirect=False),
            Middleware(Gate, settings=settings, sign_in=sign_in),
            Middleware(GZipMiddleware, minimum_size=1500),
        ],
        exception_handlers={
            HTTPException: _explain,
            OidcError: _refuse_sign_in,
            ReadModelError: _without_tables,
        },
    )
    app.state.site = site
    app.state.sign_in = sign_in
    app.state.served = {}
    app.state.positions = live.Positions(site)
    app.state.stopping = asyncio.Event()
    return app


async def _sign_out(request: Request) -> Response:
    await actions.require_own_form(request)
    sign_in: SignIn = request.app.state.sign_in
    return sign_in.end(request)


async def _explain(request: Request, error: Exception) -> HTMLResponse:
    if not isinstance(error, HTTPException):
        raise TypeError(f"not an HTTP error: {error!r}")
    title = HTTPStatus(error.status_code).phrase
    return page(request, "error", error.status_code, title=title, text=error.detail)


async def _refuse_sign_in(request: Request, error: Exception) -> HTMLResponse:
    log.warning("somebody could not sign in: %s", error)
    return page(request, "error", 403, title="You are not signed in", text=str(error))


async def _without_tables(request: Request, error: Exception) -> HTMLResponse:
    log.warning("%s", error)
    return page(request, "error", 503, title="The tables cannot be read", text=str(error))
