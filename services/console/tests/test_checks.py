"""What doctor finds wrong with a facility's instruments."""

from pathlib import Path

import pytest

from nexuslims_console.checks import check_facility
from nexuslims_shared.settings import Settings


@pytest.mark.parametrize(
    ("folders", "named"),
    [
        (("A", "B"), ""),
        (("A", "A-2"), ""),
        (("A", "A"), "1 and 2 (A)"),
        (("A", "A/inner"), ""),
        (('A"\nfolders = "user', 'A"\nfolders = "user'), ""),
    ],
)
async def test_instruments_of_which_only_time_tells_whose_a_file_is_are_named(
    tmp_path: Path, folders: tuple[str, str], named: str
) -> None:
    text = ""
    for number, folder in enumerate(folders, start=1):
        (tmp_path / folder.partition('"')[0]).mkdir(parents=True, exist_ok=True)
        text += f'[[instrument]]\npid = "{number}"\nfilestore_path = "{folder}"\n'
    (tmp_path / "instruments.toml").write_text(text)
    settings = Settings(
        instrument_data_path=tmp_path,
        data_path=tmp_path / "data",
        state_path=tmp_path / "state",
        instruments_file=tmp_path / "instruments.toml",
    )
    finding = next(one for one in await check_facility(settings) if one.what == "instruments")
    assert bool(finding.problem) is bool(named)
    assert named in finding.problem
