"""What events keep of how a calendar told what a session was for."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from nexuslims_contracts.model import ContractModel

BookingTier: TypeAlias = Literal["post-run", "pre-run", "reservation", "calendar"]


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
