"""Answers: pages from templates, whole or only the part that is updated live."""

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from nexuslims_console.web.sign_in import Visitor
from nexuslims_console.web.site import Site
from nexuslims_console.web.templates import environment


def site_of(request: Request) -> Site:
    """Return what the pages of this server are made from."""
    site: Site = request.app.state.site
    return site


def visitor_of(request: Request) -> Visitor:
    """Return who asks."""
    visitor: Visitor = request.state.visitor
    return visitor


def page(request: Request, name: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """Return a page, or its live part alone where a script asks for that.

    Parameters
    ----------
    request
        What is answered.
    name
        Of the template, without its endings.
    status
        HTTP's.
    values
        What the template wants.
    """
    site = site_of(request)
    template = environment().get_template(f"{name}.html.j2")
    values |= {
        "console": site.settings,
        "path": request.url.path,
        "visitor": visitor_of(request),
        "section": request.url.path.split("/")[1] or "sessions",
    }
    if "x-live" in request.headers and "live" in template.blocks:
        context = template.new_context(values)
        # macros that a page imports are set up by running it; blocks alone lack them
        return HTMLResponse("".join(template.blocks["live"](context)), status)
    return HTMLResponse(template.render(values), status)
