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
        (("A", "A"), "1 (A) and 2 (A)"),
        (("A", "A/inner"), "2 (A/inner) and 1 (A)"),
    ],
)
async def test_instruments_that_share_a_folder_are_named(
    tmp_path: Path, folders: tuple[str, str], named: str
) -> None:
    text = ""
    for number, folder in enumerate(folders, start=1):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
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
