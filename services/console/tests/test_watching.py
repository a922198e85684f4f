"""What the console's checks say while the read model is not there yet."""

from datetime import timedelta
from pathlib import Path

import pytest

from nexuslims_console.database import Database
from nexuslims_console.watching import check_due_work, check_projection
from nexuslims_shared.health import Check, Outcome, look
from nexuslims_shared.store.memory import MemoryEventStore

LIMIT = timedelta(minutes=1)


@pytest.mark.parametrize("name", ["projection", "due work"])
async def test_where_the_read_model_is_not_made_yet_nobody_could_look(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'read-model.db'}")
    database.prepare()
    made = await look(check(name, database))
    assert made.outcome is Outcome.OK

    (tmp_path / "empty").mkdir()
    empty = Database(f"sqlite:///{tmp_path / 'empty' / 'read-model.db'}")
    result = await look(check(name, empty))

    assert result.outcome is Outcome.UNKNOWN
    assert "read model" in result.reason
    assert not caplog.records
    database.close()
    empty.close()


def check(name: str, database: Database) -> Check:
    """The check of that name."""
    if name == "projection":
        return check_projection(database, [MemoryEventStore()], LIMIT)
    return check_due_work(database, LIMIT)
