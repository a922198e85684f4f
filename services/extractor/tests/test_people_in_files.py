"""Who reads a file does not hold the key that hides people, and names are hidden all the same."""

import hashlib
import json
import re
import secrets
from pathlib import Path

import numpy as np
import pytest

from nexuslims_contracts.identifiers import person_id
from nexuslims_extractor.cage.reading import Job, Masked, unmasked
from nexuslims_extractor.errors import WorkerError
from nexuslims_extractor.extraction import Extraction, FileFacts
from nexuslims_extractor.workers import WorkerPool
from nexuslims_formats.model import NOBODY, InstrumentContext
from nexuslims_formats.testing import write_fei_tiff

SEARCH = """
import ctypes, os, re
from nexuslims_extractor.profiles import Profile

def search(signal, native, path):
    mine = b"MINE-" + os.urandom(16).hex().encode()
    found = set()
    for line in open("/proc/self/maps"):
        span, rights, *_, = line.split()
        if rights.startswith("rw") and "[v" not in line:
            start, end = (int(place, 16) for place in span.split("-"))
            memory = ctypes.string_at(start, end - start)
            found.update(re.findall(rb"(?:MINE|OURS)-[0-9a-f]{32}", memory))
    assert mine in found
    raise ValueError("kinds: " + " ".join(sorted({one[:4].decode() for one in found})))

Profile_ = Profile(instrument="I", parsers=(search,))
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    text = "[User]\nUser=Quagg\n[Beam]\nHV=30000\nBeam=EBeam\n"
    folder = tmp_path / "store"
    folder.mkdir()
    return write_fei_tiff(folder / "fei.tif", np.zeros((4, 6), "u1"), text)


@pytest.mark.parametrize("start", ["forkserver", "fork"])
async def test_ids_stand_for_people_in_all_that_is_kept(
    image: Path, tmp_path: Path, start: str
) -> None:
    key = secrets.token_bytes()
    job = Job(path=image, artifacts_root=tmp_path / "data", previews=True, people_key=key)
    async with WorkerPool(1, start=start) as pool:  # type: ignore[arg-type]
        found = await pool.extract(job)
    person = person_id(key, "Quagg")
    assert found.people == {person: "Quagg"}
    assert found.datasets[0].metadata["operator"] == person
    for ref in (*found.metadata_artifacts, *found.previews):
        content = (tmp_path / "data" / ref.path).read_bytes()
        assert (ref.sha256, ref.size) == (hashlib.sha256(content).hexdigest(), len(content))
        assert b"Quagg" not in content
    document = json.loads((tmp_path / "data" / found.metadata_artifacts[0].path).read_bytes())
    assert document["nx_meta"]["metadata"]["operator"] == person
    assert set(re.findall(r"person-[0-9a-f]+", json.dumps(document))) == {person}


async def test_the_key_is_not_in_the_memory_of_who_reads(image: Path, tmp_path: Path) -> None:
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    (profiles / "search.py").write_text(SEARCH)
    key = b"OURS-" + secrets.token_hex(16).encode()
    job = Job(
        path=image, instrument=InstrumentContext("I", "UTC"), profiles=profiles, people_key=key
    )
    async with WorkerPool(1) as pool:
        found = await pool.extract(job)
        found = await pool.extract(job)  # nor is it left over from the file before
    assert "kinds: MINE" in str(found.reason)
    assert "OURS" not in str(found.reason)


def test_only_ids_are_put_in_the_place_of_ids() -> None:
    facts = FileFacts("a.tif", 1, "2026-01-01T00:00:00+00:00", "")
    found = Extraction(file=facts, outcome="extracted", extractor=NOBODY, people={".*": "x"})
    with pytest.raises(WorkerError, match="no ids"):
        unmasked(Masked(found, {}), Job(path=Path("a.tif"), people_key=b"key"))
