"""Each distribution builds as a wheel that holds all it needs, and works without the checkout."""

import configparser
import os
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
MEMBERS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"][
    "members"
]
PROJECTS = {
    member: tomllib.loads((CHECKOUT / member / "pyproject.toml").read_text())["project"]
    for member in MEMBERS
}
DATA = {
    "contracts": ["record/nexus-experiment.xsd"],
    "shared": ["plugin_templates/format/pyproject.toml.template"],
    "services/console": ["web/static/console.js", "web/templates/base.html.j2"],
    "services/uploader": ["templates/record.html.j2"],
}
"""Some files that are no Python, and without which the distribution fails when it is used."""
USES = {
    "contracts": "from nexuslims_contracts.record import schema_bytes; schema_bytes()",
    "formats": "from nexuslims_formats import read; read('gone.dm3')",
}


def uv(*arguments):
    tools = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["uv", *map(str, arguments)], check=True, capture_output=True, env=tools)


def package_of(member):
    return PROJECTS[member]["name"].replace("-", "_")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """The wheel of each member."""
    folder = tmp_path_factory.mktemp("wheels")
    uv("build", "--offline", "--wheel", "--all-packages", "--out-dir", folder, CHECKOUT)
    built = {path.name.split("-")[0]: path for path in folder.glob("*.whl")}
    return {member: built[package_of(member)] for member in MEMBERS}


@pytest.fixture(scope="session")
def installed(wheels, tmp_path_factory):
    """A folder with all of them installed."""
    folder = tmp_path_factory.mktemp("installed")
    uv("pip", "install", "--offline", "--no-deps", "--python", sys.executable,
       "--target", folder, *wheels.values())  # fmt: skip
    return folder


def install_from(folder, target, member, *options):
    """Install one distribution with what it needs: ours from a folder, the rest as it is locked."""
    uv("pip", "install", "--offline", "--find-links", folder, "--python", sys.executable,
       "--constraints", CHECKOUT / "requirements" / "dev.txt", "--target", target, *options,
       PROJECTS[member]["name"])  # fmt: skip


@pytest.mark.parametrize("member", MEMBERS)
def test_a_distribution_names_all_that_it_needs(wheels, member, tmp_path):
    install_from(wheels[member].parent, tmp_path, member, "--dry-run")


def test_a_library_is_installed_alone_and_reads_files(wheels, tmp_path):
    install_from(wheels["formats"].parent, tmp_path, "formats")
    assert not (tmp_path / "nexuslims_shared").exists()
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", (f"import sys; sys.path = [one for one in"
         f" sys.path if 'site-packages' not in one] + [{str(tmp_path)!r}]; {USES['formats']}")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("member", MEMBERS)
def test_a_wheel_holds_all_files_of_its_package(wheels, member):
    source = CHECKOUT / member / "src"
    here = (path for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc")
    held = set(zipfile.ZipFile(wheels[member]).namelist())
    assert {str(path.relative_to(source)) for path in here} <= held
    package = package_of(member)
    assert {f"{package}/{name}" for name in ["py.typed", *DATA.get(member, [])]} <= held
    assert not [one for one in held if one.endswith(".pyc")]
    version = PROJECTS[member]["version"]
    assert {one.split("/")[0] for one in held} == {package, f"{package}-{version}.dist-info"}


@pytest.mark.parametrize("member", MEMBERS)
def test_a_wheel_says_what_it_is_and_what_it_offers(wheels, member):
    project = PROJECTS[member]
    information = f"{package_of(member)}-{project['version']}.dist-info"
    with zipfile.ZipFile(wheels[member]) as wheel:
        metadata = Parser().parsestr(wheel.read(f"{information}/METADATA").decode())
        points = configparser.ConfigParser(delimiters="=")
        points.optionxform = str
        if project.get("entry-points") or project.get("scripts"):
            points.read_string(wheel.read(f"{information}/entry_points.txt").decode())
    assert (metadata["Name"], metadata["License-Expression"]) == (project["name"], "Apache-2.0")
    assert metadata.get_payload().startswith(f"# {project['name']}")
    offered = {name: dict(points[name]) for name in points.sections()}
    scripts = {"console_scripts": project["scripts"]} if "scripts" in project else {}
    assert offered == {**project.get("entry-points", {}), **scripts}


@pytest.mark.parametrize("member", MEMBERS)
def test_what_is_installed_from_wheels_works_without_warnings(installed, member, tmp_path):
    package = package_of(member)
    script = f"import {package}; print({package}.__file__); {USES.get(member, '')}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()).is_relative_to(installed)


def test_the_command_line_runs_from_wheels(installed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "nexuslims_shared", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "build-records" in done.stdout
