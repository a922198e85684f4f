"""Events about which files are whose: stated by the indexer."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, Field

from nexuslims_contracts.calendars import Instrument
from nexuslims_contracts.event import Event, FileEvent, Replaces
from nexuslims_contracts.identifiers import FileToken
from nexuslims_contracts.model import ContractModel
from nexuslims_contracts.paths import path_from

FileBasis: TypeAlias = Literal["time", "began", "grace", "folder", "narrower", "content"]
"""Why a file is a session's: it was last written in its time; it was begun in it; it was closed
shortly after it; it lies in the folder of its user, or of the session; the session is the shortest
of several; the time inside the file says so."""

FileDeparture: TypeAlias = Literal["rewritten", "moved", "elsewhere"]
"""Why a file is a session's no more: another state of it is; it is found at another place; it is
another session's, or nobody's."""


class CompanionFile(ContractModel):
    """A file that is read with another one of its folder, as it was found."""

    name: str
    size: Annotated[int, Field(ge=0, description="Bytes")]
    mtime_ns: Annotated[int, Field(description="Nanoseconds since the epoch")]


class FileIndexed(FileEvent, name="file.indexed"):
    """A file belongs to the session."""

    path: Annotated[str, Field(description="Relative to the instrument data path")]
    size: Annotated[int, Field(ge=0, description="Bytes")]
    mtime_ns: Annotated[int, Field(description="Nanoseconds since the epoch")]
    instrument: Instrument
    path_bytes: Annotated[
        str,
        Field(description="The path in base64, where its bytes are no UTF-8 and `path` escapes"),
    ] = ""
    basis: Annotated[FileBasis, Field(description="Why it is this session's")] = "time"
    after: Annotated[
        int, Field(ge=0, description="Sequence of the event that took it away or missed it, or 0")
    ] = 0
    companions: Annotated[
        tuple[CompanionFile, ...] | None,
        Field(description="What lay beside it to be read with it; null by releases before 0.4"),
    ] = None

    @property
    def disk_path(self) -> str:
        """The path as the file system has it; bytes that are no UTF-8 are surrogates."""
        return path_from(self.path, self.path_bytes)

    def identity(self) -> tuple[str, ...]:
        """Once, and once more each time that it comes back."""
        return (str(self.after),) if self.after else ()


class FileSuperseded(FileEvent, name="file.superseded"):
    """A file that was indexed is the session's no more."""

    reason: FileDeparture
    by: Annotated[str, Field(description="Token of the file that took its place, if any")] = ""
    after: Annotated[int, Field(ge=1, description="Sequence of the event that indexed it")]

    def identity(self) -> tuple[str, ...]:
        """Once for each time that it was indexed."""
        return (str(self.after),)


class FileMissing(FileEvent, name="file.missing"):
    """A file of the session was not where it was: it stays in the record and is looked for."""

    after: Annotated[int, Field(ge=1, description="Sequence of the event that indexed it")]

    def identity(self) -> tuple[str, ...]:
        """Once for each time that it was indexed."""
        return (str(self.after),)


class SessionIndexed(Event, name="session.indexed"):
    """The manifest of a scan: with it, one knows when all files are there."""

    start: AwareDatetime
    end: AwareDatetime
    strategy: Literal["exclusive", "inclusive"]
    count: Annotated[int, Field(ge=1, description="Files the session now has, missing ones too")]
    files_digest: Annotated[str, Field(description="SHA-256 of the sorted file tokens")]
    superseded: Annotated[
        tuple[FileToken, ...],
        Field(description="Files of earlier scans, no longer found; now each has an event"),
    ] = ()
    missing: Annotated[int, Field(ge=0, description="Of these files, how many are away")] = 0
    look_until: Annotated[
        AwareDatetime | None, Field(description="Until when late files are looked for often")
    ] = None
    notes: Annotated[
        tuple[str, ...], Field(description="What an operator should know of these files")
    ] = ()
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One result after one earlier scan."""
        return (self.content_digest(),)


class FilesAwaited(Event, name="files.awaited"):
    """Nothing was found yet: files are looked for, at growing intervals, until a time."""

    until: AwareDatetime
    notes: Annotated[
        tuple[str, ...], Field(description="What an operator should know: why none may be found")
    ] = ()
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One finding after one earlier scan."""
        return (self.content_digest(),)


class FilesNotFound(Event, name="files.not-found"):
    """The time to wait for files is over, and there are none."""

    start: AwareDatetime
    end: AwareDatetime
    searched: str
    waited_until: AwareDatetime
    notes: Annotated[
        tuple[str, ...], Field(description="What an operator should know: why none may be found")
    ] = ()
    after: Replaces

    def identity(self) -> tuple[str, ...]:
        """One result after one earlier scan."""
        return (self.content_digest(),)
