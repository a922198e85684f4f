"""Errors of the console: one small tree."""


class ConsoleError(Exception):
    """A command could not do what was asked; the message says why, and the remedy."""


class NotRunningError(ConsoleError):
    """A command needs something that is neither running nor installed."""


class ReadModelError(ConsoleError):
    """The read model cannot be read or written, or belongs to another stream."""


class UnknownSessionError(ConsoleError):
    """There is no such session."""


class ExportError(ConsoleError):
    """A session cannot be taken home: it has no record, or a file cannot be read or written."""
