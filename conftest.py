"""What all tests share: the corpus of real files."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any, NoReturn, TypeVar

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scripts.fetch_asyncapi import cached
from tests.corpus import Corpus, MissingEntryError, find_corpus

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CorpusFiles:
    """The corpus for tests: entries unpacked once, absent ones named.

    An absent entry skips the test on a newcomer's machine, and fails it in CI.
    """

    corpus: Corpus
    scratch: Path

    def file(self, entry_id: str) -> Path:
        """Return an entry's primary file, its companions beside it."""
        folder = self.scratch / entry_id
        return _or_absent(lambda: self.corpus.unpack(entry_id, folder))

    def session_files(self, into: Path) -> Path:
        """Write the files of the 14-file session below a folder, with their times."""
        return _or_absent(lambda: self.corpus.session_files(into))

    def truth(self, entry_id: str) -> dict[str, Any]:
        """Return what independent readers say is in an entry."""
        return _or_absent(lambda: self.corpus.truth(entry_id))

    def record(self, name: str) -> Path:
        """Return a record or schema kept for comparison."""
        return _or_absent(lambda: self.corpus.record(name))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> CorpusFiles:
    """Real microscope files."""
    found = find_corpus()
    if found is None:
        _absent("there is no corpus: `make corpus`, or set NEXUSLIMS_CORPUS to its folder")
    return CorpusFiles(found, tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def asyncapi_schema() -> dict[str, Any]:
    """The official schema of AsyncAPI documents; without npm nobody can fetch it."""
    if not cached().is_file():
        reason = "there is no official AsyncAPI schema: `make asyncapi-schema`"
        _absent(reason) if which("npm") else pytest.skip(reason)
    schema: dict[str, Any] = json.loads(cached().read_text(encoding="utf-8"))
    return schema


def _or_absent(get: Callable[[], T]) -> T:
    try:
        return get()
    except MissingEntryError as error:
        _absent(str(error))


def _absent(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
