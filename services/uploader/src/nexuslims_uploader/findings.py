"""What a look at destinations and disks comes to."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Problem: TypeAlias = Literal["missing", "outdated", "changed", "moved", "unknown"]

ARTIFACTS: Final = "artifacts"
"""Where a finding is about a record's file, a metadata document or a preview."""
FILES: Final = "files"
"""Where a finding is about an instrument's file."""
LINKS: Final = "links"
"""Where a finding is about a link of a record."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as the events say.

    Parameters
    ----------
    session, destination
        Whose, and where: a destination, :data:`ARTIFACTS`, :data:`FILES` or :data:`LINKS`.
    problem
        ``missing``; ``outdated``, of a record that is not as the settings say now, or an earlier
        one; ``changed`` by somebody else; ``moved``, of an instrument's file; ``unknown``
        where nobody could say.
    detail
        For people.
    sent_again
        Whether it was requested that it is uploaded or made again.
    path
        Of the file, or address of the link; empty for a record at a destination.
    """

    session: str
    destination: str
    problem: Problem
    detail: str
    sent_again: bool = False
    path: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, and what is not as it should be.

    Parameters
    ----------
    records
        How many records at destinations.
    findings
        What is not well.
    files
        How many artifacts and instruments' files.
    """

    records: int
    findings: tuple[Finding, ...]
    files: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything is there, or on its way again."""
        return all(one.sent_again for one in self.findings)
