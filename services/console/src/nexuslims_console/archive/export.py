"""``nexuslims datasets export``: the archive's datasets as a Parquet file."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from nexuslims_console.archive.projection import open_archive
from nexuslims_console.archive.search import Archive
from nexuslims_console.archive.tables import QUANTITIES, ArchiveDatabase
from nexuslims_console.errors import ConsoleError
from nexuslims_contracts.metadata.fields import FIELDS
from nexuslims_contracts.text import counted
from nexuslims_shared.cli.asynchronous import run
from nexuslims_shared.cli.output import say
from nexuslims_shared.cli.progress import counted_progress
from nexuslims_shared.errors import BrokerUnavailableError, TopologyError
from nexuslims_shared.facility import command_context
from nexuslims_shared.settings import Settings, read_settings

_AT_ONCE: Final = 20_000
_TEXTS: Final = (
    "session", "location", "name", "dataset_type", "data_type", "shape", "elements", "preview",
)  # fmt: skip
_OF_RECORD: Final = ("title", "instrument", "instrument_pid", "samples")


def export_datasets(file: Path) -> None:
    """Write all datasets of records that may be read.

    Parameters
    ----------
    file
        To write; it is there whole or not at all.

    Raises
    ------
    ConsoleError
        If pyarrow is not installed, or the file cannot be written.
    """
    arrow, parquet = _pyarrow()
    settings = read_settings()
    run(_catch_up(settings))
    database = ArchiveDatabase(settings.read_model_url)
    try:
        count = _write(database, file, arrow, parquet)
    except OSError as error:
        raise ConsoleError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        database.close()
    say(f"{counted(count, 'dataset is', 'datasets are')} in {file}")


async def _catch_up(settings: Settings) -> None:
    """Bring the archive up to date, if the broker can be reached; else say so."""
    database = ArchiveDatabase(settings.read_model_url)
    try:
        async with command_context(settings, "console") as context:
            await (await open_archive(context.store, database)).catch_up()
    except (TopologyError, BrokerUnavailableError) as error:
        say(f"as the archive was last: {error}")
        await asyncio.to_thread(database.prepare)
    finally:
        database.close()


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConsoleError(
            "writing Parquet needs pyarrow, which is large and so an extra:"
            " pip install 'nexuslims-console[parquet]'"
        ) from error


def _write(database: ArchiveDatabase, file: Path, arrow: Any, parquet: Any) -> int:
    schema = _schema(arrow)
    count = 0
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        path = Path(new.name)
    try:
        total = Archive(database).count()[1]
        with (
            parquet.ParquetWriter(path, schema, compression="zstd") as writer,
            counted_progress("datasets") as update,
        ):
            for rows in _batches(database):
                writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
                count += len(rows)
                update(count, max(count, total))
        path.chmod(0o644)
        path.replace(file)
    finally:
        path.unlink(missing_ok=True)
    return count


def _schema(arrow: Any) -> Any:
    """Return the columns; each quantity's says in which unit it is."""
    fields = [arrow.field(name, arrow.string()) for name in (*_TEXTS, *_OF_RECORD)]
    fields.append(arrow.field("taken", arrow.timestamp("us", tz="UTC")))
    for name in QUANTITIES:
        facts = {"unit": FIELDS[name].unit or "", "description": FIELDS[name].description}
        fields.append(arrow.field(name, arrow.float64(), metadata=facts))
    return arrow.schema(fields)


def _batches(database: ArchiveDatabase) -> Iterator[Sequence[dict[str, Any]]]:
    """Give all datasets with their records and quantities, in the order of time."""
    after = -(2**63)
    while True:
        with database.reading() as (connection, tables):
            datasets, values, records = tables.datasets, tables.quantities, tables.records
            query = (
                select(
                    datasets.c.id,
                    datasets.c.taken,
                    *(datasets.c[name] for name in _TEXTS),
                    *(records.c[name] for name in _OF_RECORD),
                    *(values.c[name] for name in QUANTITIES),
                )
                .join(values, values.c.id == datasets.c.id)
                .join(records, records.c.session == datasets.c.session)
                .where(datasets.c.id > after)
                .order_by(datasets.c.id)
                .limit(_AT_ONCE)
            )
            rows = [dict(row) for row in connection.execute(query).mappings()]
        if not rows:
            return
        after = rows[-1]["id"]
        yield rows
