"""Errors of the extractor service, beside those of the formats."""

from nexuslims_formats.errors import ExtractorError


class ProfileError(ExtractorError):
    """A facility's profile cannot be used; the message names its file and the remedy."""


class WorkerError(ExtractorError):
    """A reader's process failed in a way that says nothing about the file."""


class NoWorkerError(WorkerError):
    """No worker could be started; that passes, and the file was not even looked at."""
