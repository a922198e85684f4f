"""An archive for each test."""

from pathlib import Path

import pytest

from nexuslims_uploader.archive import ArchiveDestination


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def records(data: Path) -> Path:
    return data / "records"


@pytest.fixture
def destination(records: Path, data: Path) -> ArchiveDestination:
    return ArchiveDestination(records, data)
