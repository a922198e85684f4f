"""Runs in the incumbent's own environment: its record build of one session, timed.

Usage: python incumbent.py INSTRUMENT_DATA DATA FILESTORE START END

Only the calendar is replaced, by an empty booking: it would ask a NEMO server. Prints a JSON line
with the CPU seconds of the process and of its children, and what was built.
"""

import json
import os
import resource
import sys
from datetime import datetime
from pathlib import Path


def main() -> None:
    """Build the record once."""
    instrument_data, data, filestore, start, end = sys.argv[1:]
    database = Path(data) / "incumbent.db"
    database.touch()
    os.environ.update(
        NX_INSTRUMENT_DATA_PATH=instrument_data,
        NX_DATA_PATH=data,
        NX_DB_PATH=str(database),
        NX_CDCS_URL="https://cdcs.example.org",
        NX_CDCS_TOKEN="none",  # noqa: S106 - it asks for one, and nothing is sent
        NX_FILE_STRATEGY="exclusive",
    )
    import pytz  # noqa: PLC0415 - after the environment is set
    from nexusLIMS.builder import record_builder  # noqa: PLC0415
    from nexusLIMS.db.models import Instrument  # noqa: PLC0415
    from nexusLIMS.db.session_handler import Session  # noqa: PLC0415
    from nexusLIMS.harvesters.reservation_event import ReservationEvent  # noqa: PLC0415

    zone = pytz.timezone("America/Denver")
    instrument = Instrument(
        instrument_pid="FEI-Titan-TEM",
        api_url="https://nemo.example.org/api/tools/?id=1",
        calendar_url="https://nemo.example.org/calendar/titan/",
        location="",
        display_name="FEI Titan TEM",
        property_tag="1",
        filestore_path=filestore,
        harvester="nemo",
        timezone_str="America/Denver",
    )
    session = Session(
        "bench",
        instrument,
        (
            datetime.fromisoformat(start).astimezone(zone),
            datetime.fromisoformat(end).astimezone(zone),
        ),
        "ned",
    )
    record_builder.get_reservation_event = lambda _session: ReservationEvent(
        instrument=instrument, experiment_title="Benchmark"
    )
    before = _cpu()
    result = record_builder.build_record(session, generate_previews=True)
    usage = {
        "cpu": _cpu() - before,
        "cpu_with_start": _cpu(),
        "activities": len(result.activities),
        "datasets": result.xml_text.count("<dataset "),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(usage) + "\n")


def _cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    main()
