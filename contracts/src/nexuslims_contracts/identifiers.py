"""Names that are safe in subjects, and ids that the same fact always gets."""

import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Iterable
from typing import Annotated, TypeAlias

from pydantic import Field

from nexuslims_contracts.errors import InvalidTokenError

TOKEN_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
PERSON_PREFIX = "person-"
PERSON_PATTERN = rf"{PERSON_PREFIX}[0-9a-f]{{20}}"
_TOKEN = re.compile(TOKEN_PATTERN)
_EVENT_IDS = uuid.UUID("5f0c9a3e-7c55-5c0e-9d0d-6a2f1f1b8f10")

SessionToken: TypeAlias = Annotated[
    str, Field(pattern=TOKEN_PATTERN, description="Names a session in subjects: nemo-1-usage-5821")
]
FileToken: TypeAlias = Annotated[
    str, Field(pattern=r"^[0-9a-f]{20}$", description="Names one state of one file")
]
PersonId: TypeAlias = Annotated[
    str, Field(pattern=TOKEN_PATTERN, description="Opaque; the person's names are not in the log")
]


def is_token(text: str) -> bool:
    """Tell whether a text can stand between two dots of a subject."""
    return _TOKEN.match(text) is not None


def require_token(text: str) -> str:
    """Return the text if it can stand in a subject.

    Raises
    ------
    InvalidTokenError
        If it holds anything but letters, digits, dashes and underscores.
    """
    if not is_token(text):
        raise InvalidTokenError(
            f"{text!r} cannot name a session: use letters, digits, '-' and '_' (at most 100)"
        )
    return text


def session_token(calendar: str, event_id: str) -> str:
    """Derive the token of a session from its calendar and the calendar's own identifier.

    Readable where the identifier allows it; where characters had to be replaced, a digest of the
    original keeps two sessions apart.

    Parameters
    ----------
    calendar
        Name of the calendar, for example ``nemo-1``.
    event_id
        The calendar's identifier of the session, for example ``usage-5821``.
    """
    original = f"{calendar}-{event_id}"
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", original).strip("-")[:80] or "session"
    return slug if slug == original else f"{slug}-{digest([original])[:8]}"


def file_token(
    path: str, size: int, mtime_ns: int, beside: Iterable[tuple[str, int, int]] = ()
) -> str:
    """Derive the token of a file from its path, size and modification time.

    A rewritten file gets another token: it is a new fact; so does one that is to be read with
    other companions.

    Parameters
    ----------
    path
        Relative to the instrument data folder, with forward slashes.
    size
        Bytes.
    mtime_ns
        Modification time, nanoseconds since the epoch.
    beside
        Name, size and modification time of each of its companions.
    """
    companions = [str(part) for one in beside for part in one]
    return digest([path, str(size), str(mtime_ns), *companions])[:20]


def person_id(key: bytes, *parts: str) -> str:
    """Derive the id of a person: it is the same each time, and tells nothing without the key.

    Parameters
    ----------
    key
        A secret of the facility.
    parts
        What stands for the person, and where.
    """
    message = "\0".join(parts).encode(errors="surrogateescape")
    return PERSON_PREFIX + hmac.digest(key, message, hashlib.sha256).hex()[:20]


def event_id(event_type: str, subject: str, identity: Iterable[str]) -> str:
    """Derive the id of an event: the same fact produced twice has the same id.

    Parameters
    ----------
    event_type
        Name and version of its type.
    subject
        The subject it is stored on.
    identity
        What distinguishes it from other events of its type on the same subject.
    """
    return str(uuid.uuid5(_EVENT_IDS, json.dumps([event_type, subject, *identity])))


def digest(parts: Iterable[str]) -> str:
    """SHA-256, in hexadecimal, of a list of texts; no two lists share an encoding."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()
