"""The file of the read model goes away under a process that uses it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.database import Database
from nexuslims_console.errors import ReadModelError


def replace(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"no database" * 1000)
    other.replace(file)


def lose_writes(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("harm", [Path.unlink, replace, empty, lose_writes])
def test_a_file_that_goes_away_is_noticed_and_made_again(
    tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    file = tmp_path / "read-model.db"
    url = f"sqlite:///{file}"
    used = [Database(url), ArchiveDatabase(url)]
    for database in used:
        database.prepare()
        database.probe()
    harm(file)
    for database in used:
        with pytest.raises(ReadModelError, match="it is made again"):
            database.require_same_file()
    if damaged := used[0].set_aside_if_damaged():
        damaged.unlink()
    another = Database(url)
    for database in (*used, another):
        database.prepare()
        database.probe()
        database.close()


def give_back(database: Database) -> None:
    database.close()


def lose_connection(database: Database) -> None:
    with database._engine.connect() as connection:
        connection.invalidate()


@pytest.mark.parametrize("end", [give_back, lose_connection])
def test_a_file_is_sound_after_its_last_connection_was_closed(
    tmp_path: Path, end: Callable[[Database], None]
) -> None:
    """SQLite removes its WAL with that, and the next connection has another."""
    file = tmp_path / "read-model.db"
    database = Database(f"sqlite:///{file}")
    database.prepare()
    for _ in range(2):
        database.keep_log("one")
        end(database)
        assert database.log() == "one"
    lose_writes(file)
    with pytest.raises(ReadModelError, match="it is made again"):
        database.require_same_file()
    database.close()
