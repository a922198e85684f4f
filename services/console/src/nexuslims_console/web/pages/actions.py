"""What changes something: only for who may, and only from forms of ours."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final, TypeAlias
from urllib.parse import parse_qs, quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from nexuslims_console.actions import retry
from nexuslims_console.actions.requests import request_rebuild, request_retry
from nexuslims_console.errors import ConsoleError
from nexuslims_console.web.in_time import CHANGE_S, in_time
from nexuslims_console.web.responses import site_of, visitor_of
from nexuslims_console.web.sign_in import SignIn
from nexuslims_console.web.site import AWAY

log = logging.getLogger(__name__)

_LONGEST_FORM: Final = 10_000

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


async def require_own_form(request: Request) -> None:
    """Answer 403 to a form that is not from a page of ours.

    Raises
    ------
    HTTPException
        If it is not.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_FORM:
            raise HTTPException(413, "This form is too long.")
    form = parse_qs(body.decode("utf-8", "replace"))
    sign_in: SignIn = request.app.state.sign_in
    if not sign_in.is_own_form(request, form.get("token", [""])[0]):
        raise HTTPException(403, "This form is not from here, or too old: load the page again.")


def changing(act: Endpoint) -> Endpoint:
    """Let an endpoint act only for who may change something, and only from a form of ours."""

    @wraps(act)
    async def guarded(request: Request) -> Response:
        visitor = visitor_of(request)
        if not visitor.may_change:
            raise HTTPException(403, "You may read this, and change nothing.")
        await require_own_form(request)
        try:
            answer = await in_time(act(request), CHANGE_S)
        except ConsoleError as error:
            raise HTTPException(409, str(error)) from error
        except AWAY as error:
            raise HTTPException(
                503, f"The broker does not answer: {error}. Look whether it was done, or try again."
            ) from error
        log.info("a signed-in operator asked for %s", request.url.path)
        return answer

    return guarded


@changing
async def retry_session(request: Request) -> Response:
    """Have what failed for a session tried again."""
    session = await _known(request)
    await request_retry(site_of(request).context.store, session)
    return RedirectResponse(f"/sessions/{quote(session)}", 303)


@changing
async def rebuild_session(request: Request) -> Response:
    """Have the record of a session built again from the events."""
    session = await _known(request)
    await request_rebuild(site_of(request).context.store, [session], re_extract=False)
    return RedirectResponse(f"/sessions/{quote(session)}", 303)


@changing
async def retry_dead_letter(request: Request) -> Response:
    """Have the event of a dead letter handled again."""
    context = site_of(request).context
    letter = await retry.letter_of(context, request.path_params["number"])
    done = await retry.retry_dead_letter(context, letter)
    return RedirectResponse(f"/dead-letters?done={quote(done)}", 303)


async def _known(request: Request) -> str:
    session: str = request.path_params["session"]
    if await asyncio.to_thread(site_of(request).model.session, session) is None:
        raise HTTPException(404, f"There is no session {session}.")
    return session
