"""Environments that benchmarks make for themselves."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

INCUMBENT = "nexusLIMS==2.8.0"


def incumbent_environment() -> Path:
    """The incumbent's Python, installed on first use into the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nexuslims"
    folder = cache / "incumbent-2.8.0"
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing {INCUMBENT} into {folder}", file=sys.stderr)
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", folder], check=True)
        environment = {**os.environ, "VIRTUAL_ENV": str(folder)}
        subprocess.run([uv, "pip", "install", "--quiet", INCUMBENT], check=True, env=environment)
    return python


def installed_megabytes(service: str) -> float:
    """Megabytes that the environment of one service takes, made from its lock as for its image."""
    lock = Path(__file__).parents[1] / "requirements" / f"{service}.txt"
    uv = Path(sys.executable).with_name("uv")
    with tempfile.TemporaryDirectory() as target:
        options: list[str | Path] = ["--quiet", "--link-mode", "copy", "--target", target]
        locked: list[str | Path] = ["--require-hashes", "-r", lock]
        subprocess.run([uv, "pip", "install", *options, *locked], check=True)
        files = [path for path in Path(target).rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files) / 1e6
