"""What the indexer would find, without stating it."""

from datetime import datetime

from nexuslims_indexer.finder import Search, find_files
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.instruments import read_instruments
from nexuslims_shared.settings import Settings


def files(settings: Settings, instrument_pid: str, start: datetime, end: datetime) -> list[str]:
    """Return the paths that a session would have now, below the instrument data path.

    Raises
    ------
    ShareUnavailableError
        If the instrument's folder is not there or cannot be read.
    SettingsError
        If the instrument is not known.
    """
    instrument = read_instruments(settings.instruments_file).get(instrument_pid)
    if instrument is None:
        raise SettingsError(
            f"{settings.instruments_file}: instrument {instrument_pid!r} is not there: add it"
        )
    found = find_files(
        Search(
            root=settings.instrument_data_path,
            folder=instrument.filestore_path,
            start=start,
            end=end,
            strategy=settings.file_strategy,
            ignore=settings.ignore_patterns,
        )
    )
    return [file.path for file in found.files]
