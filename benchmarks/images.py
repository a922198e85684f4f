"""How large the images are above their base, from what is installed in them.

Each service's locked packages and members are installed by the script that the Dockerfile runs,
with bytecode, into an environment of its own; what that takes on the disk is the image's own layer.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.report import Bar, Report

CHECKOUT: Final = Path(__file__).resolve().parents[1]
MEGABYTE: Final = 1e6
LIMITS: Final = {"extractor": 450.0}
"""Megabytes; all others have :data:`LIMIT`."""
LIMIT: Final = 150.0
SERVICES: Final = sorted(path.parent.name for path in CHECKOUT.glob("services/*/pyproject.toml"))


def install(service: str, folder: Path) -> None:
    """Install what an image has.

    Parameters
    ----------
    service
        Its name.
    folder
        Of the new environment.
    """
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "UV_COMPILE_BYTECODE": "1",
        "UV_LINK_MODE": "copy",
    }
    command = ["scripts/install_service.sh", service, str(folder)]
    subprocess.run(command, cwd=CHECKOUT, env=environment, check=True)


def size_of(folder: Path) -> float:
    """Megabytes of the files in a folder, as they are stored in blocks."""
    files = (path.lstat() for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return sum(status.st_blocks * 512 for status in files) / MEGABYTE


def largest(folder: Path, count: int = 5) -> str:
    """Return the largest packages, for people.

    Parameters
    ----------
    folder
        Of the environment.
    count
        How many.
    """
    (packages,) = folder.glob("lib/python*/site-packages")
    sizes = {path.name: size_of(path) for path in packages.iterdir() if path.is_dir()}
    named = sorted(sizes, key=lambda name: -sizes[name])[:count]
    return ", ".join(f"{name} {sizes[name]:.0f} MB" for name in named)


def main() -> None:
    """Measure all services, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("services", nargs="*", default=SERVICES)
    report = Report("images")
    notes: dict[str, str] = {}
    for service in parser.parse_args().services:
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text) / "app"
            install(service, folder)
            report.figures[f"{service}_mb"] = size = size_of(folder)
            notes[service] = largest(folder)
        report.bars[service] = Bar(size, LIMITS.get(service, LIMIT))
    report.finish(notes)


if __name__ == "__main__":
    main()
