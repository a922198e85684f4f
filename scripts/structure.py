"""``make structure``: the size of each distribution, and how much of what is public is described.

Counted are modules, classes, functions and methods whose names, and whose owners' names, do not
begin with an underscore. A function describes its parameters if its docstring names each of them
in a section ``Parameters``; functions with fewer than two are not asked. Four kinds have their
description elsewhere and are not asked either: overloads, setters, what is marked ``@override``,
and the tests of a published behaviour suite. Options of a command are described by their help.
"""

import argparse
import ast
import json
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
LEAST_PARAMETERS = 2
LEAST_SHARE = 0.70
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Documented = ast.Module | ast.ClassDef | _Function


@dataclass(frozen=True, slots=True)
class Public:
    """A public name, and whether its docstring does its work.

    Attributes
    ----------
    place
        File and line.
    name
        The name, after those of the classes it is in.
    has_docstring
        Whether it has one.
    undescribed
        The parameters of a function that its docstring does not describe.
    parameters
        How many parameters it has, ``self`` and ``cls`` aside.
    """

    place: str
    name: str
    has_docstring: bool
    undescribed: tuple[str, ...] = ()
    parameters: int = 0


@dataclass(slots=True)
class Distribution:
    """What is counted of one distribution."""

    name: str
    lines: int = 0
    longest_file: tuple[int, str] = (0, "")
    longest_function: tuple[int, str] = (0, "")
    public: list[Public] = field(default_factory=list)

    @property
    def asked(self) -> list[Public]:
        """Return the functions that have parameters to describe."""
        return [one for one in self.public if one.parameters >= LEAST_PARAMETERS]

    @property
    def documented(self) -> float:
        """Return the share of public names with a docstring."""
        return _share(sum(one.has_docstring for one in self.public), len(self.public))

    @property
    def described(self) -> float:
        """Return the share of functions with parameters that describe them all."""
        return _share(sum(not one.undescribed for one in self.asked), len(self.asked))


