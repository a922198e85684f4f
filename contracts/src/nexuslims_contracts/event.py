"""What all events have in common: a session, a stable type name, a subject, an identity."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from nexuslims_contracts import subjects
from nexuslims_contracts.identifiers import FileToken, PersonId, SessionToken, digest, event_id
from nexuslims_contracts.model import ContractModel

EVENT_TYPES: dict[str, type["Event"]] = {}
"""Every current event model by its type name."""

Replaces: TypeAlias = Annotated[
    int, Field(ge=0, description="Stream sequence of the statement this one replaces, 0 for none")
]


class Event(ContractModel):
    """What all events have: the session they are about, a stable type name, a subject.

    A later statement on the same subject takes the place of an earlier one, so that the last event
    of each subject is enough to know a session; unless the event is ``cumulative``: then all that
    were ever stated on its subject count.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    cumulative: ClassVar[bool] = False

    session: SessionToken

    def __init_subclass__(cls, *, name: str = "", version: int = 1, **kwargs: Any) -> None:
        """Give the model its name; pydantic takes the rest."""
        super().__init_subclass__(**kwargs)
        if name:
            cls.name, cls.version = name, version
            EVENT_TYPES[cls.type_name()] = cls

    @classmethod
    def type_name(cls) -> str:
        """Stable, versioned name, for example ``nexuslims.session.ended.v1``."""
        return f"nexuslims.{cls.name}.v{cls.version}"

    @classmethod
    def fact_name(cls) -> str:
        """Name of the fact in ids: that of the first version, whichever release states it."""
        return f"nexuslims.{cls.name}.v1"

    @classmethod
    def kind(cls) -> str:
        """Last token of the subject, for example ``session-ended``."""
        return cls.name.replace(".", "-")

    @classmethod
    def filter(cls) -> str:
        """Subject filter for this event of any session."""
        return subjects.session_subject("*", cls.kind())

    @property
    def subject(self) -> str:
        """The subject this event is stored on."""
        return subjects.session_subject(self.session, self.kind())

    def identity(self) -> tuple[str, ...]:
        """What, beside type and subject, makes this the same fact. Default: nothing more."""
        return ()

    def people(self) -> tuple[PersonId, ...]:
        """Everybody the event names; who forgets a person goes by this. Default: nobody."""
        return ()

    def content_digest(self) -> str:
        """SHA-256 of the content, for events that may be stated again."""
        return digest([self.model_dump_json()])

    @property
    def id(self) -> str:
        """Deterministic id."""
        return event_id(self.fact_name(), self.subject, self.identity())


class FileEvent(Event):
    """An event about one file of a session."""

    file: FileToken

    @classmethod
    def filter(cls) -> str:
        """Subject filter for this event of any file of any session."""
        return subjects.file_subject("*", "*", cls.kind())

    @property
    def subject(self) -> str:
        """The file has a subject of its own, so "only once" is a matter of one subject."""
        return subjects.file_subject(self.session, self.file, self.kind())


class UploadPlan(ContractModel):
    """Where a record is to go, and what counts as done."""

    strategy: Literal["all", "first_success", "best_effort"]
    destinations: Annotated[tuple[str, ...], Field(description="In order of priority")]


class DestinationEvent(Event):
    """An event about a session's record at one destination."""

    destination: SessionToken
    record_sha256: str
    plan: UploadPlan

    @classmethod
    def filter(cls) -> str:
        """Subject filter for this event at any destination, of any session."""
        return subjects.destination_subject("*", "*", cls.kind())

    @property
    def subject(self) -> str:
        """Each destination has a subject of its own."""
        return subjects.destination_subject(self.session, self.destination, self.kind())
