"""Errors of the uploader and of its destinations: one small tree."""

from datetime import timedelta


class UploaderError(Exception):
    """Something the uploader could not do."""


class CurationError(UploaderError):
    """What an operator wants to add to a record cannot be added."""


class UploadError(UploaderError):
    """A destination did not take a record.

    Parameters
    ----------
    reason
        What went wrong, without secrets: it goes into the log of events.
    destination, session
        Where, and whose record.
    remedy
        What somebody can do about it.
    """

    def __init__(self, reason: str, *, destination: str, session: str, remedy: str) -> None:
        super().__init__(
            f"{destination} did not take the record of session {session}: {reason}; {remedy}"
        )
        self.destination = destination
        self.session = session
        self.explanation = f"{reason}; {remedy}"


class PermanentUploadError(UploadError):
    """The destination refuses: it would refuse again until somebody changes something."""


class MisconfiguredError(PermanentUploadError):
    """The destination cannot work as it is set up: its token, its address, what it is to use."""


class RefusedError(PermanentUploadError):
    """The destination does not accept this record."""


class EditedError(PermanentUploadError):
    """People changed the record there in a way that cannot be kept beside a new one.

    Parameters
    ----------
    what
        What they changed.
    destination, session
        Where, and whose record.
    """

    def __init__(self, what: str, *, destination: str, session: str) -> None:
        super().__init__(
            f"a person changed the record: {what}",
            destination=destination,
            session=session,
            remedy="to keep that, do nothing; to replace it by ours:"
            f" nexuslims retry {session} --overwrite",
        )


class TransientUploadError(UploadError):
    """The destination is away, or out of order: it may take the same record later.

    Parameters
    ----------
    retry_after
        When the destination asks to be tried again, if it says so.
    """

    def __init__(
        self,
        reason: str,
        *,
        destination: str,
        session: str,
        remedy: str,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(reason, destination=destination, session=session, remedy=remedy)
        self.retry_after = retry_after
