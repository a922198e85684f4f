"""Runs in the incumbent's own environment: its extraction of files, timed.

Usage: python incumbent_extract.py INSTRUMENT_DATA DATA (which|metadata|previews) FILES.json

Prints a JSON line: with ``which`` the files that it has an extractor for, otherwise the CPU seconds
without its start, its peak memory, and how many datasets it found.
"""

import json
import os
import resource
import sys
from pathlib import Path


def main() -> None:
    """Extract once."""
    instrument_data, data, mode, listing = sys.argv[1:]
    database = Path(data) / "incumbent.db"
    database.touch()
    os.environ.update(
        NX_INSTRUMENT_DATA_PATH=instrument_data,
        NX_DATA_PATH=data,
        NX_DB_PATH=str(database),
        NX_CDCS_URL="https://cdcs.example.org",
        NX_CDCS_TOKEN="none",  # noqa: S106 - it asks for one, and nothing is sent
    )
    files = [Path(name) for name in json.loads(Path(listing).read_text(encoding="utf-8"))]
    answer = _which(files) if mode == "which" else _extract(files, previews=mode == "previews")
    sys.stdout.write(json.dumps(answer) + "\n")


def _which(files: list[Path]) -> dict[str, object]:
    from nexusLIMS.extractors.base import ExtractionContext  # noqa: PLC0415 - after the environment
    from nexusLIMS.extractors.registry import get_registry  # noqa: PLC0415

    registry = get_registry()
    readable = [
        str(file)
        for file in files
        if registry.get_extractor(ExtractionContext(file_path=file, instrument=None)).priority > 0
    ]
    return {"files": readable}


def _extract(files: list[Path], *, previews: bool) -> dict[str, object]:
    from nexusLIMS.extractors import parse_metadata  # noqa: PLC0415 - after the environment

    datasets = failures = 0
    before = _cpu()
    for file in files:
        try:
            found, _ = parse_metadata(file, write_output=True, generate_preview=previews)
        except Exception as error:  # noqa: BLE001 - whatever it raises, the next file is its turn
            sys.stderr.write(f"{file.name}: {error!r}\n")
            found = None
        datasets += len(found or [])
        failures += not found
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu": _cpu() - before,
        "rss_mb": usage.ru_maxrss / 1024,
        "datasets": datasets,
        "failures": failures,
    }


def _cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    main()
