"""``make demo``: a sample facility, end to end, by the product's own command."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from demo.facility import make_facility

CONSOLE: Final = "http://127.0.0.1:8600/"
"""Its address, unless something else is there."""
_INTERRUPTED: Final = 128 + signal.SIGINT
SESSION: Final = "sessions/file-1001"
"""The page of the session that has a record."""


def main() -> int:
    """Make the facility, build its records, say where to look."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path("demo-facility"))
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    options = parser.parse_args()
    folder: Path = options.dir
    files = _real_files()
    make_facility(folder, files)
    found = f" and {len(files)} real DM files" if files else " (with `make corpus`: real ones too)"
    print(f"A sample facility is in {folder}: two instruments, three sessions, FEI TIFFs{found}.")
    done = _nexuslims(folder, "build-records")
    page = folder.resolve() / "nexuslims-data" / "records" / "index.html"
    if page.exists():
        print(f"\nOpen the records in a browser: {page.as_uri()}")
    if options.keep:
        print("Everything is started again, until Ctrl-C; then the console's address is below:")
        print(f"open {SESSION} there, which leads to the record.")
        sys.stdout.flush()
        ended = _nexuslims(folder, "up")
        return done if ended == _INTERRUPTED else ended
    print(f"The console, while `make demo KEEP=1` runs: {CONSOLE}{SESSION}")
    return done


def _nexuslims(folder: Path, *arguments: str) -> int:
    """Run a command in the sample facility; Ctrl-C reaches it too."""
    command = [sys.executable, "-m", "nexuslims_shared", "--dir", str(folder), *arguments]
    process = subprocess.Popen(command, env=_environment())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the command stops by itself, and in order


def _environment() -> dict[str, str]:
    """The demo is its own facility, whatever this shell is set up for."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("NX_") and name != "NATS_URL"
    }


def _real_files() -> list[Path]:
    """A few small real files, where the corpus is."""
    try:
        from tests.corpus import find_corpus  # noqa: PLC0415 - only in a checkout with tests
    except ImportError:
        return []
    corpus = find_corpus()
    if corpus is None:
        return []
    return corpus.small_dm_files()


if __name__ == "__main__":
    sys.exit(main())