def main() -> int:
    """Print the table, and one JSON line; exit 0 only if parameters are described well enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    text = "list the public functions whose parameters are not described"
    parser.add_argument("--missing", action="store_true", help=text)
    missing = parser.parse_args().missing
    distributions = [measure(CHECKOUT / member) for member in members()]
    print(table(distributions))
    if missing:
        print("\n".join(["", *undescribed(distributions)]))
    asked = [one for each in distributions for one in each.asked]
    share = _share(sum(not one.undescribed for one in asked), len(asked))
    bar = {"value": round(share, 3), "limit": LEAST_SHARE, "ok": share >= LEAST_SHARE}
    figures = {"functions_asked": len(asked), "lines": sum(each.lines for each in distributions)}
    print(
        json.dumps(
            {
                "bench": "structure",
                "figures": figures,
                "bars": {"parameters_described": bar},
                "ok": bar["ok"],
            }
        )
    )
    return 0 if bar["ok"] else 1


def members() -> list[str]:
    """Return the folders of the distributions, as the workspace lists them."""
    workspace = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    listed: list[str] = workspace["tool"]["uv"]["workspace"]["members"]
    return listed


def measure(folder: Path) -> Distribution:
    """Read the sources of a distribution.

    Parameters
    ----------
    folder
        Its folder, with ``src`` in it.
    """
    found = Distribution(folder.name)
    for path in sorted((folder / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        module, place = ast.parse(text), str(path.relative_to(CHECKOUT))
        length = text.count("\n")
        found.lines += length
        found.longest_file = max(found.longest_file, (length, place))
        for node in ast.walk(module):
            if isinstance(node, _Function):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                found.longest_function = max(found.longest_function, (size, node.name))
        if not any(part.startswith("_") and part != "__init__.py" for part in path.parts):
            found.public += public_names(module, place)
    return found


def public_names(module: ast.Module, place: str) -> Iterator[Public]:
    """Yield what a module offers.

    Parameters
    ----------
    module
        Its syntax tree.
    place
        Its file, for the places that are named.
    """
    if module.body:
        yield Public(f"{place}:1", place, ast.get_docstring(module) is not None)
    yield from _within(module, place, "", frozenset(_options(module)))


def _options(module: ast.Module) -> Iterator[str]:
    """Yield the names of annotations that bring their help, as ``Json`` of a command does."""
    for node in module.body:
        if isinstance(node, ast.Assign) and "help=" in ast.unparse(node.value):
            yield from (ast.unparse(target) for target in node.targets)


def _within(
    owner: ast.Module | ast.ClassDef, place: str, prefix: str, options: frozenset[str]
) -> Iterator[Public]:
    for node in owner.body:
        if not isinstance(node, ast.ClassDef | _Function) or node.name.startswith("_"):
            continue
        name, where = prefix + node.name, f"{place}:{node.lineno}"
        text = ast.get_docstring(node)
        if isinstance(node, ast.ClassDef):
            yield Public(where, name, text is not None)
            yield from _within(node, place, f"{name}.", options)
        elif not _is_described_elsewhere(node):
            names = parameter_names(node, options)
            lacking = tuple(one for one in names if one not in described_names(text or ""))
            yield Public(where, name, text is not None, lacking, len(names))


def _is_described_elsewhere(function: _Function) -> bool:
    decorators = {ast.unparse(one).rpartition(".")[2] for one in function.decorator_list}
    is_test = function.name.startswith("test_")
    return is_test or bool(decorators & {"overload", "override", "setter"})


def parameter_names(function: _Function, options: frozenset[str] = frozenset()) -> list[str]:
    """Return the parameters that a docstring has to describe.

    Parameters
    ----------
    function
        Its definition.
    options
        Annotations that bring their help.
    """
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [one for one in (arguments.vararg, arguments.kwarg) if one]
    names = [one.arg for one in every if not _has_help(one, options)]
    return [one for one in names if one not in ("self", "cls") and not one.startswith("_")]


def _has_help(argument: ast.arg, options: frozenset[str]) -> bool:
    annotation = ast.unparse(argument.annotation) if argument.annotation else ""
    return annotation in options or "help=" in annotation


def described_names(docstring: str) -> set[str]:
    """Return what the section ``Parameters`` of a NumPy-style docstring names.

    Parameters
    ----------
    docstring
        The text, without the indentation of the code.
    """
    lines = docstring.splitlines()
    names: set[str] = set()
    inside = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if following.startswith("---"):
            inside = line.strip() == "Parameters"
        elif inside and line and not line.startswith((" ", "-")):
            names |= {one.strip().lstrip("*") for one in line.partition(":")[0].split(",")}
    return names


def table(distributions: list[Distribution]) -> str:
    """Return one line for each distribution.

    Parameters
    ----------
    distributions
        What was counted.
    """
    lines = [f"{'':12} {'lines':>7} {'documented':>11} {'described':>16}  longest file, function"]
    for each in distributions:
        size, path = each.longest_file
        length, function = each.longest_function
        count = f"{sum(not one.undescribed for one in each.asked)} of {len(each.asked)}"
        shares = f"{each.documented:11.0%} {count:>10} {each.described:5.0%}"
        longest = f"{Path(path).name} {size}, {function} {length}"
        lines.append(f"{each.name:12} {each.lines:7,} {shares}  {longest}")
    return "\n".join(lines)


def undescribed(distributions: list[Distribution]) -> Iterator[str]:
    """Yield the functions whose parameters want describing, a distribution after the other.

    Parameters
    ----------
    distributions
        What was counted.
    """
    for each in distributions:
        yield f"## {each.name}"
        for one in each.public:
            if not one.has_docstring:
                yield f"{one.place}: {one.name} has no docstring"
            elif one.parameters >= LEAST_PARAMETERS and one.undescribed:
                yield f"{one.place}: {one.name}: {', '.join(one.undescribed)}"


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


if __name__ == "__main__":
    sys.exit(main())
