"""Tests whose real files or programs this machine does not have, and what that costs."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

from tests.corpus import Corpus, MissingEntryError

T = TypeVar("T")
_PREFIX = "not at hand: "
_NAMED = 3


def absent(what: str, remedy: str, *, required: bool = True) -> NoReturn:
    """Leave out the test that asks; in CI (``CI`` is set), fail it.

    Parameters
    ----------
    what
        The file or program that is missing.
    remedy
        How to get it.
    required
        False for what no fresh clone can get: its absence fails nothing, in CI either.
    """
    reason = f"{_PREFIX}{what} ({remedy})"
    if required and os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def summary(reasons: Iterable[str]) -> str:
    """Say in one line how many tests were left out, and for want of what.

    Parameters
    ----------
    reasons
        Why each test was skipped, as pytest reports it; reasons of another kind do not count.

    Returns
    -------
    str
        An empty text if nothing was missing.
    """
    missing = [reason.partition(_PREFIX)[2] for reason in reasons if _PREFIX in reason]
    if not missing:
        return ""
    names = sorted({reason.partition(" (")[0] for reason in missing})
    remedies = sorted({reason.partition(" (")[2].removesuffix(")") for reason in missing})
    named = ", ".join(names[:_NAMED])
    others = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    count = "1 test was" if len(missing) == 1 else f"{len(missing)} tests were"
    return f"{count} left out for want of {named}{others}: {'; '.join(remedies)}"


@dataclass(frozen=True, slots=True)
class CorpusFiles:
    """The corpus for tests: entries unpacked once, absent ones named.

    An absent entry skips the test; in CI it fails it, unless the corpus is the small one of
    ``make corpus``, which is all that a fresh clone can get.
    """

    corpus: Corpus
    scratch: Path

    def file(self, entry_id: str) -> Path:
        """Return an entry's primary file, its companions beside it."""
        folder = self.scratch / entry_id
        return self._or_absent(lambda: self.corpus.unpack(entry_id, folder))

    def session_files(self, into: Path) -> Path:
        """Write the files of the 14-file session below a folder, with their times."""
        return self._or_absent(lambda: self.corpus.session_files(into))

    def record(self, name: str) -> Path:
        """Return a record or schema kept for comparison."""
        return self._or_absent(lambda: self.corpus.record(name))

    def _or_absent(self, get: Callable[[], T]) -> T:
        try:
            return get()
        except MissingEntryError as error:
            remedy = "only the larger corpus has it, set NEXUSLIMS_CORPUS to its folder"
            absent(error.entry, remedy, required=not self.corpus.is_small)
