"""One upload to the archive costs the same at the first and at the hundred-thousandth record.

Archives of two sizes are made as release 0.1 left them, and taken over; then records are uploaded
to both, by turns, and the CPU time of each upload is compared.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.report import Bar, Report
from nexuslims_uploader.archive import ArchiveDestination
from nexuslims_uploader.catalogue import FOLDER
from nexuslims_uploader.testing import record_to_upload, small_record_xml

SMALL: Final = 100
A_DAY: Final = 800
"""Records of a large facility."""
_NEWEST: Final = datetime(2018, 11, 13, 16, tzinfo=UTC)
_XML: Final = small_record_xml("Grain boundaries", datasets=20)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--uploads", type=int, default=60, help="Measured in each archive")
    options = parser.parse_args()
    report = Report("archive")
    with tempfile.TemporaryDirectory() as folder:
        archives = {
            count: _archive(Path(folder, str(count)), count, report)
            for count in (SMALL, options.records)
        }
        spent: dict[int, list[float]] = {count: [] for count in archives}
        for number in range(options.uploads):
            for count, archive in archives.items():
                spent[count].append(_upload(archive, number))
    for count, seconds in spent.items():
        report.figures[f"CPU ms an upload at {count} records"] = 1000 * statistics.median(seconds)
    small, large = (statistics.median(spent[count]) for count in archives)
    name = f"CPU of an upload at {options.records} records over that at {SMALL}"
    report.bars[name] = Bar(large / small, 1.2)
    report.finish()


def _archive(folder: Path, count: int, report: Report) -> ArchiveDestination:
    """Make an archive with so many records, by taking over one of release 0.1."""
    records = folder / "records"
    (records / FOLDER).mkdir(parents=True)
    entries = [_entry(number) for number in range(count)]
    (records / FOLDER / "catalogue.json").write_text(json.dumps(entries))
    archive = ArchiveDestination(records, folder)
    begin = time.process_time()
    _upload(archive, -1)
    report.figures[f"CPU s to take over {count} records of release 0.1"] = (
        time.process_time() - begin
    )
    return archive


def _entry(number: int) -> dict[str, object]:
    start = _NEWEST - timedelta(days=1) * (number // A_DAY)
    return {
        "session": f"file-{number}",
        "file": f"{start:%Y-%m-%d}_FEI-Titan-TEM_{number}.xml",
        "title": "Grain boundaries",
        "instrument": "FEI Titan TEM",
        "start": start.isoformat(),
        "experimenters": ["Ada"],
        "activities": 1,
        "datasets": 20,
        "preview": f"Titan_TEM/A user/{number:05}.dm3.thumb.png",
    }


def _upload(archive: ArchiveDestination, number: int) -> float:
    """Upload one more record; returns the CPU seconds that took."""
    record = record_to_upload(_XML, session=f"new-{number}", file_name=f"new_{number}.xml")
    begin = time.process_time()
    asyncio.run(archive.upload(record, {}))
    return time.process_time() - begin


if __name__ == "__main__":
    main()
