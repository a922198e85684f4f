"""Every command in the documentation exists, and every one in a block of the shell is run."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from nexuslims_shared.cli.shell import app

CHECKOUT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "*/README.md", "services/*/README.md")
    for path in CHECKOUT.glob(pattern)
    if not {"changes", "generated", "CHANGELOG.md"} & set(path.parts)
)
INVENTED = {"nexuslims hello", "nexuslims instruments import --from-NAME"}
"""Commands of plugins that the pages make up."""

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:\.venv/bin/)?nexuslims\s[^`]+)`")
TUTORIAL = CHECKOUT / "docs" / "tutorial.md"

_RUNS = 5

STANDS_FOR = {
    "/mnt/instruments/Titan": "instrument-data/Quanta",
    "nemo-1-usage-5821": "file-1001",
    "image_012.dm3": "np7_009.tif",
    "image_020.dm3": "np7_012.tif",
    "image.dm3": "instrument-data/Quanta/ned/2026-03-02/np7_001.tif",
    " ID": " file-1001",
    " DIR": " ../saved",
}
"""What the sample facility has in place of the names on the pages."""

ELSEWHERE = {
    "make demo": "tests/test_demo.py",
    "make test": ".ci/run",
    "make check": ".ci/run",
    "make install": ".ci/run",
    "nexuslims init": "services/console/tests/test_init.py",
    "nexuslims doctor": "tests/test_wedges.py",
    "nexuslims up": "services/console/tests/test_facility.py",
    "nexuslims instruments import": "tests/test_nemo.py",
    "nexuslims trial": "tests/test_trial.py",
    "nexuslims import-legacy": "services/console/tests/test_import_legacy.py",
    "nexuslims rebuild --session ID --re-extract": "tests/test_trial.py",
    "nexuslims periods": "tests/test_periods.py",
    "nexuslims broker init": "services/console/tests/test_broker_files.py",
    "nexuslims plugin new": "tests/test_plugin_new.py",
    "pip install": "tests/test_plugin_new.py",
    "python -m pytest": "tests/test_plugin_new.py",
    "uv pip install": "tests/test_plugin_new.py",
    "pytest": ".ci/run",
    "minisign": "services/console/tests/test_export.py",
    "docker compose": "tests/test_compose.py",
    "kubectl apply": "tests/test_kubernetes.py",
    "nats": "shared/tests/test_rights.py",
}
"""Which test runs a command, or what it does, that is not run here."""


def lines(page):
    """Each command in the page's blocks, without its comment."""
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            if command := re.sub(r"\s+#.*", "", line).strip().removeprefix(".venv/bin/"):
                yield command


OUTSIDE = {
    (str(page.relative_to(CHECKOUT)), line)
    for page in PAGES
    if page != TUTORIAL
    for line in lines(page)
}


def run_elsewhere(line):
    return max((start for start in ELSEWHERE if line.startswith(start)), key=len, default="")


HERE = sorted({line for _, line in OUTSIDE if not run_elsewhere(line)})


