"""The port of a destination: where records go.

A destination is a plugin: an entry point of the group ``nexuslims.destinations`` whose name is the
destination's, and whose object is a factory ``Settings -> Destination``. The behaviour it must show
is in :mod:`nexuslims_uploader.testing`, as tests to inherit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.errors import PluginError
from nexuslims_contracts.events import Instrument
from nexuslims_contracts.plugins import Plugin, installed
from nexuslims_contracts.record.model import Experiment
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.settings import Settings, any_given

DESTINATIONS: Final = "nexuslims.destinations"
"""Entry point group: name of a destination -> its factory, ``Settings -> Destination``."""
_ALWAYS: Final = "archive"
"""The destination that needs no settings."""


Holding: TypeAlias = Literal["current", "missing", "outdated", "changed"]
"""What a destination has of a record: it, nothing (or not all), an earlier one of ours or not as
the settings say now, or something that people made."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture of a dataset, by reference."""

    caption: str
    path: str
    """Below the data path, with forward slashes."""


@dataclass(frozen=True, slots=True)
class RecordToUpload:
    """A record on its way.

    Parameters
    ----------
    session
        Token of the session. It and nothing else says which record this is: a destination holds
        one record of a session.
    xml
        The bytes to store, exactly.
    sha256
        Of the bytes, in hexadecimal.
    artifact
        The file that holds the same bytes.
    experiment
        What the bytes say.
    instrument
        The instrument, as the calendar's last word names it.
    start, end
        Of the session, in the instrument's time zone.
    additions
        What people added to the session's record at destinations, by dataset.
    last_additions
        What of that the record contained that was uploaded here last; None if it is the same.
    former
        What the destination recognised its own changes by at all uploads of the session's records
        to it, oldest first; given only where it took what is there for a person's change: a
        backup may have brought back one of them.
    overwrite
        Whether the operator decided that what people changed at this destination, and what cannot
        be kept beside the record, is to be overwritten.
    """

    session: str
    xml: bytes
    sha256: str
    artifact: Path
    experiment: Experiment
    instrument: Instrument
    start: datetime
    end: datetime
    additions: tuple[CuratedDataset, ...] = ()
    last_additions: tuple[CuratedDataset, ...] | None = None
    former: tuple[str, ...] = ()
    overwrite: bool = False

    @property
    def file_name(self) -> str:
        """Name of the record's file, such as ``2018-11-13_FEI-Titan-TEM_204.xml``."""
        return self.artifact.name

    @property
    def title(self) -> str:
        """What to call the record; never empty."""
        return self.experiment.title or self.artifact.stem

    @property
    def previews(self) -> tuple[Preview, ...]:
        """The first picture of each dataset that has one, in the order of the record."""
        return tuple(
            Preview(dataset.name, dataset.previews[0])
            for dataset in self.experiment.datasets()
            if dataset.previews
        )


@dataclass(frozen=True, slots=True)
class UploadResult:
    """Where a destination keeps a record.

    Parameters
    ----------
    record_id
        The destination's own id of it.
    url
        An address for people.
    written
        What the destination recognises its last own change by: it gets this back at the next
        upload, to tell what people have changed since.
    additions
        All that people have added there, by dataset; None if the destination did not look.
    """

    record_id: str
    url: str = ""
    written: str = field(default="", compare=False)
    additions: tuple[CuratedDataset, ...] | None = field(default=None, compare=False)


