"""What reading real files costs, beside the incumbent, in one run.

Both systems get the files of the corpus for which the incumbent has an extractor, one warm process
each: ours has imported what the server of the service's workers has, theirs its extractors. What
either imports when it first meets a format is counted; a figure tells what the same files cost when
they are read for the second time. Metadata are read without hashing the content, which the
incumbent does not do; that is measured apart. Then: the memory of a worker over the whole corpus
and for a stack of 8 GB (a sparse file with a valid header), a cold start of the command, and the
disk that the service's environment takes.
"""

import argparse
import hashlib
import json
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.corpus import require_corpus

from benchmarks.cli import cpu_of
from benchmarks.environments import incumbent_environment, installed_megabytes
from benchmarks.report import Bar, Report

_THEIRS: Final = Path(__file__).with_name("incumbent_extract.py")
_SIDE: Final = 4096
_DEPTH: Final = 256
_UINT16: Final = 6


def ours(mode: str, listing: Path) -> None:
    """Extract once, in this process, and print the same line as the incumbent's script.

    Parameters
    ----------
    mode
        ``hash`` for the content's digests alone, ``metadata`` without them, or ``previews`` with
        both.
    listing
        The files, as JSON.
    """
    from nexuslims_extractor import extract, preload  # noqa: F401, PLC0415 - only in this process

    files = [Path(name) for name in json.loads(listing.read_text(encoding="utf-8"))]
    found: list[Any] = []
    with tempfile.TemporaryDirectory() as data:
        before = _cpu()
        for number, file in enumerate(files):
            if mode == "hash":
                with file.open("rb") as content:
                    hashlib.file_digest(content, "sha256")
            else:
                place = f"{number}/{file.name}"
                root = Path(data)
                found.append(
                    extract(
                        file,
                        artifacts_root=root,
                        relative_path=place,
                        previews=mode == "previews",
                        hashed=mode == "previews",
                    )
                )
        cpu = _cpu() - before
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "cpu": cpu,
        "rss_mb": usage.ru_maxrss / 1024,
        "datasets": sum(len(one.datasets) for one in found),
        "failures": sum(one.failed for one in found),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_ours(mode: str, listing: Path) -> dict[str, float]:
    """Let a process of its own extract files once."""
    return _last_line([sys.executable, "-m", "benchmarks.extract", "--ours", mode, str(listing)])


def run_theirs(python: Path, mode: str, instrument_data: Path, listing: Path) -> dict[str, Any]:
    """Let the incumbent extract files once."""
    with tempfile.TemporaryDirectory() as data:
        return _last_line([python, _THEIRS, instrument_data, data, mode, listing], cwd=data)


def _last_line(command: Sequence[str | Path], cwd: str | None = None) -> dict[str, Any]:
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def stack(path: Path) -> None:
    """Write an MRC stack of 8 GiB that takes no room: a header (MRC2014), then nothing."""
    header = bytearray(1024)
    struct.pack_into(
        "<10i", header, 0, _SIDE, _SIDE, _DEPTH, _UINT16, 0, 0, 0, _SIDE, _SIDE, _DEPTH
    )
    struct.pack_into("<3f", header, 40, 1e4, 1e4, 1e4)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:216] = b"MAP " + b"\x44\x44\0\0"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + 2 * _SIDE * _SIDE * _DEPTH)


def listed(files: Sequence[Path | str], path: Path) -> Path:
    """Write a list of files where a process can read it."""
    path.write_text(json.dumps([str(file) for file in files]), encoding="utf-8")
    return path


def compare(report: Report, folder: Path, everything: Sequence[Path], rounds: int) -> None:
    """Measure both systems on the files that both read."""
    python = incumbent_environment()
    instrument_data = folder / "corpus"
    which = run_theirs(python, "which", instrument_data, listed(everything, folder / "all.json"))
    both = listed(which["files"], folder / "both.json")
    report.figures |= {"files": len(which["files"]), "rounds": rounds}
    report.figures["ours_hashing_cpu_s"] = statistics.median(
        run_ours("hash", both)["cpu"] for _ in range(rounds)
    )
    for mode, limit in (("metadata", 0.06), ("previews", 0.04)):
        mine = [run_ours(mode, both) for _ in range(rounds)]
        their = [run_theirs(python, mode, instrument_data, both) for _ in range(rounds)]
        own = statistics.median(one["cpu"] for one in mine)
        other = statistics.median(one["cpu"] for one in their)
        report.figures |= {
            f"ours_{mode}_cpu_s": own,
            f"incumbent_{mode}_cpu_s": other,
            f"ours_{mode}_rss_mb": mine[0]["rss_mb"],
            f"incumbent_{mode}_rss_mb": their[0]["rss_mb"],
            f"ours_{mode}_datasets": mine[0]["datasets"],
            f"incumbent_{mode}_datasets": their[0]["datasets"],
        }
        report.bars[f"{mode}_cpu_ours_over_incumbent"] = Bar(own / other, limit)
    twice = listed(2 * which["files"], folder / "twice.json")
    own = run_ours("metadata", twice)["cpu"] - report.figures["ours_metadata_cpu_s"]
    other = run_theirs(python, "metadata", instrument_data, twice)["cpu"]
    other -= report.figures["incumbent_metadata_cpu_s"]
    report.figures["metadata_second_time_ours_over_incumbent"] = own / other


def limits(report: Report, folder: Path, everything: Sequence[Path], rounds: int) -> None:
    """Measure what has a limit of its own."""
    whole = run_ours("previews", listed(everything, folder / "all.json"))
    big = folder / "stack.mrc"
    stack(big)
    large = run_ours("previews", listed([big], folder / "big.json"))
    if large["datasets"] != 1:
        sys.exit(f"{big.name} was not read")
    nexuslims = Path(sys.executable).with_name("nexuslims")
    dm3 = max((file for file in everything if file.suffix == ".dm3"), key=lambda one: one.name)
    command: list[str | Path] = [nexuslims, "extract", dm3, "--json"]
    cpu_of(command)
    report.bars |= {
        "corpus_rss_mb": Bar(whole["rss_mb"], 400),
        "stack_of_8_gb_rss_mb": Bar(large["rss_mb"], 400),
        "cold_dm3_cpu_s": Bar(statistics.median(cpu_of(command) for _ in range(rounds)), 0.6),
        "environment_mb": Bar(installed_megabytes("extractor"), 400),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ours", nargs=2, metavar=("MODE", "LIST"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        ours(arguments.ours[0], Path(arguments.ours[1]))
        return
    report = Report("extract")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        everything = require_corpus().unpack_all(folder / "corpus")
        limits(report, folder, everything, arguments.rounds + 2)
        compare(report, folder, everything, arguments.rounds)
    report.finish()


if __name__ == "__main__":
    main()
