"""Logs: one JSON object a line, with the session they are about."""

import json
import logging
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nexuslims_contracts.text import terminal_json
from nexuslims_shared.secrets import hide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SESSION = "em.session.id"

_session: ContextVar[str] = ContextVar("session", default="")


@contextmanager
def about(session: str) -> "Iterator[None]":
    """Mark what is logged inside as being about a session."""
    token = _session.set(session)
    try:
        yield
    finally:
        _session.reset(token)


def current_session() -> str:
    """Return which session is worked on here, empty if none is."""
    return _session.get()


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object, without secrets.

    Parameters
    ----------
    service
        Name of the service, on every line.
    identifiers
        Gives what else is on every line, such as the trace.
    """

    def __init__(
        self, service: str, identifiers: "Callable[[], Mapping[str, str]]" = dict[str, str]
    ) -> None:
        super().__init__()
        self._service = service
        self._identifiers = identifiers

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": hide(record.getMessage()),
        }
        if session := _session.get():
            line[SESSION] = session
        line |= self._identifiers()
        if record.exc_info:
            line["exception"] = hide(self.formatException(record.exc_info))
        return terminal_json(json.dumps(line, ensure_ascii=False, default=str))


def configure(
    service: str,
    level: str = "INFO",
    identifiers: "Callable[[], Mapping[str, str]]" = dict[str, str],
) -> None:
    """Send all logs to standard output as JSON.

    Parameters
    ----------
    service
        Name of the service, on every line.
    level
        Lowest level that is written, by its name.
    identifiers
        Gives what else is on every line, such as the trace.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service, identifiers))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn.access", "uvicorn.error", "asyncio", "PIL", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
