"""Files of sessions that pages refer to: previews, metadata, and the microscope's own."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse

from nexuslims_console.web.in_time import CHANGE_S
from nexuslims_console.web.responses import site_of, visitor_of
from nexuslims_console.web.sign_in import Visitor
from nexuslims_console.web.site import AWAY, Site
from nexuslims_contracts.errors import UndecodableError
from nexuslims_contracts.paths import readable
from nexuslims_shared.artifacts import resolve
from nexuslims_shared.errors import ArtifactError
from nexuslims_shared.session.state import SessionState
from nexuslims_shared.session.status import withdrawn

MOST_OPENED: Final = 2000
"""Files of a session that is opened for its page: some 20 KB of memory each."""
_SESSIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Served:
    """What may be sent of one session, as of an event."""

    through: int
    artifacts: frozenset[str]
    raw: Mapping[str, str]
    """Path in the file system, by path as pages have it."""


def may_download(site: Site, visitor: Visitor) -> bool:
    """Tell whether a visitor may have the microscope's files.

    Parameters
    ----------
    site
        With the setting that decides.
    visitor
        Who asks.
    """
    allowed = site.settings.raw_files
    return allowed == "open" or (allowed == "signed-in" and bool(visitor.user))


async def send_artifact(request: Request) -> FileResponse:
    """Send a preview, or metadata, of a session whose record may be read."""
    site, path = site_of(request), request.path_params["path"]
    preview = f"{path.removesuffix('.json')}.thumb.png" if path.endswith(".json") else path
    session = request.path_params["session"]
    if not await asyncio.to_thread(site.archive.shows, session, preview):
        served = await _served(request)
        if path not in served.artifacts:
            raise HTTPException(404, f"{path} is no preview and no metadata of this session.")
    return _file(site.context.settings.data_path, path)


async def send_raw(request: Request) -> FileResponse:
    """Send a file of the microscope's, where that is allowed."""
    site, path = site_of(request), request.path_params["path"]
    if not may_download(site, visitor_of(request)):
        raise HTTPException(403, "This facility does not give raw files to you here.")
    served = await _served(request)
    if path not in served.raw:
        raise HTTPException(404, f"{path} is no file of this session.")
    return _file(site.context.settings.instrument_data_path, served.raw[path], download=True)


async def _served(request: Request) -> Served:
    """Return what may be sent of a session; remembered until its next event."""
    site, name = site_of(request), request.path_params["session"]
    kept: dict[str, Served] = request.app.state.served
    row = await asyncio.to_thread(site.model.session, name)
    if row is None:
        raise HTTPException(404, f"There is no session {name}.")
    if row.files > MOST_OPENED:
        raise HTTPException(404, f"Session {name} has too many files: see its record.")
    known = kept.get(name)
    if known is None or known.through != row.through:
        try:
            opening = site.open_session(name, through=row.through, patience=CHANGE_S)
            known = _of_state(await opening, row.through)
        except (*AWAY, UndecodableError) as error:
            raise HTTPException(503, f"The session's events cannot be read: {error}") from error
        kept[name] = known
        while len(kept) > _SESSIONS:
            del kept[next(iter(kept))]
    return known


def _of_state(state: SessionState, through: int) -> Served:
    if withdrawn(state):
        return Served(through, frozenset(), {})
    artifacts: set[str] = set()
    raw = {}
    for file in state.current_files().values():
        if file.indexed is not None:
            path = file.indexed.event.disk_path
            raw[readable(path)] = path
        if file.extracted is not None:
            event = file.extracted.event
            artifacts |= {one.path for one in event.artifacts}
            artifacts |= {one.preview.path for one in event.datasets if one.preview}
    return Served(through, frozenset(artifacts), raw)


def _file(root: Path, relative: str, *, download: bool = False) -> FileResponse:
    try:
        path = resolve(root, relative)
    except ArtifactError as error:
        raise HTTPException(404, str(error)) from error
    if not path.is_file():
        raise HTTPException(404, f"{relative} is not there.")
    headers = {"cache-control": "private, max-age=300"}
    return FileResponse(path, headers=headers, filename=path.name if download else None)
