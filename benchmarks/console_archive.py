"""An archive of a million datasets, made up, on SQLite or PostgreSQL; and questions to it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import insert

from nexuslims_console.archive.rows import DatasetRow, RecordRow, dataset_id
from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.archive.writing import put_datasets

_OF_A_SESSION: Final = 10
_AT_ONCE: Final = 1000
"""Sessions of one transaction."""
_FIRST: Final = datetime(2012, 1, 1, tzinfo=UTC)
_ELEMENTS: Final = "Au Ag Cu Fe Si C O Pt Ti Al In Ga As Ni Co Zn".split()  # noqa: SIM905 - brief
_WORDS: Final = (
    "gold", "carbon", "nanoparticle", "film", "annealed", "oxide", "catalyst", "alloy", "steel",
    "grain", "boundary", "dislocation", "wire", "battery", "cathode", "lamella", "perovskite",
    "graphene", "silicon", "defect",
)  # fmt: skip

QUESTIONS: Final = (
    "Au, above 200 kV, dwell under 5 µs",
    "",
    "gold",
    "gold carbon 300 kV",
    "element:Pt",
    "magnification over 1000 kx",
    "magnification over 1e12",
    "beam current between 50 and 60 pA, working distance 4 to 5 mm",
    "above 100 kV, dwell under 1 us, pixel width under 0.1 nm",
    "5 kV, magnification over 1000 kx, working distance below 2.1 mm",
    "exposure above 100 s",
    "Au Pt 80 kV",
    "instrument:Titan-3 type:Spectrum",
    "stage x above 0.25 mm",
    "steel above 200 kV, spot size 3, tilt above 20 degree",
    "from:2013-01-01 until:2013-02-01 Au",
    "dwell 10 us",
    "magnification 20 kx",
    "voltage above 1 kV, dwell above 0.1 us, magnification above 10 x, wd above 12.5 mm",
    "technique:STEM_EELS, spot size 7, above 250 kV, dwell 50 us",
)
"""Some that few datasets answer, some that many do, some that none does."""


def fill(database: ArchiveDatabase, datasets: int) -> None:
    """Fill an empty archive, and let PostgreSQL look at what is in it.

    Parameters
    ----------
    database
        Where the archive is.
    datasets
        How many.
    """
    numbers = random.Random(18)  # noqa: S311 - no secret
    for first in range(0, datasets // _OF_A_SESSION, _AT_ONCE):
        records: list[RecordRow] = []
        rows: list[DatasetRow] = []
        for number in range(first, first + _AT_ONCE):
            record = _record(number, numbers)
            records.append(record)
            rows.extend(_datasets(record, number, numbers))
        with database.writing() as (connection, tables):
            connection.execute(insert(tables.records), [asdict(record) for record in records])
            put_datasets(connection, tables, rows)
    with database.writing() as (connection, _):
        connection.exec_driver_sql("ANALYZE")


def _record(number: int, numbers: random.Random) -> RecordRow:
    start = _FIRST + timedelta(hours=1.2 * number)
    instrument = f"Titan-{numbers.randrange(20)}"
    return RecordRow(
        session=f"nemo-1-usage-{number}",
        title=" ".join(numbers.sample(_WORDS, 4)),
        start=start,
        end=start + timedelta(hours=1),
        instrument_pid=instrument,
        instrument=instrument,
        samples="",
        elements=" ".join(sorted(numbers.sample(_ELEMENTS, 2))),
        path=f"{number}.xml",
        sha256="0" * 64,
        size=1,
        activities=1,
        datasets=_OF_A_SESSION,
    )


def _datasets(record: RecordRow, number: int, numbers: random.Random) -> Iterator[DatasetRow]:
    voltage = float(numbers.choice((5, 15, 80, 200, 300, 300)))
    for index in range(_OF_A_SESSION):
        taken = (record.start or _FIRST) + timedelta(minutes=index)
        location = f"{record.instrument}/{number}/img_{index:03}.tif"
        token = f"{number:010x}{index:010x}"
        yield DatasetRow(
            id=dataset_id(taken, token, 0),
            session=record.session,
            file=token,
            number=0,
            location=location,
            name=f"img_{index:03}.tif",
            preview="",
            taken=taken,
            dataset_type=numbers.choice(("Image", "Image", "Spectrum", "Diffraction")),
            data_type=numbers.choice(("TEM_Imaging", "STEM_Imaging", "SEM_Imaging", "STEM_EELS")),
            shape="1024 x 1024",
            elements=record.elements,
            text=f"{record.title} {record.instrument} {location} Schottky FEG ETD",
            instrument_pid=record.instrument_pid,
            quantities={"acceleration_voltage": voltage, **_quantities(numbers)},
        )


def _quantities(numbers: random.Random) -> dict[str, float]:
    spread = numbers.lognormvariate
    return {
        "dwell_time": numbers.choice((0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)),
        "magnification": spread(10, 1.5),
        "beam_current": spread(4, 1),
        "working_distance": numbers.uniform(2, 12),
        "stage_x": numbers.gauss(0, 100),
        "stage_y": numbers.gauss(0, 100),
        "stage_alpha": numbers.gauss(0, 10),
        "pixel_width": spread(1, 2),
        "horizontal_field_width": spread(1, 2),
        "exposure_time": spread(0, 1),
        "chamber_pressure": spread(-9, 1),
        "spot_size": float(numbers.randrange(1, 8)),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values is.

    Parameters
    ----------
    values
        At least one.
    share
        From 0 to 1.
    """
    ordered = sorted(values)
    return ordered[min(round(share * len(ordered)), len(ordered) - 1)]
