"""Small files for the tests, made here; the real ones are the root conftest's."""

import pytest

from nexuslims_formats.testing import DmFile, write_fei_tiff


@pytest.fixture
def fei_tiff(tmp_path):
    """Write a TIFF with FEI's section text: ``fei_tiff("name.tif", pixels, text)``."""
    return lambda name, pixels, text: write_fei_tiff(tmp_path / name, pixels, text)


@pytest.fixture(scope="session")
def dm_file():
    """Return the builder of DM files."""
    return DmFile
