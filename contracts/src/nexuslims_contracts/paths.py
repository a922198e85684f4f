"""Paths whose bytes may be no UTF-8: carried losslessly, shown readably."""

import base64


def readable(path: str) -> str:
    r"""Return a path that can be shown and sent: bytes that are no UTF-8 are written as ``\xNN``.

    Parameters
    ----------
    path
        As Python has it from the file system, such bytes as surrogates (``os.fsdecode``).
    """
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def bytes_of(path: str) -> str:
    """Return the bytes of a path in base64 where they are no UTF-8, else an empty text."""
    if readable(path) == path:
        return ""
    return base64.b64encode(path.encode("utf-8", "surrogateescape")).decode()


def path_from(path: str, path_bytes: str) -> str:
    """Return a path as Python has it from the file system.

    Parameters
    ----------
    path
        As :func:`readable` gave it.
    path_bytes
        As :func:`bytes_of` gave them.
    """
    if not path_bytes:
        return path
    return base64.b64decode(path_bytes).decode("utf-8", "surrogateescape")
