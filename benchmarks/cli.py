"""What a call of the command line costs, cold: CPU seconds of the process and its children."""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.corpus import require_corpus

from benchmarks.report import Bar, Report


def cpu_of(command: Sequence[str | Path]) -> float:
    """CPU seconds of one run of a command, its own children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    nexuslims = Path(sys.executable).with_name("nexuslims")
    report = Report("cli")
    with tempfile.TemporaryDirectory() as text:
        os.chdir(text)
        folder = require_corpus().session_files(Path(text))
        file = next(folder.rglob("image_001.dm3"))
        calls: list[tuple[str, list[str | Path], float]] = [
            ("help_cpu_s", [nexuslims, "--help"], 0.3),
            ("extract_dm3_cpu_s", [nexuslims, "extract", file, "--json"], 2.0),
        ]
        for name, command, limit in calls:
            cpu_of(command)
            value = statistics.median(cpu_of(command) for _ in range(rounds))
            report.figures[name] = value
            report.bars[name] = Bar(value, limit)
    report.finish()


if __name__ == "__main__":
    main()
