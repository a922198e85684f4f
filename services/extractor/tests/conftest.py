"""Small files for the tests, made here; the real ones are the root conftest's."""

import logging
from collections.abc import Iterator

import pytest

from nexuslims_formats.testing import DmFile, write_fei_tiff


@pytest.fixture(autouse=True)
def _as_quiet_as_before() -> Iterator[None]:
    """Take back what the command line does to logging."""
    ours = [logging.getLogger(name) for name in ("nexuslims_extractor", "nexuslims_formats")]
    levels = [logger.level for logger in ours]
    yield
    for logger, level in zip(ours, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def fei_tiff(tmp_path):
    """Write a TIFF with FEI's section text: ``fei_tiff("name.tif", pixels, text)``."""
    return lambda name, pixels, text: write_fei_tiff(tmp_path / name, pixels, text)


@pytest.fixture(scope="session")
def dm_file():
    """Return the builder of DM files."""
    return DmFile
