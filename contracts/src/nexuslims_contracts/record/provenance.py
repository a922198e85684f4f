"""What a record says about the system that made it, and by that of which session it is."""

import re
from typing import Final

from nexuslims_contracts.record.model import Experiment

SOURCE: Final = "NexusLIMS"
"""Source of the notes that we write into a record."""

_MADE_OF: Final = re.compile(r"Made by NexusLIMS of the events of (\S+) up to \d+")


def made_of(session: str, through: int, digest: str) -> str:
    """Say what a record was made of; it stands in the record's notes.

    Parameters
    ----------
    session
        Token of the session.
    through
        Sequence of the last event that the record takes account of.
    digest
        Of what it was made of.
    """
    return f"Made by NexusLIMS of the events of {session} up to {through}, SHA-256 {digest}"


def session_of(experiment: Experiment) -> str:
    """Return the token of the session that a record of ours was made of; empty for another's."""
    for notes in experiment.notes:
        for paragraph in notes.paragraphs:
            if notes.source == SOURCE and (found := _MADE_OF.match(paragraph)):
                return found[1]
    return ""
