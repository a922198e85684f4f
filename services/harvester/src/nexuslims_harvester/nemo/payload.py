"""NEMO's answers at the boundary: only the fields that are used, each checked.

Facts measured against NEMO 8.1.5, the one that the tests start.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from nexuslims_harvester.text import readable


def _text(value: Any) -> Any:
    return readable("" if value is None else value)


Text = Annotated[str, BeforeValidator(_text)]
"""A text that people wrote; null is none."""


class Payload(BaseModel):
    """What every object has: an id."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    id: int


class UsageEvent(Payload):
    """Somebody used a tool; ``end`` is None while it lasts."""

    start: str
    end: str | None = None
    user: int
    operator: int | None = None
    project: int | None = None
    tool: int
    pre_run_data: Any = None
    run_data: Any = None


class Reservation(Payload):
    """Somebody booked a tool. What replaced a moved or shortened one is its ``descendant``."""

    start: str
    end: str
    user: int
    tool: int | None = None
    title: Text = ""
    cancelled: bool = False
    missed: bool = False
    descendant: int | None = None
    question_data: Any = None


class User(Payload):
    """A person."""

    username: Text
    first_name: Text = ""
    last_name: Text = ""
    email: Text = ""


class Project(Payload):
    """What usage is charged to."""

    name: Text = ""
    application_identifier: Text = ""


class Tool(Payload):
    """An instrument, or anything else that can be booked."""

    name: Text
    location: Annotated[Text, Field(alias="_location")] = ""
    serial: Annotated[Text, Field(alias="_serial")] = ""
