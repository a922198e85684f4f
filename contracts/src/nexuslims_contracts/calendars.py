"""What events keep of the calendar's answers: what a session was for, and whether to consent."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, JsonValue

from nexuslims_contracts.model import ContractModel

BookingTier: TypeAlias = Literal["post-run", "pre-run", "reservation", "calendar"]

LONGEST_ANSWER: Final = 200
"""Characters that an event keeps of an answer that is no consent."""


class CalendarPayload(ContractModel):
    """What a calendar gave, as far as it was used, so that it can be understood better later.

    People are in it by no name and no address: the event that holds it has their ids. Of who did
    not consent it holds the answer to that question, and nothing else.
    """

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="Of the fields")]
    fields: Annotated[dict[str, JsonValue], Field(description="By the calendar's own names")]


Payload: TypeAlias = Annotated[
    CalendarPayload | None, Field(description="What the calendar gave, if it is kept")
]


class Instrument(ContractModel):
    """An instrument as it was called when the session took place."""

    pid: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    timezone: Annotated[str, Field(description="IANA name")] = "UTC"
    filestore: Annotated[str, Field(description="Folder below the instrument data path")]


class Sample(ContractModel):
    """A sample: by name, or by the reference of a persistent identifier."""

    id: str
    name: str = ""
    ref: str = ""
    description: str = ""
    elements: tuple[str, ...] = ()


class Project(ContractModel):
    """A project a session was done for."""

    project_id: str = ""
    name: str = ""
    division: str = ""
    group: str = ""
    ref: str = ""


class BookingTexts(ContractModel):
    """What a session was for, in full: the content of an artifact where an event is too short."""

    title: str = ""
    purpose: str = ""
    samples: tuple[Sample, ...] = ()
    projects: tuple[Project, ...] = ()
    payload: dict[str, JsonValue] | None = None
