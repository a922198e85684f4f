"""Errors of the builder: one small tree."""


class BuilderError(Exception):
    """A record cannot be built."""


class ClusteringError(BuilderError, ValueError):
    """The files cannot be clustered as asked."""


class CorrectionError(BuilderError):
    """The activities of a session cannot be corrected as asked."""


class NoRecordError(BuilderError):
    """A session has no record that can be built again.

    Parameters
    ----------
    session
        The session.
    reason
        Why not.
    """

    def __init__(self, session: str, reason: str) -> None:
        super().__init__(
            f"{session} has no record to rebuild: {reason}; see `nexuslims sessions`, and"
            f" `nexuslims session {session}` for what it waits for"
        )
