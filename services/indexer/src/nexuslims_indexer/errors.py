"""Errors of the indexer: one small tree."""


class IndexerError(Exception):
    """Files cannot be looked for."""


class ShareUnavailableError(IndexerError, OSError):
    """An instrument's folder is away or unreadable: that says nothing about what is in it."""


class IndexInUseError(IndexerError):
    """Another indexer uses the index of an instrument's folders."""
