"""The trees of tags that readers make are those that the contracts know as such."""

import ast
from collections.abc import Iterator
from pathlib import Path

import nexuslims_formats
from nexuslims_contracts.metadata import is_vendor_tree


def prefixes(source: str) -> Iterator[str]:
    """Yield what the names of each tree that is made in a module begin with."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "leaves":
            last = node.args[-1]
            if isinstance(last, ast.Constant) and isinstance(last.value, str):
                yield last.value


def test_every_tree_of_a_reader_is_known_as_one() -> None:
    folder = Path(nexuslims_formats.__file__).parent
    found = {one for path in folder.rglob("*.py") for one in prefixes(path.read_text("utf-8"))}
    assert {"bruker", "velox", "zeiss"} <= found
    assert [one for one in sorted(found) if not is_vendor_tree(f"{one}_some_tag")] == []


def test_what_a_reader_worked_out_of_a_tree_is_none() -> None:
    facts = ("serialem_images", "ebsd_phases_1_name", "ebsd_xstep", "tecnai_mode", "session_log")
    assert not any(map(is_vendor_tree, facts))
