"""What a service could not use, where it is, and why."""

from typing import Annotated

from pydantic import Field

from nexuslims_contracts.model import ContractModel


class DeadLetter(ContractModel):
    """One dead letter; the event itself stays in the log."""

    number: Annotated[int, Field(description="Sequence of the letter; not in the message")] = 0
    consumer: Annotated[str, Field(description="Who cannot use it")]
    sequence: Annotated[
        int, Field(description="Of the event in the log; 0 for something that never became one")
    ]
    subject: Annotated[str, Field(description="Of the event, or the name of the calendar's entry")]
    reason: Annotated[str, Field(description="What is wrong, and the remedy")]
