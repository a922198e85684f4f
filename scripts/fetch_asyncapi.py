"""``make asyncapi-schema``: takes the official AsyncAPI schema out of the project's npm package.

It is downloaded by npm from whatever registry npm is set up for, and checked; nothing is installed.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

PACKAGE: Final = "@asyncapi/specs@6.11.1"
SHA256: Final = "01af8744dc33c0c7eb2e908f6a955319ee58b70ecadc9387d1aeb16c0cd28928"
_SCHEMA: Final = "package/schemas/3.0.0.json"


def cached() -> Path:
    """Return where the schema is kept."""
    configured = os.environ.get("XDG_CACHE_HOME")
    home = Path(configured) if configured else Path.home() / ".cache"
    return home / "nexuslims" / "asyncapi-3.0.0.json"


def main() -> int:
    """Fetch the schema, unless it is there."""
    target = cached()
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            fresh = Path(scratch) / "schema.json"
            fresh.write_bytes(_schema(_download(Path(scratch))))
            fresh.rename(target)
    print(f"the schema is {target}")
    return 0


def _download(into: Path) -> Path:
    command = ["npm", "pack", PACKAGE, "--silent", "--pack-destination", str(into)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (package,) = into.glob("*.tgz")
    found = hashlib.sha256(package.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{package.name} has the SHA-256 {found}, not {SHA256}: it is another file")
    return package


def _schema(package: Path) -> bytes:
    with tarfile.open(package) as archive:
        member = archive.extractfile(_SCHEMA)
        if member is None:
            sys.exit(f"{package.name} has no {_SCHEMA}")
        return member.read()


if __name__ == "__main__":
    sys.exit(main())
