"""A long TOML file says the same in parts as whole."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_harvester import toml_parts
from nexuslims_harvester.toml_parts import parse_in_parts

LINES = [
    "[[session]]",
    "[[session]] # a remark",
    "  [[session]]",
    "[session.user]",
    'title = "one"',
    "id = '2'",
    'title = """',
    '"""',
    "'''",
    "samples = [",
    "]",
    "# [[session]]",
    "",
]


@given(st.lists(st.sampled_from(LINES), max_size=14))
def test_parts_that_can_be_parsed_say_what_the_file_says(lines: list[str]) -> None:
    text = "\n".join(["[[session]]", *lines])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toml_parts, "TABLES", 1)
        try:
            parts = list(parse_in_parts(text))
        except tomllib.TOMLDecodeError:
            return
    tables = [table for part in parts for table in part["session"]]
    assert {"session": tables} == tomllib.loads(text)


def test_a_part_has_a_bounded_number_of_tables() -> None:
    text = "".join(f'[[session]]\nid = "{number}"\n' for number in range(1234))
    assert [len(part["session"]) for part in parse_in_parts(text)] == [500, 500, 234]


def test_a_line_within_a_text_that_looks_like_a_table_is_an_error_of_the_part(monkeypatch) -> None:
    monkeypatch.setattr(toml_parts, "TABLES", 1)
    text = '[[session]]\npurpose = """\n[[session]]\n"""\n[[session]]\n'
    with pytest.raises(tomllib.TOMLDecodeError):
        list(parse_in_parts(text))
