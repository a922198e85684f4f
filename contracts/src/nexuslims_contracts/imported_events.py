"""What an earlier system made of a session: stated by the operator who moves over from it."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, Field

from nexuslims_contracts.calendars import Instrument, Project, Sample
from nexuslims_contracts.datasets import ArtifactRef
from nexuslims_contracts.event import Event
from nexuslims_contracts.identifiers import PersonId

ImportedStatus: TypeAlias = Literal[
    "COMPLETED", "BUILT_NOT_EXPORTED", "ERROR", "NO_FILES_FOUND", "NO_CONSENT", "NO_RESERVATION"
]


class SessionImported(Event, name="session.imported"):
    """An earlier system dealt with a session: its outcome stands until the session is reopened.

    What the session was for is taken from the earlier system's record, where that was found.
    """

    calendar: Annotated[str, Field(description="Name of the calendar, for example nemo-1")]
    calendar_event: Annotated[str, Field(description="The calendar's identifier of the session")]
    instrument: Instrument
    user: PersonId | None = None
    start: AwareDatetime
    end: AwareDatetime
    url: str = ""
    system: Annotated[str, Field(description="Which one, for people")]
    status: Annotated[ImportedStatus, Field(description="As that system left it")]
    record: Annotated[
        ArtifactRef | None, Field(description="Its record, below NX_RECORDS_PATH")
    ] = None
    title: str = ""
    purpose: str = ""
    samples: tuple[Sample, ...] = ()
    projects: tuple[Project, ...] = ()

    def people(self) -> tuple[PersonId, ...]:
        """Return the user."""
        return (self.user,) if self.user else ()
