"""Plugins that ``nexuslims plugin new`` writes: installed as a facility would, they work."""

import json
import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nexuslims_contracts.plugins import installed
from nexuslims_shared.cli.new_plugin import GROUPS, write_plugin
from nexuslims_shared.cli.shell import app

PASSED = {"format": 14, "calendar": 9, "destination": 13, "notification": 4}
"""Tests of each kind, its behaviour suite among them."""
THEIRS = """
from nexusLIMS.schemas.units import ureg

class ZebraExtractor:
    name = "zebra_extractor"
    priority = 120
    supported_extensions = {"zbr"}

    def supports(self, context):
        return context.file_path.suffix == ".zbr"

    def extract(self, context):
        voltage = ureg.Quantity(float(context.file_path.read_text()), "kilovolt")
        meta = {"DatasetType": "Image", "Data Type": "SEM_Imaging", "Acceleration Voltage": voltage}
        return [{"nx_meta": meta}]
"""
"""An extractor as NexusLIMS 2.x documents it."""
SAMPLE = b"ZEBRA1\nRows=3\nColumns=4\nHighTension=15000\n\n" + bytes(24)


def new(*arguments):
    return CliRunner().invoke(app, ["plugin", "new", *arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of each kind's distribution, and an environment that sees it installed alone."""
    folder = tmp_path_factory.mktemp("plugins")
    tools = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    found = {}
    for kind in GROUPS:
        (folder / kind).mkdir()
        with chdir(folder / kind):
            source = write_plugin(kind, "zebra").resolve()
        target = folder / kind / "installed"
        subprocess.run(
            ["uv", "pip", "install", "--offline", "--no-deps", "--target", str(target),
             "--python", sys.executable, str(source)],
            check=True, capture_output=True, env=tools,
        )  # fmt: skip
        found[kind] = source, {**tools, "PYTHONPATH": str(target)}
    return found


@pytest.mark.parametrize("kind", GROUPS)
def test_its_own_tests_pass(made, kind):
    source, environment = made[kind]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(source)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=source, check=False
    )
    assert done.returncode == 0, done.stdout
    assert f"{PASSED[kind]} passed" in done.stdout


@pytest.mark.parametrize("kind", GROUPS)
def test_its_entry_points_are_found_and_load(made, kind):
    _, environment = made[kind]
    script = (
        "from nexuslims_contracts.plugins import installed\n"
        f"print(installed({GROUPS[kind]!r})['zebra'].load().__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "zebra_nexuslims"


@pytest.mark.parametrize("kind", GROUPS)
def test_it_is_clean_and_nothing_has_the_templates_name(made, kind):
    source, _ = made[kind]
    texts = [path.read_text() for path in source.rglob("*") if path.is_file()]
    assert not [text for text in texts if "acme" in text.lower()]
    lint = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,B,UP,ANN,ASYNC"]
    done = subprocess.run(
        [*lint, "--line-length", "100", str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_format_is_chosen_where_it_is_installed(made, tmp_path):
    (tmp_path / "a.acm").write_bytes(SAMPLE)
    command = [sys.executable, "-m", "nexuslims_shared", "extract", str(tmp_path / "a.acm")]
    done = subprocess.run(
        [*command, "--json"], check=True, capture_output=True, text=True, env=made["format"][1]
    )
    record = json.loads(done.stdout)
    assert record["outcome"] == "extracted"
    assert record["extractor"] == {"name": "zebra", "version": "1.0", "reader": "zebra 1.0"}
    assert record["datasets"][0]["metadata"]["acceleration_voltage"] == {
        "value": 15.0,
        "unit": "kV",
    }


def test_an_extractor_of_the_incumbent_is_run_as_it_is(tmp_path):
    theirs = tmp_path / "zebra_extractor.py"
    theirs.write_text(THEIRS)
    with chdir(tmp_path):
        assert new("format", "zebra", "--from", str(theirs)).exit_code == 0
        source = (tmp_path / "zebra-nexuslims").resolve()
    (tmp_path / "a.zbr").write_text("15")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in (
        ["uv", "pip", "install", "--offline", "--no-deps", "--target", str(tmp_path / "installed"),
         "--python", sys.executable, str(source)],
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(source)],
    ):  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, env=environment, cwd=source)
    done = subprocess.run(
        [sys.executable, "-m", "nexuslims_shared", "extract", str(tmp_path / "a.zbr"), "--json"],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    record = json.loads(done.stdout)
    assert record["extractor"]["reader"] == "NexusLIMS 2.x zebra_extractor"
    assert record["datasets"][0]["metadata"]["acceleration_voltage"] == {
        "value": 15.0,
        "unit": "kV",
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("destination", "zebra", "--from", "there.py"), "does not know what ours has to do"),
        (("format", "zebra", "--from", "nowhere.py"), "there is no such file"),
        (("detector", "zebra"), "there are format, calendar, destination, notification"),
        (("format", "Zebra-2"), "not one word"),
        (("format", "velox"), "is installed already"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    result = new(*arguments)
    assert result.exit_code == 1
    assert reason in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_written_to_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert new("calendar", "zebra").exit_code == 0
    (tmp_path / "zebra-nexuslims" / "README.md").write_text("mine")
    assert "is there already" in new("format", "zebra").output
    assert (tmp_path / "zebra-nexuslims" / "README.md").read_text() == "mine"


def test_each_kind_is_a_group_that_has_plugins():
    assert [kind for kind, group in GROUPS.items() if not installed(group)] == []
