"""The reference pages that are written from the code leave nothing blank."""

import re

import pytest
from scripts import reference


def rows(lines):
    """Cells of every row of the tables, without their heads."""
    for line in "\n".join(lines).splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0].startswith("`"):
            yield cells


def test_every_setting_says_what_it_is_for():
    found = {variable: meaning for variable, meaning, _ in rows(reference.settings())}
    assert len(found) > 40
    assert [variable for variable, meaning in found.items() if not meaning] == []


def test_every_option_says_what_it_is_for():
    found = list(rows(reference.commands()))
    assert len(found) > 40
    assert [call for call, meaning in found if not meaning] == []


@pytest.mark.parametrize("name", ["digital_micrograph", "plain_tiff", "fallback"])
def test_every_reader_is_listed_with_what_it_reads(name):
    found = {cells[0].strip("`"): cells[-1] for cells in rows(reference.readers())}
    assert found[name]
