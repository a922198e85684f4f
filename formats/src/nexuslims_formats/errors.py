"""Errors of reading files: one small tree."""


class ExtractorError(Exception):
    """Extraction of a file cannot go on; the message says what is wrong with the file."""


class UnreadableFileError(ExtractorError):
    """The file is empty, truncated, or not what its name or header claims."""


class UnsupportedFileError(ExtractorError):
    """The file is whole, but no extractor understands this variant of its format."""


class LimitExceededError(ExtractorError):
    """The file claims more than any real file holds: an attack, or damage."""


class UnsafeFileError(ExtractorError):
    """The file has a link that leads out of its folder; reading it would read another file."""


class MissingLibraryError(ExtractorError):
    """Something optional was asked for, and the library that does it is not installed."""
