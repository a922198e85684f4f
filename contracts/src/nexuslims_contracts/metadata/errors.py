"""What can be wrong with metadata."""

from collections.abc import Sequence
from dataclasses import dataclass

from nexuslims_contracts.errors import ContractError

_LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the field, what it holds, and what was expected."""

    field: str
    value: object
    expectation: str

    def __str__(self) -> str:
        """Say it in one clause."""
        if self.value is None:
            return f"{self.field} {self.expectation}"
        value = repr(self.value)
        value = value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}..."
        return f"{self.field} {self.expectation}, not {value}"


class MetadataError(ContractError):
    """Metadata of a dataset that do not keep the schema: every problem in one message.

    Parameters
    ----------
    problems
        At least one.
    dataset_type
        Whose schema they break.
    file
        Which file they were read from, if known.
    """

    def __init__(self, problems: Sequence[Problem], *, dataset_type: str, file: str = "") -> None:
        self.problems = tuple(problems)
        self.dataset_type = dataset_type
        self.file = file
        where = f"{file}: " if file else ""
        what = "; ".join(str(problem) for problem in self.problems)
        super().__init__(f"{where}metadata break the {dataset_type} schema: {what}")
