"""Makes a sample facility: two instruments, three sessions, files written on the spot.

The FEI TIFFs carry the section text that the vendor's software writes (tag 34682). Everything is
the same at each run: fixed dates, a fixed seed.
"""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import tifffile

ZONE = ZoneInfo("America/Denver")
FEI_SECTION_TEXT = 34682
CANVAS_WIDTH = 0.256
"""Metres on the screen that the magnification refers to."""
BURSTS = ((0, 6), (70, 5), (150, 7))
"""Minutes after the session's start, and images taken then."""

SETTINGS = """\
NX_INSTRUMENT_DATA_PATH=instrument-data
NX_DATA_PATH=nexuslims-data
NX_HARVEST_INTERVAL=2
"""

INSTRUMENTS = """\
[[instrument]]
pid = "FEI-Quanta-SEM"
name = "FEI Quanta 200 ESEM"
filestore_path = "Quanta"
timezone = "America/Denver"

[[instrument]]
pid = "FEI-Titan-TEM"
name = "FEI Titan TEM"
filestore_path = "Titan"
timezone = "America/Denver"
"""

CALENDAR = """\
[[session]]
id = "1001"
instrument = "FEI-Quanta-SEM"
user = { username = "ned", first_name = "Ned", last_name = "Land", email = "ned@example.org" }
start = 2026-03-02T09:00:00-07:00
end = 2026-03-02T13:00:00-07:00
title = "Gold nanoparticles on carbon"
purpose = "Size distribution before and after annealing"
projects = ["NP-7"]
consent = true

[[session.samples]]
id = "np-7-a"
name = "NP-7 A"
description = "Gold on carbon, as deposited"
elements = ["Au", "C"]

[[session]]
id = "1002"
instrument = "FEI-Titan-TEM"
user = { username = "aronnax", first_name = "Pierre", last_name = "Aronnax" }
start = 2026-03-03T10:00:00-07:00
end = 2026-03-03T11:00:00-07:00
title = "Alignment, nothing saved"
consent = true

[[session]]
id = "1003"
instrument = "FEI-Titan-TEM"
user = { username = "conseil", first_name = "Conseil" }
start = 2026-03-04T10:00:00-07:00
end = 2026-03-04T12:00:00-07:00
title = "Confidential measurement"
consent = false
"""


@dataclass(frozen=True, slots=True)
class View:
    """What the microscope looked at for one image."""

    taken: datetime
    magnification: float
    stage_x: float
    high_voltage: float = 15_000.0


def make_facility(folder: Path, microscope_files: Iterable[Path] = ()) -> None:
    """Make the sample facility in a folder; what is there already stays as it is.

    Parameters
    ----------
    folder
        Where; made if needed.
    microscope_files
        Real files to add to the first session, such as those of the test corpus.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "instrument-data"
    for name in ("Quanta/ned/2026-03-02", "Titan/conseil/2026-03-04"):
        (data / name).mkdir(parents=True, exist_ok=True)
    (folder / "nexuslims-data").mkdir(exist_ok=True)
    for name, text in (
        (".env", SETTINGS),
        ("instruments.toml", INSTRUMENTS),
        ("calendar.toml", CALENDAR),
    ):
        if not (folder / name).exists():
            (folder / name).write_text(text, encoding="utf-8")
    start = datetime(2026, 3, 2, 9, 5, tzinfo=ZONE)
    _write_images(data / "Quanta/ned/2026-03-02", start)
    _copy(microscope_files, data / "Quanta/ned/2026-03-02", start + timedelta(minutes=200))
    secret = data / "Titan/conseil/2026-03-04/secret_001.tif"
    if not secret.exists():
        taken = datetime(2026, 3, 4, 11, tzinfo=ZONE)
        write_fei_tiff(secret, View(taken, 40_000, 0.0), np.random.default_rng(4))


def _write_images(folder: Path, start: datetime) -> None:
    generator = np.random.default_rng(20260302)
    number = 0
    for burst, (minute, count) in enumerate(BURSTS):
        for position in range(count):
            number += 1
            taken = start + timedelta(minutes=minute, seconds=20 * position + 3 * (number % 4))
            view = View(taken, 20_000.0 * 2**burst, 1e-4 * position)
            path = folder / f"np7_{number:03}.tif"
            if not path.exists():
                write_fei_tiff(path, view, generator)


def _copy(files: Iterable[Path], folder: Path, start: datetime) -> None:
    for number, source in enumerate(files):
        target = folder / source.name
        if not target.exists():
            shutil.copyfile(source, target)
            set_mtime(target, start + timedelta(seconds=25 * number))


def write_fei_tiff(path: Path, view: View, generator: np.random.Generator) -> None:
    """Write an image of particles as an FEI instrument would, and date it."""
    pixel = CANVAS_WIDTH / 1024 / view.magnification
    text = section_text(view, pixel)
    tifffile.imwrite(
        path,
        _particles(generator),
        photometric="minisblack",
        extratags=[(FEI_SECTION_TEXT, "s", 0, text, True)],
        metadata=None,
        software="",
    )
    set_mtime(path, view.taken)


def set_mtime(path: Path, moment: datetime) -> None:
    """Date a file."""
    os.utime(path, (moment.timestamp(), moment.timestamp()))


def _particles(generator: np.random.Generator, shape: tuple[int, int] = (884, 1024)) -> np.ndarray:
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    image = 60 + 12 * generator.standard_normal(shape, dtype=np.float32)
    for _ in range(25):
        row, column = generator.uniform(0, shape[0]), generator.uniform(0, shape[1])
        radius = generator.uniform(12, 45)
        distance = (rows - row) ** 2 + (columns - column) ** 2
        image += 140 * np.exp(-distance / (2 * radius**2))
    return np.clip(image, 0, 255).astype(np.uint8)


def section_text(view: View, pixel: float) -> str:
    """Return what an FEI microscope writes into its pictures.

    Parameters
    ----------
    view
        What was looked at.
    pixel
        Size of a pixel, in metres.
    """
    lines = [
        "[User]",
        f"Date={view.taken:%m/%d/%Y}",
        f"Time={view.taken:%I:%M:%S %p}",
        "User=ned",
        "[System]",
        "Type=SEM",
        "SystemType=Quanta 200 FEG",
        "Software=6.2.3",
        "[Beam]",
        f"HV={view.high_voltage:g}",
        "Spot=3",
        "[EBeam]",
        f"HV={view.high_voltage:g}",
        "WD=0.0101",
        "BeamCurrent=9.8e-011",
        f"HFW={pixel * 1024:g}",
        f"VFW={pixel * 884:g}",
        "[Scan]",
        f"PixelWidth={pixel:g}",
        f"PixelHeight={pixel:g}",
        "Dwelltime=3e-006",
        f"HorFieldsize={pixel * 1024:g}",
        "[Stage]",
        f"StageX={view.stage_x:g}",
        "StageY=0.00021",
        "StageZ=0.0101",
        "StageR=0.5236",
        "StageT=0",
        "[Image]",
        "ResolutionX=1024",
        "ResolutionY=884",
        f"MagCanvasRealWidth={CANVAS_WIDTH:g}",
        "[Vacuum]",
        "ChPressure=0.00012",
        "[Detectors]",
        "Number=1",
        "Name=ETD",
        "Mode=SE",
        "[ETD]",
        "Contrast=62.3",
        "Brightness=48.1",
    ]
    return "\r\n".join([*lines, ""])
