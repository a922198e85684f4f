"""Requests that a command makes in an operator's place, to have made again what was lost."""

from nexuslims_contracts.events import RebuildRequested, RetryRequested


def read_again(session: str, extractor: str, *, since: int) -> RebuildRequested:
    """Return the request to read the files of a session again; once for one loss.

    Parameters
    ----------
    session
        Its token.
    extractor
        Only the files that this one read last.
    since
        Sequence of the reading whose artifact is lost: another loss after another reading is
        another request.
    """
    return RebuildRequested(
        session=session, request=f"lost-{since}-{extractor}", re_extract=True, extractor=extractor
    )


def made_again(session: str, *, since: int) -> RetryRequested:
    """Return the request to make the record of a session again; once for one loss.

    Parameters
    ----------
    session
        Its token.
    since
        Sequence of the event of the record that is lost.
    """
    return RetryRequested(session=session, request=f"lost-{since}")
