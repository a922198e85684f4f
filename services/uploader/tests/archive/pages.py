"""An archive for the tests of it, and what a browser would see of its pages."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from nexuslims_shared.artifacts import write_artifact
from nexuslims_uploader import archive, catalogue


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data

    def targets(self) -> Iterator[Path]:
        """Files that its relative links lead to."""
        for link in self.links:
            if not urlsplit(link).scheme:
                yield (self.path.parent / unquote(link)).resolve()


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def listed(records: Path) -> list[dict[str, Any]]:
    """All entries on the lists of months, which their pages show."""
    found = []
    for path in records.glob("index/*/*.json"):
        entries = json.loads(path.read_text())
        last = max(int(other.stem) for other in path.parent.glob("*.json"))
        page = path.with_name("index.html" if int(path.stem) == last else f"{path.stem}.html")
        targets = list(Page(page).targets())
        for entry in entries:
            assert (records / "uploaded" / entry["file"]).with_suffix(".html") in targets
        assert sum("/uploaded/" in str(target) for target in targets) == len(entries)
        found += entries
    return found


def snapshot(records: Path) -> dict[str, bytes]:
    return {name: content for name, (content, _) in contents(records).items()}


@contextmanager
def mortal(monkeypatch, survives: int) -> Iterator[None]:
    """The process dies after so many changes on the disk; nothing is changed after that."""
    left = survives

    def counted(change):
        def run(*arguments, **options):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return change(*arguments, **options)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "write_artifact", counted(write_artifact))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr(archive.shutil, "rmtree", counted(shutil.rmtree))
        with contextlib.suppress(KeyboardInterrupt):
            yield
