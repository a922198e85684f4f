"""Folders that are one dataset: zarr stores, which hold a file for each chunk of their array.

The file with the attributes of the whole stands for the store: its path may be given instead.
"""

from pathlib import Path

from nexuslims_contracts.file_kinds import STORE_ENDINGS, STORE_HEAD


def is_store(path: Path) -> bool:
    """Tell whether a path is a folder that is read as one dataset."""
    return path.suffix.lower() in STORE_ENDINGS and path.is_dir()


def head_of(path: Path) -> Path:
    """Return the file that stands for a store; of anything else the path itself."""
    return path / STORE_HEAD if is_store(path) else path


def store_of(path: Path) -> Path:
    """Return the store that a file stands for; of anything else the path itself."""
    return path.parent if path.name == STORE_HEAD and is_store(path.parent) else path
