"""Tests that cannot fail are defects: what their form shows is found here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDERS = ("contracts", "formats", "sanitiser", "shared", "services", "tests", "benchmarks")
FILES = sorted(
    path
    for folder in FOLDERS
    for path in (CHECKOUT / folder).rglob("*.py")
    if ".venv" not in path.parts
)


def cannot_fail(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the fault of each assertion that holds, or never runs, by its form."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            if fault := _fault(node.test):
                yield node.lineno, fault
        elif isinstance(node, ast.With | ast.AsyncWith) and _expects_error(node):
            yield from (
                (late.lineno, "stands behind what raises")
                for late in node.body[1:]
                if isinstance(late, ast.Assert)
            )
        elif isinstance(node, ast.For) and ast.unparse(node.iter) in ("[]", "()"):
            yield node.lineno, "is in a loop over nothing"


def _fault(test: ast.expr) -> str:
    match test:
        case ast.BoolOp(op=ast.Or()):
            return "accepts two answers with `or`"
        case ast.Constant(value=value) if value:
            return "is of a constant"
        case ast.Tuple(elts=[_, *_]) | ast.JoinedStr():
            return "is of something that is always true"
        case ast.Compare(left=left, comparators=[right]) if ast.dump(left) == ast.dump(right):
            return "" if _calls(left) else "compares something with itself"
        case _:
            return ""


def _calls(expression: ast.expr) -> bool:
    """Whether something is done, so that the same text twice is a test that it repeats."""
    return any(isinstance(node, ast.Call | ast.Await) for node in ast.walk(expression))


def _expects_error(block: ast.With | ast.AsyncWith) -> bool:
    return any("pytest.raises(" in ast.unparse(item.context_expr) for item in block.items)


def test_no_assertion_holds_whatever_happens():
    found = [
        f"{path.relative_to(CHECKOUT)}:{line}: this assertion {fault}"
        for path in FILES
        for line, fault in cannot_fail(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("assert name == 'a' or name", "`or`"),
        ("assert count == count", "itself"),
        ("assert (count, 'a message')", "always true"),
        ("assert True", "constant"),
        ("with pytest.raises(ValueError):\n    fail()\n    assert done", "behind what raises"),
        ("for one in []:\n    assert one", "loop over nothing"),
    ],
)
def test_what_cannot_fail_is_found(source, fault):
    ((_, found),) = cannot_fail(ast.parse(source))
    assert fault in found


@pytest.mark.parametrize(
    "source",
    ["assert a == b", "assert (a or b) == c", "assert token() == token()", "assert not (a or b)"],
)
def test_what_can_fail_is_left_alone(source):
    assert list(cannot_fail(ast.parse(source))) == []
