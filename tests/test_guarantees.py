"""Every test that the fault model names exists."""

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PAGE = CHECKOUT / "docs" / "guarantees.md"
NAMED = re.findall(r"`([\w/.]+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8"))
PROMISES = PAGE.read_text(encoding="utf-8").split("## What is promised")[1].split("\n## ")[0]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    tree = ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_every_promise_names_a_test() -> None:
    rows = [line for line in PROMISES.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    assert [row for row in rows if ".py::" not in row] == []
