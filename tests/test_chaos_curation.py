"""People's edits at destinations survive a few random mixes; `make chaos-curation` plays 200."""

import tempfile
from pathlib import Path

import pytest
from benchmarks.chaos_curation import World, mix

from nexuslims_uploader.testing.cdcs import FakeCdcs
from nexuslims_uploader.testing.elabftw import FakeElabftw


@pytest.mark.parametrize("seed", range(1001, 1006))
async def test_no_edit_is_lost(seed: int) -> None:
    outcome = await mix(seed)
    assert outcome.lost == ()


async def test_the_check_finds_what_is_lost() -> None:
    async with FakeCdcs().running() as cdcs, FakeElabftw().running() as elabftw:
        with tempfile.TemporaryDirectory() as folder:
            world = World(1, Path(folder), cdcs, elabftw)
            try:
                await world.begin()
                before = next(iter(cdcs.records.values())).xml
                await world.describe()
                await world.rate()
                await world.write()
                await world.attach()
                cdcs.records[next(iter(cdcs.records))].xml = before
                (entry,) = elabftw.visible()
                entry.content["body"] = entry.content["body"].replace("word2x", "")
                entry.uploads.pop()
                lost = (await world.outcome()).lost
            finally:
                await world.close()
    assert {"cdcs word1x", "elabftw word2x", "elabftw word3x"} <= set(lost)
    assert any(one.startswith("cdcs rating of") for one in lost)


async def test_a_withdrawn_record_comes_back_with_what_people_wrote() -> None:
    async with FakeCdcs().running() as cdcs, FakeElabftw().running() as elabftw:
        with tempfile.TemporaryDirectory() as folder:
            world = World(1, Path(folder), cdcs, elabftw)
            try:
                await world.begin()
                for edit in (world.describe, world.rate, world.write, world.write_inside):
                    await edit()
                for edit in (world.add_field, world.attach, world.rename):
                    await edit()
                await world.withdraw()
                assert not cdcs.records
                assert not elabftw.visible()
                outcome = await world.outcome()
            finally:
                await world.close()
    assert (outcome.edits, outcome.lost) == (7, ())
