"""Dates as the command line takes them."""

from datetime import date, datetime, timedelta
from typing import Final

import typer

from nexuslims_shared.session.window import Window

_OPEN: Final = ("none", "all")
_DATE_LENGTH: Final = len("2026-03-02")


def read_window(since: str, until: str) -> Window:
    """Read ``--from`` and ``--to``; empty ones leave the window open.

    Parameters
    ----------
    since, until
        As the user wrote them; ``none`` and ``all`` leave it open too, as the incumbent has it.

    Raises
    ------
    typer.BadParameter
        If one is no date, or they leave no time between them.
    """
    since, until = ("" if one.lower() in _OPEN else one for one in (since, until))
    window = Window(
        read_date(since, option="--from") if since else None,
        read_date(until, option="--to", end_of_day=True) if until else None,
    )
    if window.start and window.end and window.start >= window.end:
        raise typer.BadParameter(f"{since} is not before {until}", param_hint="--from")
    return window


def read_date(text: str, *, option: str, end_of_day: bool = False) -> datetime:
    """Read an ISO date or time; without a zone it is local.

    Parameters
    ----------
    text
        As the user wrote it.
    option
        Which option, for the message.
    end_of_day
        A date alone means the end of that day, not its beginning.

    Raises
    ------
    typer.BadParameter
        If it is neither.
    """
    try:
        if len(text) == _DATE_LENGTH:
            day = date.fromisoformat(text) + timedelta(days=1 if end_of_day else 0)
            return datetime(day.year, day.month, day.day).astimezone()
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text!r} is neither a date (2026-03-02) nor a time (2026-03-02T09:00)",
            param_hint=option,
        ) from error
