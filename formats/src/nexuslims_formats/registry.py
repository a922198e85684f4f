"""The port that extractors plug into, and the choice among those installed.

A plugin is a class registered by entry point in the group ``nexuslims.extractors``; our own are
registered the same way. The one with the highest priority whose ``supports`` says yes reads the
file, and the fallback always says yes.
"""

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from nexuslims_contracts import plugins
from nexuslims_contracts.errors import PluginError
from nexuslims_contracts.file_kinds import Companion, FileKinds
from nexuslims_formats.errors import ExtractorError
from nexuslims_formats.model import ParsedFile

GROUP: Final = "nexuslims.extractors"
HEAD_BYTES: Final = 4096

log = logging.getLogger(__name__)


@runtime_checkable
class Extractor(Protocol):
    """What a plugin offers.

    ``extensions`` are lower-case suffixes without the dot, compared without regard to case. Those
    that name a file's extension are asked first, then the others (a file may be misnamed: the
    content decides), and last those with an empty tuple, which take any file.

    Two attributes may be left out. ``endings`` are the extensions of files that are looked for in
    an instrument's folders where only data is wanted, if these are not all ``extensions``: any
    software writes texts and pictures. ``companions`` are files
    (:class:`~nexuslims_contracts.file_kinds.Companion`) that are read beside another one, and are
    no datasets of their own.
    """

    name: str
    version: str
    priority: int
    extensions: tuple[str, ...]

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell whether this extractor reads a file.

        Parameters
        ----------
        path
            The file; it may be opened, but is better left alone.
        head
            Its first :data:`HEAD_BYTES` bytes.
        """
        ...

    def open(self, path: Path) -> ParsedFile:
        """Read the headers once: metadata now, pixels lazily.

        Raises
        ------
        ExtractorError
            With a reason that a person understands; any other exception counts as a failure too.
        """
        ...


@cache
def installed() -> tuple[Extractor, ...]:
    """Return every installed extractor, the highest priority first.

    A plugin that cannot be imported is reported and left out: it must not take the others down.
    """
    found: list[Extractor] = []
    for name, plugin in plugins.installed(GROUP).items():
        try:
            extractor = plugin.load()()
        except PluginError:
            log.exception("an extractor is left out")
        except Exception:
            log.exception("extractor %s cannot be made", name)
        else:
            if isinstance(extractor, Extractor):
                found.append(extractor)
            else:
                log.error("extractor %s lacks parts of the port", name)
    return tuple(sorted(found, key=lambda extractor: (-extractor.priority, extractor.name)))


def file_kinds() -> FileKinds:
    """Return what the installed extractors read of instruments' data, and beside it."""
    endings: set[str] = set()
    companions: set[Companion] = set()
    for extractor in installed():
        endings.update(getattr(extractor, "endings", extractor.extensions))
        companions.update(getattr(extractor, "companions", ()))
    return FileKinds(
        endings=tuple(sorted(endings)),
        companions=tuple(sorted(companions, key=lambda one: (one.ending, one.of))),
    )


def choose(path: Path, head: bytes, extractors: Sequence[Extractor] | None = None) -> Extractor:
    """Return the extractor for a file; the debug log tells why each was or was not taken.

    Parameters
    ----------
    path
        The file.
    head
        Its first :data:`HEAD_BYTES` bytes.
    extractors
        Those to choose from; all that are installed by default.

    Raises
    ------
    ExtractorError
        Not even the fallback is installed.
    """
    suffix = _suffix(path)
    known = installed() if extractors is None else tuple(extractors)
    # those named by the extension first: a stable sort keeps the priorities within either part
    candidates = sorted(known, key=lambda plugin: _rank(plugin, suffix))
    for index, plugin in enumerate(candidates):
        if _supports(plugin, path, head):
            log.debug("%s: read by %s (priority %d)", path, plugin.name, plugin.priority)
            if log.isEnabledFor(logging.DEBUG):
                for other in candidates[index + 1 :]:
                    log.debug("%s: not %s, %s comes first", path, other.name, plugin.name)
            return plugin
    raise ExtractorError(
        f"no extractor for {path.name}: is nexuslims-formats installed with its entry points?"
    )


def is_misnamed(path: Path, taken_by: Extractor) -> bool:
    """Tell whether a file has the ending of a known format, but none that knows it reads it.

    Parameters
    ----------
    path
        The file.
    taken_by
        The extractor that was chosen for it.
    """
    return not taken_by.extensions and any(
        _suffix(path) in plugin.extensions for plugin in installed()
    )


def _suffix(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _supports(plugin: Extractor, path: Path, head: bytes) -> bool:
    """Ask a plugin; one that cannot tell does not read the file."""
    try:
        supported = plugin.supports(path, head)
    except (ExtractorError, OSError) as error:
        log.debug("%s: not %s, %s", path, plugin.name, error)
        return False
    except Exception as error:  # noqa: BLE001 - plugins raise anything
        log.warning("%s: %s cannot tell whether it reads this: %r", path, plugin.name, error)
        return False
    if not supported:
        log.debug("%s: not %s, the content is of another kind", path, plugin.name)
    return supported


def _rank(plugin: Extractor, suffix: str) -> int:
    """Return 0 for a plugin that names the extension, 1 for another, 2 for one that takes all."""
    if not plugin.extensions:
        return 2
    return 0 if suffix in plugin.extensions else 1
