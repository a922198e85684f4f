"""Errors of the harvester: one small tree."""


class HarvesterError(Exception):
    """Sessions cannot be harvested."""


class CalendarUnavailableError(HarvesterError):
    """A calendar cannot be read now; the others go on, and it is asked again."""
