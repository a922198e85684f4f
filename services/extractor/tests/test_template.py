"""The template in ``docs/``: installed as a facility would, it is chosen, and it works."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).parents[3] / "docs" / "extractor-template"
SAMPLE = b"ACME1\nRows=3\nColumns=4\nHighTension=15000\n\n" + bytes(24)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment that sees the template's package installed, without network."""
    target = tmp_path_factory.mktemp("installed")
    command = ["uv", "pip", "install", "--offline", "--no-deps", "--target", str(target)]
    tools = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(
        [*command, "--python", sys.executable, str(TEMPLATE)],
        check=True, capture_output=True, env=tools,
    )  # fmt: skip
    return {**tools, "PYTHONPATH": str(target)}


def test_it_is_chosen_where_it_is_installed(environment, tmp_path):
    (tmp_path / "a.acm").write_bytes(SAMPLE)
    script = "import typer; from nexuslims_extractor.cli import extract; typer.run(extract)"
    command = [sys.executable, "-c", script, str(tmp_path / "a.acm"), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    record = json.loads(done.stdout)
    assert record["outcome"] == "extracted"
    assert record["extractor"] == {"name": "acme", "version": "1.0", "reader": "acme 1.0"}
    assert record["datasets"][0]["metadata"]["acceleration_voltage"] == {
        "value": 15.0,
        "unit": "kV",
    }


def test_its_own_tests_pass(environment):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TEMPLATE)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout
    assert "14 passed" in done.stdout
