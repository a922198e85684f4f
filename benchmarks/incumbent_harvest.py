"""Runs in the incumbent's own environment: its harvest of one NEMO, timed.

Usage: python incumbent_harvest.py ADDRESS TOKEN FOLDER SINCE TOOL...

Prints a JSON line with the seconds it took, and how many sessions its table holds.
"""

import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path


def main() -> None:
    """Harvest once."""
    address, token, folder, since, *tools = sys.argv[1:]
    database = Path(folder) / "incumbent.db"
    database.touch()
    os.environ.update(
        NX_INSTRUMENT_DATA_PATH=folder,
        NX_DATA_PATH=folder,
        NX_DB_PATH=str(database),
        NX_CDCS_URL="https://cdcs.example.org",
        NX_CDCS_TOKEN="none",  # noqa: S106 - it asks for one, and nothing is sent
        NX_NEMO_ADDRESS_1=address,
        NX_NEMO_TOKEN_1=token,
    )
    from nexusLIMS.db.engine import get_engine  # noqa: PLC0415 - after the environment is set
    from nexusLIMS.db.models import Instrument  # noqa: PLC0415
    from nexusLIMS.db.session_handler import get_all_session_logs  # noqa: PLC0415
    from nexusLIMS.harvesters.nemo.utils import add_all_usage_events_to_db  # noqa: PLC0415
    from sqlmodel import Session, SQLModel  # noqa: PLC0415

    SQLModel.metadata.create_all(get_engine())
    with Session(get_engine()) as session:
        for tool in tools:
            session.add(
                Instrument(
                    instrument_pid=f"tool-{tool}",
                    api_url=f"{address}tools/?id={tool}",
                    calendar_url=f"{address}calendar/{tool}/",
                    location="",
                    display_name=f"Tool {tool}",
                    property_tag=tool,
                    filestore_path=tool,
                    harvester="nemo",
                    timezone_str="America/Denver",
                )
            )
        session.commit()
    begin, cpu = time.perf_counter(), time.process_time()
    add_all_usage_events_to_db(dt_from=datetime.fromisoformat(since))
    figures = {
        "seconds": time.perf_counter() - begin,
        "cpu": time.process_time() - cpu,
        "sessions": len({log.session_identifier for log in get_all_session_logs()}),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
