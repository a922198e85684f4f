"""A trial beside the incumbent: it changes no byte outside its folder."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import datetime

import pytest
from services.console.tests.legacy_facility import make_facility

SPECTRUM = """#FORMAT      : EMSA/MAS Spectral Data File
#VERSION     : 1.0
#TITLE       : Spectrum
#NPOINTS     : 2.
#NCOLUMNS    : 1.
#XUNITS      : eV
#YUNITS      : Counts
#DATATYPE    : Y
#XPERCHAN    : 3.1
#OFFSET      : 520.13
#SIGNALTYPE  : ELS
#SPECTRUM    : Spectral Data Starts Here
4066.0
3996.0
#ENDOFDATA   :
"""


def hashes(folder, besides):
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in folder.rglob("*")
        if path.is_file() and not path.is_relative_to(besides)
    }


@pytest.fixture
def facility(tmp_path):
    """The incumbent's facility, which would upload to a CDCS; its records' folder is set."""
    env = make_facility(tmp_path)
    file = tmp_path / "files" / "Titan" / "image.txt"
    (tmp_path / "files" / "Titan" / "spectrum.msa").write_text(SPECTRUM)
    file.write_text("text")
    moment = datetime.fromisoformat("2026-03-02T11:00:00-07:00").timestamp()
    for path in file.parent.iterdir():
        os.utime(path, (moment, moment))
    records = tmp_path / "data" / "records"
    env.write_text(env.read_text() + f"NX_RECORDS_PATH={records}\nNX_FILE_STRATEGY=exclusive\n")
    return tmp_path


def test_a_trial_changes_no_byte_outside_its_folder(facility):
    trial = facility / "trial"
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("NX_")},
        "HOME": str(facility),
        "NX_RECORDS_PATH": str(facility / "data" / "records"),
        "NX_DESTINATIONS": "cdcs",
    }
    environment.pop("XDG_CACHE_HOME", None)
    before = hashes(facility, trial)
    ran = subprocess.run(
        [sys.executable, "-m", "nexuslims_shared", "trial", "--from", ".env", "--json"],
        cwd=facility,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert hashes(facility, trial) == before
    assert {path.name for path in facility.iterdir()} == {
        ".env", "data", "files", "nexuslims.db", "trial",
    }  # fmt: skip
    (tried,) = json.loads(ran.stdout)
    found = {(one["where"], one["kind"]) for one in tried["comparison"]["differences"]}
    assert ("Titan/spectrum.msa", "extra") in found
    page = (trial / "report.html").read_text()
    assert "Titan/spectrum.msa" in page


def test_a_trial_refuses_a_folder_with_other_files(facility):
    for folder, reason in (("files/trial", "is in NX_INSTRUMENT_DATA_PATH"), (".", "other files")):
        ran = subprocess.run(
            [sys.executable, "-m", "nexuslims_shared", "trial", "--folder", folder],
            cwd=facility,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ran.returncode, reason in ran.stderr) == (1, True), ran.stderr


def test_two_commands_lead_to_the_first_record_made_here(facility):
    """From the incumbent's settings and database; its own record stays as it was."""
    with (facility / ".env").open("a") as env:
        env.write("NX_DESTINATIONS=archive\n")
    theirs = facility / "data/records/uploaded/2026-03-02_FEI-Titan-TEM_7.xml"
    before = theirs.read_bytes()
    environment = {name: text for name, text in os.environ.items() if not name.startswith("NX_")}
    for arguments in (
        ["import-legacy"],
        ["rebuild", "--session", "nemo-1-usage-7", "--re-extract"],
    ):
        ran = subprocess.run(
            [sys.executable, "-m", "nexuslims_shared", *arguments],
            cwd=facility,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
    made = (facility / "data/records/2026-03-02_FEI-Titan-TEM_usage-7.xml").read_text()
    assert "Gold on carbon" in made
    assert "Titan/spectrum.msa" in made
    assert theirs.read_bytes() == before
