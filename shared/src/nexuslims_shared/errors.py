"""Errors of the shared machinery: one small tree."""


class SharedError(Exception):
    """Something the shared machinery could not do."""


class CouldNotLookError(SharedError):
    """A check could not tell whether all is well; the message says what kept it from looking."""


class SettingsError(SharedError):
    """A setting is missing or wrong; the message names it and the remedy."""


class StoreError(SharedError):
    """The event store could not do what was asked."""


class ConflictError(StoreError):
    """Somebody else wrote first: read again, and decide again."""


class IncompleteAnswerError(StoreError):
    """A replica of the broker is behind, or messages were lost with a connection: ask again."""


class BrokerUnavailableError(StoreError):
    """The broker did not answer for longer than we wait."""


class MissingRightError(BrokerUnavailableError):
    """The broker does not let this user do what was asked; others may.

    Parameters
    ----------
    subject
        What the user may not send to.
    """

    def __init__(self, subject: str) -> None:
        super().__init__(
            f"the broker does not let this user send to {subject}: its rights are of another"
            " release, or the key is another user's; write them again with `nexuslims broker init`,"
            " with --periods where NX_PERIODS is set, and reload the broker"
        )


class PeriodAwayError(BrokerUnavailableError):
    """The stream of a session's period was removed after a backup: the session has to wait.

    Parameters
    ----------
    session
        The session.
    period
        Name of its period.
    """

    def __init__(self, session: str, period: str) -> None:
        self.period = period
        self.remedy = (
            f"period {period} was removed from the broker:"
            f" bring it back with `nexuslims periods restore {period} DIR`"
        )
        super().__init__(f"session {session}: its {self.remedy}")


class BackupError(SharedError):
    """A backup cannot be made, is not whole, or must not be restored here."""


class LeaseError(SharedError):
    """The work is, or may be, somebody else's."""


class LeaseHeldError(LeaseError):
    """Somebody else is at work on it."""


class LeaseLostError(LeaseError):
    """Somebody else may be at work on it by now."""


class TopologyError(SharedError):
    """The broker lacks a stream, a consumer or a bucket, or is too old."""


class ForeignLogError(SharedError):
    """The broker's log belongs to another facility."""


class AnotherLogError(SharedError):
    """The broker has another log than before: what is remembered of that one is worth nothing."""


class ArtifactError(SharedError):
    """An artifact is missing, or is not the one the event speaks of."""


class DiskError(ArtifactError):
    """The disk does not take an artifact; that passes, and says nothing about the work."""


class AlreadyRunningError(SharedError):
    """The facility's services run already, in another process."""


class PluginTemplateError(SharedError):
    """No plugin of that kind or name can be written here; the message names what can."""
