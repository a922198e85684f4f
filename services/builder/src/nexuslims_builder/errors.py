"""Errors of the builder: one small tree."""


class BuilderError(Exception):
    """A record cannot be built."""


class ClusteringError(BuilderError, ValueError):
    """The files cannot be clustered as asked."""


class CorrectionError(BuilderError):
    """The activities of a session cannot be corrected as asked."""
