"""Ripple files of computers with a decimal comma: the library's reader wants points."""

import io
import re
from pathlib import Path
from typing import Any, Final

from nexuslims_formats.locales.encodings import decode

_COMMA: Final = re.compile(r"(?m)^([\w.-]+\t\s*[-+]?\d*),(\d+(?:[eE][-+]?\d+)?\s*)$")


def read_ripple(path: Path, *, lazy: bool) -> list[dict[str, Any]]:
    """Read a ``.rpl`` and the ``.raw`` beside it.

    Parameters
    ----------
    path
        The ``.rpl``.
    lazy
        Whether the values are left in the file.
    """
    from rsciio.ripple import _api  # noqa: PLC0415 - for files of this kind only

    header = _COMMA.sub(r"\1.\2", decode(path.read_bytes())[0])
    facts = _api.parse_ripple(io.StringIO(header))
    parts: list[dict[str, Any]] = _api.file_reader(str(path), lazy=lazy, rpl_info=facts)
    return parts
