"""Datasets as Parquet: whole, with units, or a word on what is missing."""

import sys
from pathlib import Path

import pytest
from services.console.tests.test_archive_search import _RECORDS, content

from nexuslims_console.archive.export import export_datasets
from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.archive.writing import put_session
from nexuslims_console.errors import ConsoleError


@pytest.fixture
def facility(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A facility without a broker, whose archive has ten datasets."""
    for name in ("files", "data"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NATS_URL", raising=False)
    monkeypatch.setenv("NX_INSTRUMENT_DATA_PATH", str(tmp_path / "files"))
    monkeypatch.setenv("NX_DATA_PATH", str(tmp_path / "data"))
    database = ArchiveDatabase(f"sqlite:///{tmp_path / 'state' / 'nexuslims.db'}")
    database.prepare()
    with database.writing() as (connection, tables):
        for session in _RECORDS:
            put_session(connection, tables, session, content(session))
    database.close()
    return tmp_path


def test_a_file_has_all_datasets_with_units(facility: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    export_datasets(facility / "out" / "all.parquet")
    table = parquet.read_table(facility / "out" / "all.parquet")
    assert table.num_rows == 10
    assert table.schema.field("acceleration_voltage").metadata[b"unit"] == b"kV"
    rows = {row["name"]: row for row in table.to_pylist()}
    assert (rows["a"]["acceleration_voltage"], rows["a"]["title"]) == (
        300.0,
        "Gold nanoparticles on carbon",
    )
    assert rows["e"]["acceleration_voltage"] is None
    assert [path.name for path in (facility / "out").iterdir()] == ["all.parquet"]


def test_without_pyarrow_the_remedy_is_named(
    facility: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConsoleError, match=r"nexuslims-console\[parquet\]"):
        export_datasets(facility / "all.parquet")
    assert not (facility / "all.parquet").exists()
