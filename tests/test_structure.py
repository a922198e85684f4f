"""The measure of what is described counts what it says."""

import ast

import pytest
from scripts.structure import described_names, public_names

DESCRIBED = '"""Do it.\n\nParameters\n----------\none, two\n    Both.\n*more\n    The rest.\n"""'


def found(source):
    return {one.name: one for one in public_names(ast.parse(source), "m.py")}


def test_a_function_is_described_if_each_parameter_is_named():
    names = found(f"def whole(one, two, *more):\n    {DESCRIBED!r}\n\ndef bare(one, two): 'It.'")
    assert described_names(ast.literal_eval(DESCRIBED)) == {"one", "two", "more"}
    assert names["whole"].undescribed == ()
    assert names["bare"].undescribed == ("one", "two")


def test_methods_count_without_self_and_what_is_private_does_not():
    names = found("class A:\n    'It.'\n    def do(self, one): 'It.'\n    def _do(self): ...")
    assert list(names) == ["m.py", "A", "A.do"]
    assert names["A.do"].parameters == 1
    assert not names["m.py"].has_docstring


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    @override\n    def do(self, one, two): ...",
        "def test_it(one, two): ...",
        "Json = Annotated[bool, Option(help='.')]\ndef do(one: Json, two: h(help='.')): ...",
    ],
)
def test_what_is_described_elsewhere_is_not_asked(source):
    assert not [one for one in found(source).values() if one.parameters]