class Destination(Protocol):
    """Where records go."""

    @property
    def name(self) -> str:
        """Its name in settings and events; letters, digits, dashes and underscores."""
        ...

    @property
    def priority(self) -> int:
        """Destinations with a higher one come first and can be linked to by the others."""
        ...

    @property
    def one_at_a_time(self) -> bool:
        """Whether only one call at a time may be under way there, of all uploaders together."""
        ...

    async def check(self) -> list[str]:
        """Say what would keep a record from arriving: settings, access, space; [] if nothing."""
        ...

    async def upload(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> UploadResult:
        """Take a record in, so that afterwards there is this one of its session and no other.

        What people have changed there since the last upload is never overwritten: it is kept
        beside the record, or given back as additions, or the record is refused with
        :class:`~nexuslims_uploader.errors.EditedError` until the operator decides.

        May be called again with the same record, also after a crash before the event was
        appended: it then finds its work done. It sets its own time limits.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination: of others, to
            link to; of this one, the record to replace. After a crash the events may not know.

        Raises
        ------
        TransientUploadError
            If the same call may succeed later.
        PermanentUploadError
            If the destination refuses the record, or us.
        """
        ...

    async def inspect(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> Holding:
        """Look whether the destination holds the record; change nothing there.

        Parameters
        ----------
        record
            The session's current record, which was uploaded.
        previous
            As in :meth:`upload`.

        Raises
        ------
        TransientUploadError
            If the same call may succeed later.
        PermanentUploadError
            If the destination refuses to say.
        """
        ...

    async def withdraw(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> tuple[CuratedDataset, ...] | None:
        """Take the session's record out of sight, so that afterwards there is none of it.

        It is found as in :meth:`upload`, whether the events know of it or not. Where none is, all
        is well; may be called again. Delete it where one may, otherwise hide it from readers.

        Returns what people had added there, by dataset, so that it comes back with the record;
        None if the destination did not look.

        Parameters
        ----------
        record
            The session's current record; what is there may be an earlier one. Its XML is empty,
            and its experiment says nothing, if its file cannot be read any more.
        previous
            As in :meth:`upload`.

        Raises
        ------
        TransientUploadError
            If the same call may succeed later.
        PermanentUploadError
            If the destination does not let go of it.
        """
        ...

    async def close(self) -> None:
        """Give back connections; called once, when the service stops."""
        ...


@runtime_checkable
class CuratedDestination(Protocol):
    """A destination that can say what people added to a record, and changes nothing there."""

    async def additions(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> tuple[CuratedDataset, ...] | None:
        """Return all that people have added there, by dataset; None if there is nothing new.

        Parameters
        ----------
        record
            The session's current record, which was uploaded.
        previous
            As in :meth:`Destination.upload`.

        Raises
        ------
        TransientUploadError
            If the same call may succeed later.
        PermanentUploadError
            If the destination refuses to say.
        """
        ...


def load_destinations(settings: Settings) -> tuple[Destination, ...]:
    """Load the destinations that the settings name, in order of priority.

    If they name none: the archive, and each for which a setting ``NX_<NAME>_...`` is given.

    Raises
    ------
    SettingsError
        If one is named twice, or is not installed, or lacks settings of its own.
    PluginError
        If one cannot be imported, or goes by another name than its entry point.
    """
    plugins = installed(DESTINATIONS)
    names = _configured(plugins) if settings.destinations is None else settings.destinations
    setting = f"NX_DESTINATIONS={','.join(names)}"
    if not names:
        raise SettingsError(f"{setting}: name at least one of {', '.join(plugins)}")
    if len(set(names)) < len(names):
        raise SettingsError(f"{setting}: a destination is named twice")
    for name in names:
        if name not in plugins:
            raise SettingsError(
                f"{setting}: no destination {name!r} is installed, but {', '.join(plugins)};"
                " correct the name, or install its plugin"
            )
    loaded = [_load(plugins[name], settings) for name in names]
    return tuple(sorted(loaded, key=lambda destination: -destination.priority))


def _configured(plugins: Iterable[str]) -> tuple[str, ...]:
    prefixes = {name: f"NX_{name.upper().replace('-', '_')}_" for name in plugins}
    return tuple(n for n, prefix in prefixes.items() if n == _ALWAYS or any_given(prefix))


def _load(plugin: Plugin, settings: Settings) -> Destination:
    destination: Destination = plugin.load()(settings)
    if destination.name != plugin.name:
        raise PluginError(
            f"plugin {plugin.name!r} makes a destination that calls itself {destination.name!r}:"
            " both names must be the same"
        )
    return destination