def named():
    """Every call of the command line, on any page, with its page."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found = [*INLINE.findall(text), *(one for one in lines(page))]
        for call in sorted({" ".join(one.split()).removeprefix(".venv/bin/") for one in found}):
            if call.startswith("nexuslims ") and call not in INVENTED:
                yield pytest.param(call, id=f"{page.relative_to(CHECKOUT)}: {call}")


def unknown_parts(call):
    """What of a call the command line does not know."""
    call = re.sub(r"[][|\\]", " ", call)  # [--optional], either|or
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="nexuslims")
    unknown = []
    for word in shlex.split(call, comments=True)[1:]:
        if word.startswith("-"):
            options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            unknown += [word] * (word.partition("=")[0] not in options | {"--help"})
        elif isinstance(command, typer.core.TyperGroup) and word.islower():
            inner = command.get_command(context, word)
            if inner is None:
                return [*unknown, word]
            context = typer.Context(inner, info_name=word, parent=context)
            command = inner
    return unknown


def every_command(command, context):
    """Each command with its context, those of groups too."""
    yield command, context
    for name in getattr(command, "list_commands", lambda _: ())(context):
        inner = command.get_command(context, name)
        yield from every_command(inner, typer.Context(inner, info_name=name, parent=context))


def test_help_names_values_as_people_do():
    root = typer.main.get_command(app)
    pages = [
        command.get_help(context)
        for command, context in every_command(root, typer.Context(root, info_name="nexuslims"))
    ]
    assert len(pages) > 50
    odd = re.compile(r"<[a-zA-Z|\[\] ]+>|[╭│]|[{}]")
    assert [page for page in pages if odd.search(page)] == []


@pytest.mark.parametrize("call", list(named()))
def test_a_command_that_is_named_exists(call):
    assert unknown_parts(call) == []


def test_what_does_not_exist_is_noticed():
    assert unknown_parts("nexuslims rebuild --everything") == ["--everything"]
    assert unknown_parts("nexuslims people remove x") == ["remove"]


def test_each_command_is_run_here_or_by_another_test():
    commands = {line for _, line in OUTSIDE}
    assert {start for start in ELSEWHERE if not any(map(run_elsewhere, commands))} == set()
    used = {run_elsewhere(line) for line in commands} - {""}
    assert used == ELSEWHERE.keys(), "a command that no page has any more"
    assert [file for file in set(ELSEWHERE.values()) if not (CHECKOUT / file).is_file()] == []


def shell(folder, script):
    """Run lines of a shell in a folder, where the command is the one of this environment."""
    tools = Path(sys.executable).parent
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("NX_")},
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "COLUMNS": "200",
        "NEXUSLIMS_CORPUS": str(folder / "none"),  # the demo takes real files along
    }
    environment.pop("NATS_URL", None)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


PRINTED = {
    "make demo": "NO_FILES_FOUND",
    "nexuslims session file-1003": "declined",
    "nexuslims session file-1001": "18 of 18 done",
    "nexuslims session file-1001 --events": "record.built",
    "nexuslims curate file-1001": "The best of the day",
    "nexuslims rebuild --all": "unchanged",
    "nexuslims verify --all": "everything is where it should be",
    "nexuslims withdraw file-1001 --undo": "COMPLETED",
    "nexuslims export file-1001 --out ned.eln": "signed",
    "nexuslims dead-letters list": "no dead letters",
}
"""What the tutorial's commands print, the first time, among other things."""


def follow_the_tutorial(folder):
    """Run all that the tutorial says, in a shell; give what each command printed the first time."""
    script = "\n".join(f"echo {shlex.quote(f'=== {line}')}\n{line}" for line in lines(TUTORIAL))
    printed = shell(folder, f'exec 2>&1\nmake() {{ python -m "$@"; }}\n{script}')
    parts = [one.split("\n", 1) for one in f"\n{printed}".split("\n=== ")[1:]]
    return dict(reversed([(one[0], one[1]) for one in parts if len(one) == 2]))


def build_until_the_late_file_is_in_the_record(folder):
    for _ in range(_RUNS):
        if json.loads(shell(folder, "nexuslims session file-1001 --json"))["datasets"] == 19:
            return
        shell(folder, "nexuslims build-records")
    raise AssertionError(f"not in {_RUNS} runs")


@pytest.mark.broker
@pytest.mark.timeout(400)
def test_the_tutorial_and_then_the_commands_of_the_pages_run(tmp_path):
    printed = follow_the_tutorial(tmp_path)
    assert {one: text for one, text in PRINTED.items() if text not in printed[one]} == {}
    folder = tmp_path / "demo-facility"
    build_until_the_late_file_is_in_the_record(folder)
    script = "\n".join(HERE)
    for name, meant in STANDS_FOR.items():
        script = script.replace(name, meant)
    shell(folder, script)
