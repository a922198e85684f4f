"""What the indexer would find, without stating it."""

from datetime import datetime
from time import time_ns

from nexuslims_contracts.paths import readable
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.model import Tree
from nexuslims_indexer.names import Names
from nexuslims_indexer.place import clock_of
from nexuslims_indexer.walk import look
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.instruments import read_instruments
from nexuslims_shared.settings import Settings


def files(settings: Settings, instrument_pid: str, start: datetime, end: datetime) -> list[str]:
    """Return the paths that a session would have now, below the instrument data path.

    Parameters
    ----------
    settings
        Of the facility.
    instrument_pid
        The instrument's persistent identifier.
    start, end
        The session's time; only files last written in it are returned, whoever else was there.

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
    low, high = clock_of(instrument).span(start, end)
    index = FolderIndex(":memory:", "")
    names = Names(settings.file_strategy, settings.ignore_patterns)
    folder = instrument.filestore_path
    try:
        look(Tree(settings.instrument_data_path, folder, 0), index, names, time_ns())
        return [readable(file.path) for file in sorted(index.files(low, high))]
    finally:
        index.close()
