"""The forms of a record that the console brings along: XML, JSON, and a signed RO-Crate."""

import asyncio
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Final

from pydantic_core import to_json

from nexuslims_console.actions.sessions import required
from nexuslims_console.database import Database
from nexuslims_console.queries import ReadModel
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.record.reader import read_record
from nexuslims_shared.artifacts import read_artifact
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.record_formats import RecordFormat
from nexuslims_shared.settings import Settings


async def _xml(context: ServiceContext, session: str, record: ArtifactRef) -> bytes:
    del session
    return await asyncio.to_thread(read_artifact, context.settings.records, record)


async def _json(context: ServiceContext, session: str, record: ArtifactRef) -> bytes:
    xml = await _xml(context, session, record)
    experiment = await asyncio.to_thread(read_record, xml)
    return await asyncio.to_thread(_as_json, session, experiment)


def _as_json(session: str, experiment: Experiment) -> bytes:
    values = {one.name: getattr(experiment, one.name) for one in fields(experiment)}
    return to_json({"session": session, **values}, indent=1)


async def _eln(context: ServiceContext, session: str, record: ArtifactRef) -> bytes:
    del record  # the session names it
    return await asyncio.to_thread(_crate, context.settings, session)


def _crate(settings: Settings, session: str) -> bytes:
    # packing is what few downloads need
    from nexuslims_console.actions.export import write_export  # noqa: PLC0415

    database = Database(settings.read_model_url)
    try:
        row = required(ReadModel(database), session)
    finally:
        database.close()
    with tempfile.TemporaryDirectory(prefix="nexuslims-export-") as folder:
        file = Path(folder) / "session.eln"
        write_export(
            settings, row, file, as_format="eln", with_raw=False, update=lambda _done, _all: None
        )
        return file.read_bytes()


ELN: Final = RecordFormat("ELN", "application/vnd.eln+zip", _eln)
XML: Final = RecordFormat("XML", "application/xml", _xml)
JSON: Final = RecordFormat("JSON", "application/json", _json)
