"""``nexuslims export``: one session as a file to take home."""

import asyncio
from pathlib import Path
from typing import Any, Final

from nexuslims_console.actions.sessions import required
from nexuslims_console.errors import ExportError
from nexuslims_console.export.crate import Exported
from nexuslims_console.export.members import members
from nexuslims_console.export.orcids import read_orcids
from nexuslims_console.export.package import Content, Format, Package
from nexuslims_console.export.settings import ExportSettings
from nexuslims_console.export.signing import SigningKey
from nexuslims_console.open_read_model import latest_view
from nexuslims_console.views import SessionRow
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.text import counted
from nexuslims_shared.artifacts import resolve
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import print_json, say
from nexuslims_shared.cli.progress import Update, counted_progress
from nexuslims_shared.session.status import Status
from nexuslims_shared.settings import Settings, read, read_settings

_WITHHELD: Final = frozenset({Status.NO_CONSENT, Status.CANCELLED})


def export_session(
    name: str, *, as_format: Format, target: Path | None, with_raw: bool, as_json: bool
) -> bool:
    """Write a session into a file; False if files had to be left out of it.

    Parameters
    ----------
    name
        The session.
    as_format
        A signed RO-Crate, or a plain zip.
    target
        The file, or a folder that exists; the working folder if None.
    with_raw
        Whether the instruments' files come too.
    as_json
        Print what was written as JSON.

    Raises
    ------
    UnknownSessionError
        If there is no such session.
    ExportError
        If it has no record that may leave, or the target is there already or cannot be written.
    """
    settings = read_settings()
    row = run(_row(settings, name))
    file = _target(target, row, as_format)
    with counted_progress("files") as update:
        content, key = write_export(
            settings, row, file, as_format=as_format, with_raw=with_raw, update=update
        )
    size = sum(one.size for one in content.written)
    if as_json:
        document: dict[str, Any] = {"session": name, "file": str(file), "bytes": size}
        document |= {"files": len(content.written), "missing": content.missing}
        print_json({**document, "public_key": key and key.public()})
    else:
        say(f"{file}: {counted(len(content.written), 'file')}, {size:,} bytes")
        if key:
            say(f"signed; `minisign -P` takes the facility's public key: {key.public()}")
        for one in content.missing:
            say(f"left out: {one}")
    return not content.missing


def write_export(
    settings: Settings,
    row: SessionRow,
    target: Path,
    *,
    as_format: Format,
    with_raw: bool,
    update: Update,
) -> tuple[Content, SigningKey | None]:
    """Write a session into a file; return what is in it, and the key that signed it, if any.

    Parameters
    ----------
    settings
        The facility's.
    row
        The session.
    target
        The file; it is replaced.
    as_format
        A signed RO-Crate, or a plain zip.
    with_raw
        Whether the instruments' files come too.
    update
        Is given how many files are written, and how many there are.

    Raises
    ------
    ExportError
        If the session has no record that may leave, a file of the facility is wrong, or the target
        cannot be written.
    """
    if row.status in _WITHHELD or not row.record_path or row.start is None:
        raise ExportError(f"{row.session} has no record to take home: it is {row.status}")
    record = resolve(settings.records, row.record_path)
    try:
        experiment = read_record(record.read_bytes())
    except OSError as error:
        raise ExportError(
            f"cannot read {record}: {error.strerror}; `nexuslims rebuild --session {row.session}`"
        ) from error
    except UnreadableRecordError as error:
        raise ExportError(f"{record}: {error}") from error
    facility = read(ExportSettings)
    orcids = read_orcids(facility.orcids)
    exported = Exported(row.session, experiment, row.start, row.end or row.start, orcids)
    files = members(
        record,
        experiment,
        data=settings.data_path,
        instrument_data=settings.instrument_data_path,
        with_raw=with_raw,
    )
    key = SigningKey.of_facility(settings.state_path) if as_format == "eln" else None
    package = Package(target, exported)
    return package.write(files, facility=facility, key=key, update=update), key


async def _row(settings: Settings, name: str) -> SessionRow:
    async with latest_view(settings) as view:
        if view.behind:
            say(view.behind)
        return await asyncio.to_thread(required, view.model, name)


def _target(target: Path | None, row: SessionRow, ending: Format) -> Path:
    name = f"{Path(row.record_path or row.session).stem}.{ending}"
    file = (target or Path()) / name if target is None or target.is_dir() else target
    if file.exists():
        raise ExportError(f"{file} is there already: move it, or name another with --out")
    return file
