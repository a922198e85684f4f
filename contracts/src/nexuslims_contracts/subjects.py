"""Subjects of the event stream, and how to address what is on them.

``nexus.events.<session>.<event>``,
``nexus.events.<session>.file.<file>.<event>`` and
``nexus.events.<session>.destination.<destination>.<event>``.
"""

from collections.abc import Sequence
from itertools import zip_longest

PREFIX = "nexus.events"
ALL = f"{PREFIX}.>"
FILE = "file"
DESTINATION = "destination"


def session_subject(session: str, event: str) -> str:
    """Subject of an event that concerns the whole session.

    Parameters
    ----------
    session
        Token of the session.
    event
        Kind of the event, for example ``ended``; ``*`` in a filter.
    """
    return f"{PREFIX}.{session}.{event}"


def file_subject(session: str, file: str, event: str) -> str:
    """Subject of an event that concerns one file of the session.

    Parameters
    ----------
    session
        Token of the session.
    file
        Token of the file.
    event
        Kind of the event, for example ``indexed``.
    """
    return f"{PREFIX}.{session}.{FILE}.{file}.{event}"


def destination_subject(session: str, destination: str, event: str) -> str:
    """Subject of an event that concerns the session's record at one destination.

    Parameters
    ----------
    session
        Token of the session.
    destination
        Name of the destination, for example ``cdcs``.
    event
        Kind of the event, for example ``uploaded``.
    """
    return f"{PREFIX}.{session}.{DESTINATION}.{destination}.{event}"


def template(pattern: str) -> str:
    """Return a filter with names for its wildcards: ``nexus.events.{session}.file.{file}.indexed``.

    Few exist, so traces and metrics are named by them, never by a subject.
    """
    tokens: list[str] = []
    for token in pattern.split("."):
        known = "{session}" in tokens
        tokens.append(f"{{{tokens[-1] if known else 'session'}}}" if token == "*" else token)
    return ".".join(tokens)


def session_of(subject: str) -> str:
    """Session that a subject of the stream is about."""
    return subject.removeprefix(f"{PREFIX}.").partition(".")[0]


def of_session(session: str) -> str:
    """Filter for everything about one session."""
    return f"{PREFIX}.{session}.>"


def beside_files(session: str) -> tuple[str, ...]:
    """Filters for everything about one session but its files."""
    return (session_subject(session, "*"), destination_subject(session, "*", "*"))


def common_filter(patterns: Sequence[str]) -> str:
    """Return the narrowest single filter for everything that any of the filters matches.

    Parameters
    ----------
    patterns
        Filters, with wildcards; at least one.
    """
    common: list[str] = []
    for tokens in zip_longest(*(pattern.split(".") for pattern in patterns)):
        if None in tokens:
            return ".".join([*common[:-1], ">"])
        if ">" in tokens:
            return ".".join([*common, ">"])
        common.append(tokens[0] if len(set(tokens)) == 1 else "*")
    return ".".join(common)


def matches(pattern: str, subject: str) -> bool:
    """Tell whether a subject matches a filter, with NATS' rules for ``*`` and ``>``.

    Parameters
    ----------
    pattern
        The filter.
    subject
        A subject without wildcards.
    """
    wanted, given = pattern.split("."), subject.split(".")
    for position, token in enumerate(wanted):
        if token == ">":
            return len(given) > position
        if position >= len(given) or token not in ("*", given[position]):
            return False
    return len(wanted) == len(given)
