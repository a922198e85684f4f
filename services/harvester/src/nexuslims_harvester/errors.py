"""Errors of the harvester: one small tree."""


class HarvesterError(Exception):
    """Sessions cannot be harvested."""


class CalendarUnavailableError(HarvesterError):
    """A calendar cannot be read now; the others go on, and it is asked again."""


class RequestRefusedError(CalendarUnavailableError):
    """A calendar refuses a request as wrong, for example because a tool in it does not exist."""


class UnusableEntryError(HarvesterError):
    """An entry of a calendar cannot become a session: why, and the remedy."""
